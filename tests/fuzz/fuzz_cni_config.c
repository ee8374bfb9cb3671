/* A network's configuration, as a container network runtime gives it: any text. The answers must be JSON whatever it
 * holds. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "launch/identity.h"
#include "util/buf.h"
#include "wire/cni_config.h"
#include "wire/json_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_json(const struct buf *text)
{
	struct buf again = {0};

	assert(buf_ok(text) && json_text_compact(text->data, text->len, &again) == 0);
	buf_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cni_config *config = NULL;
	struct identity *identity = NULL;
	struct config settings;
	struct diag diag = {0};
	struct buf out = {0};
	enum cni_error error;

	int r = cni_config_parse(len ? (const char *)data : "", len, &config, &error, &diag);
	assert((r == 0) == (config != NULL));
	if (config) {
		cni_print_result(config, &out);
		check_json(&out);
		/* Nobody but the engine says these. */
		assert(!oci_config_annotation(config->container, "io.kubernetes.cri.image-name"));
		if (config_parse("[runtime]\naccount = 123456789012\n", "fuzz", &settings, NULL) ==
		    0) {
			(void)identity_read(config->container, NULL, &settings, &identity, &diag);
			config_deinit(&settings);
		}
		identity_free(identity);
	} else {
		assert(diag.text[0]);
		cni_print_error("1.0.0", error, diag.text, diag.field, &out);
		check_json(&out);
	}
	buf_deinit(&out);
	cni_config_free(config);
	return 0;
}
