#include "launch/signature.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launch/late_crypto.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "wire/simple_signing.h"

#define SIGNATURES_MAX 8 /* of one image */
#define SIGNATURE_MAX 8192

struct statement {
	char *payload;
	size_t len;
	unsigned char signature[SIGNATURE_MAX];
	size_t signature_len;
};

static void statement_deinit(struct statement *statement)
{
	free(statement->payload);
	statement->payload = NULL;
}

static EVP_PKEY *load_key(const struct late_crypto *crypto, const char *path, struct diag *diag)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file ? crypto->PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;

	if (!key)
		diag_set(diag, "image_keys", "[runtime] image_keys: %.256s: %s", path,
			 file ? "holds no public key in PEM" : strerror(errno));
	if (file)
		(void)fclose(file);
	return key;
}

static bool verify(const struct late_crypto *crypto, EVP_PKEY *key, const struct statement *s)
{
	EVP_MD_CTX *context = crypto->EVP_MD_CTX_new();
	/* Ed25519 does its own hashing. */
	const EVP_MD *hash =
		crypto->EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL : crypto->EVP_sha256();

	bool valid = context && crypto->EVP_DigestVerifyInit(context, NULL, hash, NULL, key) == 1 &&
		     crypto->EVP_DigestVerify(context, s->signature, s->signature_len,
					      (const unsigned char *)s->payload, s->len) == 1;
	crypto->EVP_MD_CTX_free(context);
	return valid;
}

/* Base64 with whatever white space an editor has put there. */
static int decode(const struct late_crypto *crypto, const char *text, struct statement *ret)
{
	char compact[SIGNATURE_MAX];
	size_t n = 0, padding = 0;

	for (; *text; text++) {
		if (isspace((unsigned char)*text))
			continue;
		if (n == sizeof(compact))
			return -EINVAL;
		padding += *text == '=';
		compact[n++] = *text;
	}
	int len = n > 0 && n % 4 == 0 && padding <= 2
			  ? crypto->EVP_DecodeBlock(ret->signature, (const unsigned char *)compact,
						    (int)n)
			  : -1;
	if (len < 0)
		return -EINVAL;
	ret->signature_len = (size_t)len - padding;
	return 0;
}

static int read_statement(const struct late_crypto *crypto, const char *directory, const char *hex,
			  int index, struct statement *ret)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX], number[16] = "";

	*ret = (struct statement){0};
	if (index > 0)
		snprintf(number, sizeof(number), ".%d", index);
	snprintf(path, sizeof(path), "%s/%s%s.payload", directory, hex, number);
	int r = file_read(path, SIMPLE_SIGNING_MAX, &ret->payload, &ret->len);
	snprintf(path, sizeof(path), "%s/%s%s.sig", directory, hex, number);
	if (r == 0)
		r = file_read(path, SIGNATURE_MAX, &text, NULL);
	if (r == 0)
		r = decode(crypto, text, ret);
	if (r < 0)
		statement_deinit(ret);
	return r;
}

static char *signer_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	const char *dot = strrchr(name, '.');

	return dot && dot > name ? strndup(name, (size_t)(dot - name)) : strdup(name);
}

/* Who of the keys in the list has signed the statement? 0, -EACCES if none, -EINVAL, -ENOMEM. */
static int find_signer(const struct late_crypto *crypto, const char *list,
		       const struct statement *s, char **ret, struct diag *diag)
{
	_cleanup_free_ char *copy = strdup(list);
	char *rest = copy, *path;

	if (!copy)
		return -ENOMEM;
	while ((path = strsep(&rest, ", \t\n"))) {
		if (!path[0])
			continue;
		EVP_PKEY *key = load_key(crypto, path, diag);
		if (!key)
			return -EINVAL;
		bool valid = verify(crypto, key, s);
		crypto->EVP_PKEY_free(key);
		if (!valid)
			continue;
		*ret = signer_name(path);
		return *ret ? 0 : -ENOMEM;
	}
	return diag_fail(EACCES, diag, NULL, "no key of [runtime] image_keys made its signature");
}

static bool is_sha256(const char *digest)
{
	return strncmp(digest, "sha256:", 7) == 0 && strlen(digest + 7) == 64 &&
	       strspn(digest + 7, "0123456789abcdef") == 64;
}

int signature_check(const struct config *config, const char *ref, const char *digest,
		    char **ret_signer, struct diag *diag)
{
	struct diag why = {.text = "there is none for it in [runtime] image_signatures"};

	*ret_signer = NULL;
	if (!config->runtime.image_keys)
		return 0;
	if (!ref || !digest || !is_sha256(digest))
		return diag_fail(EACCES, diag, "image",
				 "the image's signature cannot be looked for: its %s is not known",
				 ref ? "digest" : "reference");
	const struct late_crypto *crypto = late_crypto_load(diag);
	if (!crypto)
		return -ENOENT;
	for (int i = 0; i < SIGNATURES_MAX; i++) {
		_cleanup_(statement_deinit) struct statement s;
		if (read_statement(crypto, config->runtime.image_signatures, digest + 7, i, &s) < 0)
			continue;
		/* The signature first: nothing of an unsigned text is looked at. */
		int r = find_signer(crypto, config->runtime.image_keys, &s, ret_signer, &why);
		if (r == 0)
			r = simple_signing_check(s.payload, s.len, digest, ref, &why);
		if (r == 0)
			return 0;
		free(*ret_signer);
		*ret_signer = NULL;
		if (r != -EACCES)
			return diag_fail(-r, diag, why.field, "%s", why.text);
	}
	return diag_fail(EACCES, diag, "image", "image %.160s, %s: no valid signature: %s", ref,
			 digest, why.text);
}
