/* A kubeconfig, and what an API server answers: any text. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "wire/kube_object.h"
#include "wire/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *text = len ? (const char *)data : "";
	struct kubeconfig *config = NULL;
	struct kube_object object;
	struct diag diag = {0};

	int r = kubeconfig_parse(text, len, &config, &diag);
	assert((r == 0) == (config != NULL));
	assert(r == 0 || diag.text[0]);
	if (config) {
		assert(strncmp(config->server, "https://", 8) == 0);
		assert(!config->token || !strpbrk(config->token, "\r\n"));
	}
	kubeconfig_free(config);
	if (kube_object_parse(text, len, &object, &diag) == 0)
		kube_object_deinit(&object);
	return 0;
}
