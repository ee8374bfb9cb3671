#include "rolegate-cni/kube_lookup.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "util/buf.h"
#include "util/file.h"
#include "wire/kube_object.h"
#include "wire/kubeconfig.h"

#define TIMEOUT_MS 5000L
#define ANSWER_MAX ((size_t)4 * 1024 * 1024)
#define TOKEN_MAX ((size_t)64 * 1024)

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
	struct buf *answer = user;

	if (answer->len + size * n > ANSWER_MAX)
		return 0;
	buf_put(answer, data, size * n);
	return buf_ok(answer) ? size * n : 0;
}

static CURLcode set_blob(CURL *curl, CURLoption option, char *text)
{
	struct curl_blob blob = {.data = text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY};

	return curl_easy_setopt(curl, option, &blob);
}

/* Whom to believe, and who we are. */
static bool set_tls(CURL *curl, const struct kubeconfig *config)
{
	CURLcode r = CURLE_OK;

	if (config->ca_data)
		r = set_blob(curl, CURLOPT_CAINFO_BLOB, config->ca_data);
	else if (config->ca_file)
		r = curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file);
	if (r == CURLE_OK && config->certificate_data)
		r = set_blob(curl, CURLOPT_SSLCERT_BLOB, config->certificate_data);
	else if (r == CURLE_OK && config->certificate_file)
		r = curl_easy_setopt(curl, CURLOPT_SSLCERT, config->certificate_file);
	if (r == CURLE_OK && config->key_data)
		r = set_blob(curl, CURLOPT_SSLKEY_BLOB, config->key_data);
	else if (r == CURLE_OK && config->key_file)
		r = curl_easy_setopt(curl, CURLOPT_SSLKEY, config->key_file);
	return r == CURLE_OK;
}

static int set_token(CURL *curl, const struct kubeconfig *config, struct diag *diag)
{
	_cleanup_secret_ char *read = NULL;
	char *token = config->token;

	if (!token && config->token_file) {
		int r = file_read(config->token_file, TOKEN_MAX, &read, NULL);
		if (r < 0)
			return diag_fail(-r, diag, "tokenFile", "%s: %s", config->token_file,
					 strerror(-r));
		read[strcspn(read, "\r\n")] = '\0';
		token = read;
	}
	if (token && (curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER) != CURLE_OK ||
		      curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token) != CURLE_OK))
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	return 0;
}

static int judge_status(long status, const char *what, const char *name, struct diag *diag)
{
	if (status == 200)
		return 0;
	if (status == 401 || status == 403)
		return diag_fail(EACCES, diag, NULL,
				 "the API server does not let the kubeconfig's user get %s (HTTP "
				 "%ld)",
				 what, status);
	if (status == 404)
		return diag_fail(ENOENT, diag, NULL, "there is no %s %s", what, name);
	return diag_fail(ECOMM, diag, NULL, "the API server answers HTTP %ld", status);
}

static int fetch(CURL *curl, const struct kubeconfig *config, const char *namespace,
		 const char *what, const char *name, struct kube_object *ret, struct diag *diag)
{
	_cleanup_buf_ struct buf url = {0}, answer = {0};
	char error[CURL_ERROR_SIZE] = "";
	long status = 0;

	buf_printf(&url, "%s/api/v1/namespaces/%s/%s/%s", config->server, namespace, what, name);
	if (!buf_ok(&url) || curl_easy_setopt(curl, CURLOPT_URL, url.data) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error) != CURLE_OK)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	CURLcode r = curl_easy_perform(curl);
	if (r != CURLE_OK)
		return diag_fail(ECOMM, diag, NULL, "the API server %.128s cannot be asked: %s",
				 config->server, error[0] ? error : curl_easy_strerror(r));
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	int code = judge_status(status, what, name, diag);
	return code < 0 ? code
			: kube_object_parse(answer.data ? answer.data : "", answer.len, ret, diag);
}

