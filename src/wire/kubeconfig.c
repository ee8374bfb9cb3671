#include "wire/kubeconfig.h"

#include <string.h>

#include <openssl/evp.h>
#include <yaml.h>

#include "util/buf.h"

/* A node of the document; NULL stands for what is not there, all the way down. */
struct at {
	yaml_document_t *document;
	yaml_node_t *node;
};

static const char *scalar(struct at at)
{
	if (!at.node || at.node->type != YAML_SCALAR_NODE || at.node->data.scalar.length == 0)
		return NULL;
	return (const char *)at.node->data.scalar.value;
}

static struct at get(struct at at, const char *key)
{
	struct at none = {.document = at.document};

	if (!at.node || at.node->type != YAML_MAPPING_NODE)
		return none;
	for (yaml_node_pair_t *pair = at.node->data.mapping.pairs.start;
	     pair < at.node->data.mapping.pairs.top; pair++) {
		struct at name = {at.document, yaml_document_get_node(at.document, pair->key)};
		const char *text = scalar(name);
		if (text && strcmp(text, key) == 0)
			return (struct at){at.document,
					   yaml_document_get_node(at.document, pair->value)};
	}
	return none;
}

/* Of a list of {name: …, KIND: {…}} the one of this name. */
static struct at find_named(struct at list, const char *name, const char *kind)
{
	struct at none = {.document = list.document};

	if (!name || !list.node || list.node->type != YAML_SEQUENCE_NODE)
		return none;
	for (yaml_node_item_t *item = list.node->data.sequence.items.start;
	     item < list.node->data.sequence.items.top; item++) {
		struct at entry = {list.document, yaml_document_get_node(list.document, *item)};
		const char *text = scalar(get(entry, "name"));
		if (text && strcmp(text, name) == 0)
			return get(entry, kind);
	}
	return none;
}

static int no_memory(struct diag *diag)
{
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

static int take(struct at object, const char *key, char **ret, struct diag *diag)
{
	const char *text = scalar(get(object, key));

	if (!text)
		return 0;
	*ret = strdup(text);
	return *ret ? 0 : no_memory(diag);
}

/* A file's contents, in base64. */
static int take_data(struct at object, const char *key, char **ret, struct diag *diag)
{
	const char *text = scalar(get(object, key));
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return 0;
	char *data = calloc(1, len + 4);
	if (!data)
		return no_memory(diag);
	int n = len < INT32_MAX && len % 4 == 0
			? EVP_DecodeBlock((unsigned char *)data, (const unsigned char *)text,
					  (int)len)
			: -1;
	*ret = data; /* PEM is text: the padding's NULs end it */
	return n < 0 ? diag_fail(EINVAL, diag, key, "%s is not in base64", key) : 0;
}

static int take_cluster(struct at cluster, struct kubeconfig *config, struct diag *diag)
{
	const char *insecure = scalar(get(cluster, "insecure-skip-tls-verify"));

	if (insecure && strcmp(insecure, "true") == 0)
		return diag_fail(
			EINVAL, diag, "insecure-skip-tls-verify",
			"insecure-skip-tls-verify is not supported: anybody could say which "
			"role a pod has");
	int r = take(cluster, "server", &config->server, diag);
	if (r == 0)
		r = take(cluster, "tls-server-name", &config->tls_server_name, diag);
	if (r == 0)
		r = take(cluster, "certificate-authority", &config->ca_file, diag);
	if (r == 0)
		r = take_data(cluster, "certificate-authority-data", &config->ca_data, diag);
	if (r == 0 && (!config->server || strncmp(config->server, "https://", 8) != 0))
		r = diag_fail(EINVAL, diag, "server", "there is no server with an https:// URL");
	return r;
}

static int take_user(struct at user, struct kubeconfig *config, struct diag *diag)
{
	int r = take(user, "token", &config->token, diag);

	if (r == 0)
		r = take(user, "tokenFile", &config->token_file, diag);
	if (r == 0)
		r = take(user, "client-certificate", &config->certificate_file, diag);
	if (r == 0)
		r = take_data(user, "client-certificate-data", &config->certificate_data, diag);
	if (r == 0)
		r = take(user, "client-key", &config->key_file, diag);
	if (r == 0)
		r = take_data(user, "client-key-data", &config->key_data, diag);
	if (r < 0)
		return r;
	if (!config->token && !config->token_file &&
	    !((config->certificate_file || config->certificate_data) &&
	      (config->key_file || config->key_data)))
		return diag_fail(EINVAL, diag, "user",
				 "the user has neither token, tokenFile nor client certificate and "
				 "key (exec and auth-provider are not supported)");
	/* It becomes a header. */
	if (config->token && strpbrk(config->token, "\r\n"))
		return diag_fail(EINVAL, diag, "token", "the token has a line break");
	return 0;
}

static int take_all(yaml_document_t *document, struct kubeconfig *config, struct diag *diag)
{
	struct at root = {document, yaml_document_get_root_node(document)};
	const char *current = scalar(get(root, "current-context"));
	struct at context = find_named(get(root, "contexts"), current, "context");

	if (!context.node)
		return diag_fail(EINVAL, diag, "current-context", "there is no current context");
	struct at cluster =
		find_named(get(root, "clusters"), scalar(get(context, "cluster")), "cluster");
	struct at user = find_named(get(root, "users"), scalar(get(context, "user")), "user");
	int r = take_cluster(cluster, config, diag);
	return r < 0 ? r : take_user(user, config, diag);
}

int kubeconfig_parse(const char *text, size_t len, struct kubeconfig **ret, struct diag *diag)
{
	_cleanup_kubeconfig_ struct kubeconfig *config = calloc(1, sizeof(*config));
	yaml_document_t document;
	yaml_parser_t parser;

	if (!config || !yaml_parser_initialize(&parser))
		return no_memory(diag);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	int r = 0;
	if (!yaml_parser_load(&parser, &document)) {
		r = diag_fail(EINVAL, diag, NULL, "line %zu: %s", parser.problem_mark.line + 1,
			      parser.problem ? parser.problem : "is no YAML");
	} else {
		r = take_all(&document, config, diag);
		yaml_document_delete(&document);
	}
	yaml_parser_delete(&parser);
	if (r == 0)
		*ret = TAKE(config);
	return r;
}

struct kubeconfig *kubeconfig_free(struct kubeconfig *config)
{
	if (!config)
		return NULL;
	free(config->server);
	free(config->tls_server_name);
	free(config->ca_file);
	free(config->ca_data);
	free(config->certificate_file);
	free(config->certificate_data);
	free(config->key_file);
	secret_free(config->key_data);
	free(config->token_file);
	secret_free(config->token);
	free(config);
	return NULL;
}
