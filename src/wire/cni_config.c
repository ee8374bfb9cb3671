#include "wire/cni_config.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "wire/json_text.h"

#define NEWEST "1.0.0"
#define PREFIX "rolegate.io/"

static const char *const versions[] = {"0.3.0", "0.3.1", "0.4.0", NEWEST};

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

int cni_config_annotate(struct cni_config *config, const char *key, const char *value)
{
	struct oci_config *c = config->container;
	struct oci_pair *grown =
		reallocarray(c->annotations, c->n_annotations + 1, sizeof(struct oci_pair));

	if (!grown)
		return -ENOMEM;
	c->annotations = grown;
	struct oci_pair *pair = &grown[c->n_annotations++];
	*pair = (struct oci_pair){.key = strdup(key), .value = strdup(value)};
	return pair->key && pair->value ? 0 : -ENOMEM;
}

/* A value as the text of an annotation: a string as it is, all else as JSON. */
static int annotate_json(struct cni_config *config, const char *key, json_t *value)
{
	if (json_is_string(value))
		return cni_config_annotate(config, key, json_string_value(value));
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	int r = text ? cni_config_annotate(config, key, text) : -ENOMEM;
	free(text);
	return r;
}

/* All of an object, each key behind `prefix`. What an engine would say of image and pod is not taken
 * from those who can annotate a pod. */
