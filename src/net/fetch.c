#include "net/fetch.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/curl_loop.h"
#include "util/clock.h"

#define USER_AGENT "rolegate/" ROLEGATE_VERSION

/* How long a parsed CA file is taken for current: parsing takes milliseconds, and a private CA may
 * be replaced. */
#define CA_CACHE_S 600L

struct fetch_loop {
	struct event_base *base;
	struct curl_loop *curl;
};

struct fetch {
	struct fetch_loop *loop;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body; /* of the request */
	size_t reply_max;
	bool too_large;
	char error_text[CURL_ERROR_SIZE];
	struct fetch_reply reply;
	fetch_cb *cb;
	void *data;
};

static void fetch_free(struct fetch *f)
{
	if (!f)
		return;
	if (f->easy)
		curl_easy_cleanup(f->easy);
	curl_slist_free_all(f->headers);
	buf_deinit(&f->body);
	buf_deinit(&f->reply.body);
	free(f);
}
DEFINE_CLEANUP(struct fetch *, fetch_free)
#define _cleanup_fetch_ _cleanup_(fetch_freep)

static const struct {
	CURLcode code;
	int error;
} errors[] = {
	{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT},
	{CURLE_COULDNT_CONNECT, ECONNREFUSED},
	{CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH},
	{CURLE_OUT_OF_MEMORY, ENOMEM},
	{CURLE_INTERFACE_FAILED, EADDRNOTAVAIL},
	{CURLE_URL_MALFORMAT, EINVAL},
	{CURLE_FILESIZE_EXCEEDED, EFBIG},
	{CURLE_SSL_CONNECT_ERROR, EPROTO},
	{CURLE_PEER_FAILED_VERIFICATION, EPROTO},
	{CURLE_SSL_CACERT_BADFILE, EPROTO},
	{CURLE_SSL_CERTPROBLEM, EPROTO},
	{CURLE_SSL_CIPHER, EPROTO},
	{CURLE_SSL_ISSUER_ERROR, EPROTO},
	{CURLE_SSL_CRL_BADFILE, EPROTO},
	{CURLE_SSL_INVALIDCERTSTATUS, EPROTO},
	{CURLE_SSL_CLIENTCERT, EPROTO},
	{CURLE_SSL_ENGINE_INITFAILED, EPROTO},
};

static int to_errno(CURLcode code, const struct fetch *f)
{
	if (f->too_large)
		return -EFBIG;
	/* libcurl has one code for all timeouts; to a person, a dead name server is another. */
	if (code == CURLE_OPERATION_TIMEDOUT && strncmp(f->error_text, "Resolving", 9) == 0)
		return -EHOSTUNREACH;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].code == code)
			return -errors[i].error;
	return -EIO;
}

