/* rolegate.conf: any text. An error names the file; what is accepted is within its bounds. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_accepted(const struct config *c)
{
	assert(strncmp(c->aws.imds_endpoint, "http", 4) == 0);
	assert(c->aws.session_duration_s >= 900 && c->aws.session_duration_s <= 43200);
	assert(c->aws.sts_max_in_flight >= 1 && c->aws.sts_max_per_second >= 1);
	assert((c->aws.base_credentials == BASE_FILE) == (c->aws.base_file != NULL));
	assert(!c->aws.base_file || (c->aws.base_file[0] == '/' && c->aws.base_profile));
	assert(c->intercept.port >= 1024 && c->intercept.port <= 65535);
	assert(c->intercept.port != c->intercept.bridge_port);
	assert(c->imds.hop_limit >= 1 && c->imds.hop_limit <= 64);
	assert(c->control.socket[0] == '/' && strlen(c->control.socket) < 108);
	assert(c->netd.socket[0] == '/' && strlen(c->netd.socket) < 108);
	assert(c->state.dir[0] == '/' && c->policy.file[0] == '/');
	assert(!c->control.tls_listen || c->control.tls_client_ca);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct config config;
	struct diag diag = {0};
	char *text = strndup((const char *)data, len);

	assert(text);
	int r = config_parse(text, "fuzz.conf", &config, &diag);
	assert(r == 0 || r == -EINVAL);
	if (r == 0) {
		check_accepted(&config);
		config_deinit(&config);
	} else {
		assert(strncmp(diag.text, "fuzz.conf:", 10) == 0);
	}
	free(text);
	return 0;
}