static int annotate_all(struct cni_config *config, json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;
	int r = 0;

	json_object_foreach (object, key, value) {
		_cleanup_buf_ struct buf name = {0};
		if (!prefix[0] && strncmp(key, "io.kubernetes.", 14) == 0)
			continue;
		buf_printf(&name, "%s%s", prefix, key);
		r = buf_ok(&name) ? annotate_json(config, name.data, value) : -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}

/* What stands under "rolegate": an object of fields, or the role alone. */
static int annotate_fields(struct cni_config *config, json_t *value)
{
	if (json_is_string(value))
		return cni_config_annotate(config, PREFIX "role", json_string_value(value));
	return annotate_all(config, value, PREFIX);
}

/* Keys that are annotations of ours by their full name, among whatever else is there. */
static int annotate_ours(struct cni_config *config, json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		bool ours = strncmp(key, PREFIX, strlen(PREFIX)) == 0 ||
			    strcmp(key, "iam.amazonaws.com/role") == 0;
		if (ours && annotate_json(config, key, value) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* args.cni.labels of the conventions: [{"key": K, "value": V}, ...] */
static int annotate_labels(struct cni_config *config, json_t *labels)
{
	json_t *label;
	size_t i;
	int r = 0;

	json_array_foreach (labels, i, label) {
		const char *key = json_string_value(json_object_get(label, "key"));
		json_auto_t *pair =
			key ? json_pack("{s:O?}", key, json_object_get(label, "value")) : NULL;
		if (r == 0 && pair)
			r = annotate_ours(config, pair);
	}
	return r;
}

/* Later ones count for more: the more particular come last. */
static int take_annotations(json_t *root, struct cni_config *config)
{
	json_t *args = json_object_get(root, "args");
	json_t *cni = json_object_get(args, "cni");
	json_t *runtime = json_object_get(root, "runtimeConfig");

	int r = annotate_all(config, json_object_get(args, "podman_labels"), "");
	if (r == 0)
		r = annotate_labels(config, json_object_get(cni, "labels"));
	if (r == 0)
		r = annotate_ours(config, cni);
	if (r == 0)
		r = annotate_fields(config, json_object_get(cni, "rolegate"));
	if (r == 0)
		r = annotate_all(config,
				 json_object_get(runtime, "io.kubernetes.cri.pod-annotations"), "");
	if (r == 0)
		r = annotate_ours(config, runtime);
	if (r == 0)
		r = annotate_fields(config, json_object_get(runtime, "rolegate"));
	return r;
}

static int check_version(const char *version, enum cni_error *ret_error, struct diag *diag)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		if (strcmp(versions[i], version) == 0)
			return 0;
	*ret_error = CNI_INCOMPATIBLE_VERSION;
	return diag_fail(EINVAL, diag, "cniVersion", "CNI version %.32s is not supported", version);
}

static int take_all(json_t *root, struct cni_config *config, enum cni_error *ret_error,
		    struct diag *diag)
{
	const char *version = json_string_value(json_object_get(root, "cniVersion"));
	const char *name = json_string_value(json_object_get(root, "name"));
	const char *path = json_string_value(json_object_get(root, "rolegate_config"));
	const char *kubeconfig = json_string_value(json_object_get(root, "kubeconfig"));
	json_t *prev = json_object_get(root, "prevResult");

	*ret_error = CNI_INVALID_CONFIG;
	if (!name || !name[0])
		return diag_fail(EINVAL, diag, "name", "the network has no name");
	if (prev && !json_is_object(prev) && !json_is_null(prev))
		return diag_fail(EINVAL, diag, "prevResult", "prevResult is no object");
	if (path && path[0] != '/')
		return diag_fail(EINVAL, diag, "rolegate_config", "%.128s is no absolute path",
				 path);
	if (kubeconfig && kubeconfig[0] != '/')
		return diag_fail(EINVAL, diag, "kubeconfig", "%.128s is no absolute path",
				 kubeconfig);
	if (!version)
		version = "0.1.0"; /* as the specification says of a missing one */
	int r = check_version(version, ret_error, diag);
	if (r < 0)
		return r;
	*ret_error = CNI_INTERNAL;
	config->version = strdup(version);
	config->network = strdup(name);
	config->rolegate_config = path ? strdup(path) : NULL;
	config->kubeconfig = kubeconfig ? strdup(kubeconfig) : NULL;
	if (json_is_object(prev))
		config->prev_result = json_dumps(prev, 0);
	if (!config->version || !config->network || (path && !config->rolegate_config) ||
	    (kubeconfig && !config->kubeconfig) || (json_is_object(prev) && !config->prev_result) ||
	    take_annotations(root, config) < 0)
		return no_memory(diag);
	return 0;
}

int cni_config_parse(const char *text, size_t len, struct cni_config **ret,
		     enum cni_error *ret_error, struct diag *diag)
{
	json_error_t error;
	json_auto_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	*ret_error = CNI_DECODING_FAILURE;
	if (!json_is_object(root))
		return diag_fail(EINVAL, diag, NULL,
				 "the network configuration is no JSON object%s%s",
				 root ? "" : ": ", root ? "" : error.text);
	_cleanup_cni_config_ struct cni_config *config = calloc(1, sizeof(*config));
	if (config)
		config->container = calloc(1, sizeof(*config->container));
	if (!config || !config->container)
		return no_memory(diag);
	int r = take_all(root, config, ret_error, diag);
	if (r == 0)
		*ret = TAKE(config);
	return r;
}

struct cni_config *cni_config_free(struct cni_config *config)
{
	if (!config)
		return NULL;
	free(config->version);
	free(config->network);
	free(config->prev_result);
	free(config->rolegate_config);
	free(config->kubeconfig);
	oci_config_free(config->container);
	free(config);
	return NULL;
}

void cni_print_result(const struct cni_config *config, struct buf *out)
{
	if (config->prev_result)
		buf_printf(out, "%s\n", config->prev_result);
	else
		buf_printf(out, "{\"cniVersion\":\"%s\",\"interfaces\":[],\"ips\":[]}\n",
			   config->version);
}

void cni_print_versions(struct buf *out)
{
	buf_puts(out, "{\"cniVersion\":\"" NEWEST "\",\"supportedVersions\":[");
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", versions[i]);
	buf_puts(out, "]}\n");
}

void cni_print_error(const char *version, enum cni_error error, const char *message,
		     const char *details, struct buf *out)
{
	buf_puts(out, "{\"cniVersion\":");
	json_text_quote(version ? version : NEWEST, out);
	buf_printf(out, ",\"code\":%d,\"msg\":", error);
	json_text_quote(message, out);
	buf_puts(out, ",\"details\":");
	json_text_quote(details ? details : "", out);
	buf_puts(out, "}\n");
}
