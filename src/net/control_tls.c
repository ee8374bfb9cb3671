#include "net/control_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "util/buf.h"
#include "util/file.h"
#include "util/log.h"

#define PEM_MAX (1024 * 1024)
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20" /* of TLS 1.2; those of 1.3 are all good */

struct control_tls {
	SSL_CTX *ctx;
	unsigned char authority[32]; /* SHA-256 of the authority's file */
};

/* The oldest error on OpenSSL's queue, which is the cause; the queue is empty afterwards. */
static const char *reason(void)
{
	unsigned long error = ERR_get_error();
	const char *text = error ? ERR_reason_error_string(error) : NULL;

	ERR_clear_error();
	return text ? text : "it cannot be used";
}

static int fail_file(struct diag *diag, const char *key, const char *path, const char *why)
{
	return diag_fail(EINVAL, diag, key, "[control] %s: %s: %s", key, path, why);
}

static int fail_pem(struct diag *diag, const char *key, const char *path)
{
	return diag_fail(EINVAL, diag, key, "[control] %s: %s: has no PEM that can be used: %s",
			 key, path, reason());
}

/* Read first, so that what cannot be read is told apart from what is no PEM. */
static int read_pem(const char *key, const char *path, char **ret, struct diag *diag)
{
	int r = file_read(path, PEM_MAX, ret, NULL);

	return r < 0 ? diag_fail(-r, diag, key, "[control] %s: %s: cannot be read: %s", key, path,
				 strerror(-r))
		     : 0;
}

/* An encrypted key would make OpenSSL ask for the passphrase on the terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *data)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)data;
	return -1;
}

static int use_certificate(SSL_CTX *ctx, const char *path, struct diag *diag)
{
	_cleanup_secret_ char *text = NULL;

	int r = read_pem("tls_cert", path, &text, diag);
	if (r < 0)
		return r;
	if (SSL_CTX_use_certificate_chain_file(ctx, path) != 1)
		return fail_pem(diag, "tls_cert", path);
	/* No reason not to start: containers do not care. */
	const X509 *cert = SSL_CTX_get0_certificate(ctx);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		log_warning(NULL, "[control] tls_cert: %s has expired: clients will refuse it",
			    path);
	return 0;
}

static int use_key(SSL_CTX *ctx, const char *path, struct diag *diag)
{
	_cleanup_secret_ char *text = NULL;

	int r = read_pem("tls_key", path, &text, diag);
	if (r < 0)
		return r;
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (SSL_CTX_use_PrivateKey_file(ctx, path, SSL_FILETYPE_PEM) != 1)
		return fail_pem(diag, "tls_key", path);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return fail_file(diag, "tls_key", path, "is not the key of tls_cert");
	return 0;
}

static void count_objects(X509_STORE *store, size_t *ret_certificates, size_t *ret_crls)
{
	const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

	*ret_certificates = *ret_crls = 0;
	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		const X509_OBJECT *object = sk_X509_OBJECT_value(objects, i);
		if (X509_OBJECT_get0_X509(object))
			++*ret_certificates;
		else
			++*ret_crls;
	}
}

static int use_authority(struct control_tls *tls, const char *path, struct diag *diag)
{
	X509_STORE *store = SSL_CTX_get_cert_store(tls->ctx);
	_cleanup_secret_ char *text = NULL;
	size_t certificates, crls;

	int r = read_pem("tls_client_ca", path, &text, diag);
	if (r < 0)
		return r;
	if (EVP_Digest(text, strlen(text), tls->authority, NULL, EVP_sha256(), NULL) != 1)
		return fail_pem(diag, "tls_client_ca", path);
	if (X509_STORE_load_file(store, path) != 1)
		return fail_pem(diag, "tls_client_ca", path);
	count_objects(store, &certificates, &crls);
	if (certificates == 0)
		return fail_file(diag, "tls_client_ca", path, "has no certificate");
	if (crls > 0)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	SSL_CTX_set_client_CA_list(tls->ctx, SSL_load_client_CA_file(path));
	SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int configure(struct control_tls *tls, struct diag *diag)
{
	tls->ctx = SSL_CTX_new(TLS_server_method());
	if (!tls->ctx || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(tls->ctx, CIPHERS) != 1 ||
	    SSL_CTX_set_num_tickets(tls->ctx, 0) != 1)
		return diag_fail(ENOMEM, diag, "tls_listen", "cannot set TLS up: %s", reason());
	SSL_CTX_set_options(tls->ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
					      SSL_OP_NO_COMPRESSION |
					      SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	return 0;
}

int control_tls_load(const char *cert, const char *key, const char *client_ca,
		     struct control_tls **ret, struct diag *diag)
{
	struct control_tls *tls = calloc(1, sizeof(*tls));

	if (!tls)
		return diag_fail(ENOMEM, diag, "tls_listen", "out of memory");
	ERR_clear_error();
	int r = configure(tls, diag);
	if (r == 0)
		r = use_certificate(tls->ctx, cert, diag);
	if (r == 0)
		r = use_key(tls->ctx, key, diag);
	if (r == 0)
		r = use_authority(tls, client_ca, diag);
	if (r < 0) {
		control_tls_free(tls);
		return r;
	}
	*ret = tls;
	return 0;
}

struct control_tls *control_tls_free(struct control_tls *tls)
{
	if (!tls)
		return NULL;
	SSL_CTX_free(tls->ctx);
	free(tls);
	return NULL;
}

bool control_tls_trusts_as(const struct control_tls *a, const struct control_tls *b)
{
	return memcmp(a->authority, b->authority, sizeof(a->authority)) == 0;
}

struct bufferevent *control_tls_accept(const struct control_tls *tls, struct event_base *base,
				       int fd)
{
	SSL *ssl = SSL_new(tls->ctx);

	if (!ssl)
		return NULL;
	/* Should it fail, which it does without memory alone, `ssl` may be freed or not, by the
	 * version of libevent: rather lost than freed twice. */
	return bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING,
					      BEV_OPT_CLOSE_ON_FREE);
}

bool control_tls_subject(struct bufferevent *bev, char *subject, size_t size)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	X509 *cert = ssl && SSL_is_init_finished(ssl) ? SSL_get0_peer_certificate(ssl) : NULL;

	if (!cert || SSL_get_verify_result(ssl) != X509_V_OK)
		return false;
	BIO *out = BIO_new(BIO_s_mem());
	if (!out)
		return false;
	int r = X509_NAME_print_ex(out, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
	int n = r >= 0 ? BIO_read(out, subject, (int)size - 1) : -1;
	subject[n > 0 ? n : 0] = '\0'; /* a certificate may do without a subject */
	BIO_free(out);
	return r >= 0;
}

void control_tls_failure(struct bufferevent *bev, char *text, size_t size)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	unsigned long error = bufferevent_get_openssl_error(bev);
	long verified = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;

	if (verified != X509_V_OK)
		snprintf(text, size, "%s", X509_verify_cert_error_string(verified));
	else if (error && ERR_reason_error_string(error))
		snprintf(text, size, "%s", ERR_reason_error_string(error));
	else
		snprintf(text, size, "the client left");
	ERR_clear_error();
}

void control_tls_shutdown(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	if (ssl)
		(void)SSL_shutdown(ssl); /* one way: no answer is waited for */
	ERR_clear_error();
}
