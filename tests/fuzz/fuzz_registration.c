/* Registration bodies, as an agent PUTs them: the first line is the container's id. What is
 * accepted keeps within its bounds, and its canonical form (which the state file keeps) reads back
 * the same. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/registration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct registration_defaults defaults = {
	.tokens_required = true, .hop_limit = 1, .duration_s = 3600};
/* What a daemon with other defaults makes of what an earlier one has stored. */
static const struct registration_defaults later_defaults = {
	.tokens_required = false, .hop_limit = 7, .duration_s = 1800};

static void check_accepted(const char *id, const struct registration *r)
{
	struct registration *again = NULL;
	struct diag diag = {0};

	assert(container_id_check(id) == 0);
	assert(r->role.role_arn && r->role.session_name && r->netns && r->netns[0] == '/');
	assert(r->pid >= 0 && r->pid != 1);
	assert(r->hop_limit >= 1 && r->hop_limit <= 64);
	assert(r->role.duration_s >= 900 && r->role.duration_s <= 43200);
	assert(r->wait_s >= 0 && r->wait_s <= REGISTRATION_WAIT_MAX_S);
	assert(r->n_labels <= REGISTRATION_LABELS_MAX && r->role.n_tags <= STS_TAGS_MAX);
	assert(registration_role_name(r)[0] && !strchr(registration_role_name(r), '/'));
	assert(sts_assume_role_check(&r->role, &diag) == 0);

	int n = registration_parse(id, r->canonical, strlen(r->canonical), &later_defaults, &again,
				   &diag);
	assert(n == 0);
	assert(strcmp(r->canonical, again->canonical) == 0);
	assert(registration_difference(r, again) == NULL);
	assert(strcmp(r->role.role_arn, again->role.role_arn) == 0);
	assert(r->tokens_required == again->tokens_required && r->hop_limit == again->hop_limit);
	registration_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct registration *r = NULL;
	struct diag diag = {0};
	const uint8_t *line = memchr(data, '\n', len);
	size_t id_len = line ? (size_t)(line - data) : len;
	char *id = strndup((const char *)data, id_len);
	/* Of just that size: the body is not NUL-terminated. */
	size_t body_len = line ? len - id_len - 1 : 0;
	char *body = malloc(body_len + (body_len == 0));

	assert(id && body);
	if (body_len > 0)
		memcpy(body, line + 1, body_len);
	int n = registration_parse(id, body, body_len, &defaults, &r, &diag);
	assert(n == 0 || n == -EINVAL);
	assert((n == 0) == (r != NULL) && (n == 0 || diag.text[0]));
	if (n == 0)
		check_accepted(id, r);
	registration_free(r);
	free(body);
	free(id);
	return 0;
}