/* What only the engine may say is not taken from who can annotate. */
static int annotate(struct cni_config *network, const struct kube_object *object)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < object->n_annotations; i++) {
		const struct oci_pair *pair = &object->annotations[i];
		if (strncmp(pair->key, "io.kubernetes.", 14) == 0)
			continue;
		r = cni_config_annotate(network,
					strcmp(pair->key, "eks.amazonaws.com/role-arn") == 0
						? "rolegate.io/role"
						: pair->key,
					pair->value);
	}
	return r;
}

static bool has_role(const struct cni_config *network)
{
	static const char *const names[] = {"rolegate.io/role", "rolegate.io/role_arn",
					    "iam.amazonaws.com/role"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (oci_config_annotation(network->container, names[i]))
			return true;
	return false;
}

/* Of a pod that the node itself has by file (a static one), the API server has a mirror: another uid,
 * and the pod's own in an annotation. */
static bool is_same_pod(const struct kube_object *pod, const char *uid)
{
	if (!uid || !pod->uid || strcmp(uid, pod->uid) == 0)
		return true;
	for (size_t i = 0; i < pod->n_annotations; i++)
		if (strcmp(pod->annotations[i].key, "kubernetes.io/config.mirror") == 0 &&
		    strcmp(pod->annotations[i].value, uid) == 0)
			return true;
	return false;
}

static int look(CURL *curl, const struct kubeconfig *config, const char *namespace,
		const char *name, const char *uid, struct cni_config *network, struct diag *diag)
{
	struct kube_object pod = {0}, account = {0};

	int r = fetch(curl, config, namespace, "pods", name, &pod, diag);
	if (r < 0)
		return r;
	if (!is_same_pod(&pod, uid))
		r = diag_fail(ENOENT, diag, NULL, "the pod %s is another one by now", name);
	if (r == 0 && annotate(network, &pod) < 0)
		r = diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (r == 0 && !has_role(network) && pod.service_account &&
	    kube_name_check(pod.service_account) == 0) {
		r = fetch(curl, config, namespace, "serviceaccounts", pod.service_account, &account,
			  diag);
		if (r == 0 && annotate(network, &account) < 0)
			r = diag_fail(ENOMEM, diag, NULL, "out of memory");
		kube_object_deinit(&account);
	}
	kube_object_deinit(&pod);
	return r;
}

static int load(const char *path, struct kubeconfig **ret, struct diag *diag)
{
	_cleanup_secret_ char *text = NULL;
	struct diag why = {0};
	size_t len;

	int r = file_read(path, KUBECONFIG_MAX, &text, &len);
	if (r < 0)
		return diag_fail(EINVAL, diag, "kubeconfig", "kubeconfig %s: %s", path,
				 strerror(-r));
	r = kubeconfig_parse(text, len, ret, &why);
	return r < 0 ? diag_fail(-r, diag, "kubeconfig", "kubeconfig %.256s: %s", path, why.text)
		     : 0;
}

int kube_lookup(const char *kubeconfig, const char *namespace, const char *name, const char *uid,
		struct cni_config *network, struct diag *diag)
{
	_cleanup_kubeconfig_ struct kubeconfig *config = NULL;

	if (kube_name_check(namespace) < 0 || kube_name_check(name) < 0)
		return diag_fail(EINVAL, diag, "CNI_ARGS", "the pod's name or namespace is none");
	int r = load(kubeconfig, &config, diag);
	if (r < 0)
		return r;
	CURL *curl = curl_easy_init();
	if (!curl)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	/* No proxy of the environment, no redirection to elsewhere. */
	bool fine = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK &&
		    set_tls(curl, config);
	r = fine ? set_token(curl, config, diag)
		 : diag_fail(EINVAL, diag, "kubeconfig",
			     "kubeconfig %s: its certificates cannot be used", kubeconfig);
	if (r == 0)
		r = look(curl, config, namespace, name, uid, network, diag);
	curl_easy_cleanup(curl);
	return r;
}