/* The last header of that name, or NULL; valid as long as the handle. */
static const char *reply_header(const struct fetch *f, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(f->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

static void copy_header(const struct fetch *f, const char *name, char *to, size_t size)
{
	const char *value = reply_header(f, name);

	snprintf(to, size, "%s", value ? value : "");
}

static void read_headers(struct fetch *f)
{
	struct fetch_reply *reply = &f->reply;
	long status = 0;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	reply->status = (int)status;
	const char *date = reply_header(f, "Date");
	if (date && clock_parse_http_date(date, &reply->date_s) < 0)
		reply->date_s = 0;
	const char *ttl = reply_header(f, "X-aws-ec2-metadata-token-ttl-seconds");
	reply->token_ttl_s = -1;
	if (ttl && *ttl && strlen(ttl) < 10 && strspn(ttl, "0123456789") == strlen(ttl))
		reply->token_ttl_s = strtol(ttl, NULL, 10);
	copy_header(f, "x-amzn-requestid", reply->request_id, sizeof(reply->request_id));
	if (!reply->request_id[0]) /* Ceph, MinIO */
		copy_header(f, "x-amz-request-id", reply->request_id, sizeof(reply->request_id));
	copy_header(f, "Content-Type", reply->content_type, sizeof(reply->content_type));
	copy_header(f, "Last-Modified", reply->last_modified, sizeof(reply->last_modified));
}

/* A transfer has ended. */
static void on_done(CURL *easy, CURLcode code, void *data)
{
	char *private = NULL;

	(void)data;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	_cleanup_fetch_ struct fetch *f = (struct fetch *)(void *)private;
	struct fetch_reply *reply = &f->reply;

	read_headers(f);
	if (code == CURLE_OK && !buf_ok(&reply->body))
		code = CURLE_OUT_OF_MEMORY;
	if (code != CURLE_OK) {
		reply->error = to_errno(code, f);
		snprintf(reply->error_text, sizeof(reply->error_text), "%.255s",
			 f->too_large	    ? "the reply is too large"
			 : f->error_text[0] ? f->error_text
					    : curl_easy_strerror(code));
		buf_reset(&reply->body); /* half a reply is no reply */
	} else if (!buf_reserve(&reply->body, 0)) {
		reply->error = -ENOMEM;
	}
	/* Before the callback, which may free the loop and with it libcurl. */
	curl_easy_cleanup(TAKE(f->easy));
	f->cb(reply, f->data);
}

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
	struct fetch *f = user;
	size_t len = size * n; /* size is always 1, says the documentation */

	if (len > f->reply_max - f->reply.body.len) {
		f->too_large = true;
		return 0; /* fails the transfer */
	}
	buf_put(&f->reply.body, data, len);
	return buf_ok(&f->reply.body) ? len : 0;
}

#define SET(f, option, value) (curl_easy_setopt((f)->easy, (option), (value)) == CURLE_OK)

/* What is the same for every request: where libcurl may not go, and what it may not take from the
 * environment. */
static bool set_confinement(struct fetch *f)
{
	return SET(f, CURLOPT_PROTOCOLS_STR, "http,https") && SET(f, CURLOPT_FOLLOWLOCATION, 0L) &&
	       SET(f, CURLOPT_PATH_AS_IS, 1L) && /* what is signed is what is sent */
	       SET(f, CURLOPT_PROXY, "") && SET(f, CURLOPT_NOPROXY, "*") &&
	       SET(f, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
	       SET(f, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) &&
	       SET(f, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
	       SET(f, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) &&
	       SET(f, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S) &&
	       /* No signals: they are the daemon's, and resolving has its own thread. */
	       SET(f, CURLOPT_NOSIGNAL, 1L) &&
	       /* When a name server hangs, removing the handle must not wait for the resolver's
		* thread, which would stop the whole loop for seconds; it cleans up after itself. */
	       SET(f, CURLOPT_QUICK_EXIT, 1L);
}

static bool set_target(struct fetch *f, const struct fetch_request *request)
{
	if (!SET(f, CURLOPT_URL, request->url) || !SET(f, CURLOPT_USERAGENT, USER_AGENT) ||
	    !SET(f, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms) ||
	    !SET(f, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms) ||
	    !SET(f, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->reply_max))
		return false;
	/* A CA file given is the only one trusted: the system's directory must go. */
	if (request->ca_file &&
	    (!SET(f, CURLOPT_CAINFO, request->ca_file) || !SET(f, CURLOPT_CAPATH, NULL)))
		return false;
	if (request->local_address) {
		_cleanup_buf_ struct buf local = {0};
		buf_printf(&local, "host!%s", request->local_address);
		return buf_ok(&local) && SET(f, CURLOPT_INTERFACE, local.data);
	}
	return true;
}

static bool set_callbacks(struct fetch *f)
{
	return SET(f, CURLOPT_WRITEFUNCTION, on_body) && SET(f, CURLOPT_WRITEDATA, f) &&
	       SET(f, CURLOPT_ERRORBUFFER, f->error_text) && SET(f, CURLOPT_PRIVATE, f);
}

static bool set_method(struct fetch *f, const struct fetch_request *request)
{
	if (strcmp(request->method, "GET") == 0)
		return SET(f, CURLOPT_HTTPGET, 1L);
	/* A PUT is a POST by another name here: libcurl's own PUT would want a read callback. */
	return SET(f, CURLOPT_POST, 1L) &&
	       SET(f, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.len) &&
	       SET(f, CURLOPT_POSTFIELDS, f->body.data) &&
	       SET(f, CURLOPT_CUSTOMREQUEST, request->method);
}

static int add_header(struct fetch *f, const char *line)
{
	if (line[strcspn(line, "\r\n")])
		return -EINVAL;
	struct curl_slist *longer = curl_slist_append(f->headers, line);
	if (!longer)
		return -ENOMEM;
	f->headers = longer;
	return 0;
}

static int set_headers(struct fetch *f, const struct fetch_request *request)
{
	bool has_type = false;

	/* "Name:" takes away what libcurl would add by itself. */
	int r = add_header(f, "Expect:");
	for (const char *const *h = request->headers; r == 0 && h && *h; h++) {
		r = add_header(f, *h);
		has_type = has_type || strncasecmp(*h, "Content-Type:", 13) == 0;
	}
	if (r == 0 && !has_type)
		r = add_header(f, "Content-Type:");
	if (r == 0 && !SET(f, CURLOPT_HTTPHEADER, f->headers))
		r = -ENOMEM;
	return r;
}

static int fetch_prepare(struct fetch *f, const struct fetch_request *request)
{
	buf_put(&f->body, request->body, request->body ? request->body_len : 0);
	if (!buf_ok(&f->body))
		return -ENOMEM;
	f->easy = curl_easy_init();
	if (!f->easy)
		return -ENOMEM;
	if (!set_confinement(f) || !set_target(f, request) || !set_callbacks(f) ||
	    !set_method(f, request))
		return -EINVAL;
	return set_headers(f, request);
}

int fetch_start(struct fetch_loop *loop, const struct fetch_request *request, fetch_cb *cb,
		void *data, struct fetch **ret)
{
	static const char *const methods[] = {"GET", "PUT", "POST"};
	bool known = false;

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		known = known || strcmp(request->method, methods[i]) == 0;
	if (!known)
		return -EINVAL;

	_cleanup_fetch_ struct fetch *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->loop = loop;
	f->reply_max = request->reply_max;
	f->cb = cb;
	f->data = data;
	int r = fetch_prepare(f, request);
	if (r == 0)
		r = curl_loop_add(loop->curl, f->easy);
	if (r < 0)
		return r;
	*ret = TAKE(f);
	return 0;
}

struct fetch *fetch_cancel(struct fetch *f)
{
	if (!f)
		return NULL;
	curl_loop_remove(f->loop->curl, f->easy);
	fetch_free(f);
	return NULL;
}

int fetch_loop_new(struct event_base *base, struct fetch_loop **ret)
{
	struct fetch_loop *loop = calloc(1, sizeof(*loop));
	if (!loop)
		return -ENOMEM;
	loop->base = base;
	int r = curl_loop_new(base, on_done, loop, &loop->curl);
	if (r < 0) {
		free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

struct fetch_loop *fetch_loop_free(struct fetch_loop *loop)
{
	if (!loop)
		return NULL;
	curl_loop_free(loop->curl);
	free(loop);
	return NULL;
}

struct event_base *fetch_loop_base(const struct fetch_loop *loop)
{
	return loop->base;
}
