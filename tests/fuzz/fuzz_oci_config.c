/* A bundle's config.json: any text; what its identity is; and that hooks come and go without a
 * trace. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "launch/identity.h"
#include "util/buf.h"
#include "wire/oci_hooks.h"
#include "wire/oci_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_identity(const struct oci_config *oci)
{
	struct identity *identity = NULL;
	struct config config;
	struct diag diag = {0};

	if (config_parse("[runtime]\naccount = 123456789012\n", "fuzz", &config, NULL) < 0)
		return;
	int r = identity_read(oci, NULL, &config, &identity, &diag);
	assert((r == 0) == (identity != NULL));
	assert(r == 0 || diag.text[0]);
	if (identity)
		assert(identity->role_arn || identity->n_fields == 0);
	identity_free(identity);
	config_deinit(&config);
}

static void check_hooks(const char *text, size_t len)
{
	const struct oci_hook hook = {
		.path = "/x/rolegate-hook", .argument = "a", .env = "A=b", .timeout_s = 1};
	struct buf with = {0}, again = {0}, without = {0};
	struct oci_config *oci = NULL;

	if (oci_hooks_set(text, len, &hook, true, &with, NULL) == 0) {
		assert(strstr(with.data, "/x/rolegate-hook"));
		assert(oci_hooks_set(with.data, with.len, &hook, true, &again, NULL) == 0);
		assert(again.len == with.len && memcmp(again.data, with.data, with.len) == 0);
		assert(oci_hooks_set(with.data, with.len, &hook, false, &without, NULL) == 0);
		assert(!strstr(without.data, "/x/rolegate-hook") ||
		       memmem(text, len, "/x/rolegate-hook", 16));
		/* Still the same container. */
		if (oci_config_parse(text, len, &oci, NULL) == 0) {
			oci_config_free(oci);
			assert(oci_config_parse(with.data, with.len, &oci, NULL) == 0);
			oci_config_free(oci);
		}
	}
	buf_deinit(&with);
	buf_deinit(&again);
	buf_deinit(&without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct oci_config *oci = NULL;
	struct oci_state state = {0};
	struct diag diag = {0};
	const char *text = (const char *)data;

	int r = oci_config_parse(len ? text : "", len, &oci, &diag);
	assert((r == 0) == (oci != NULL));
	assert(r == 0 || diag.text[0]);
	if (oci)
		check_identity(oci);
	oci_config_free(oci);
	check_hooks(len ? text : "", len);
	if (oci_state_parse(len ? text : "", len, &state, &diag) == 0)
		assert(state.bundle[0] == '/');
	oci_state_deinit(&state);
	return 0;
}
