#include "net/host_credentials.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "net/imds_client.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "wire/aws_partition.h"

#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define REGION_PATH "/latest/meta-data/placement/region"

#define ROLE_NAME_MAX 64 /* IAM's */
#define ROLE_LIST_MAX 1024
#define DOCUMENT_MAX (64 * 1024)
#define FILE_MAX (256 * 1024)

#define USABLE_MS (60 * 1000)	     /* credentials with less left are not handed out from here */
#define REFRESH_MS (10 * 60 * 1000)  /* they are fetched anew when they have less left */
#define REFRESH_PAUSE_MS (60 * 1000) /* between tries, while IMDS has no newer ones */
#define BACKOFF_MIN_MS 1000	     /* after failures: doubled each time, up to REFRESH_PAUSE_MS */

struct waiter {
	TAILQ_ENTRY(waiter) entry;
	struct host_credentials *owner;
	struct event *answer;
	bool answered; /* `answer` is active */
	struct credentials *credentials;
	struct diag diag;
	host_credentials_cb *cb;
	void *data;
};

struct host_credentials {
	struct event_base *base;
	const struct config *config;
	struct imds_client *imds;
	struct credentials *environment; /* as captured at start, or NULL */
	struct credentials *cached;
	char *region;
	bool fetching;
	struct imds_call *call;	     /* IMDS: the step under way */
	struct credentials *fetched; /* IMDS: got, and waiting for the region */
	struct event *refresh;
	unsigned failures; /* since the last success */
	TAILQ_HEAD(, waiter) waiters;
};

static void waiter_free(struct waiter *w)
{
	TAILQ_REMOVE(&w->owner->waiters, w, entry);
	event_free(w->answer);
	credentials_unref(w->credentials);
	free(w);
}

static void on_answer(evutil_socket_t fd, short events, void *data)
{
	struct waiter *w = data;
	_cleanup_credentials_ struct credentials *credentials = TAKE(w->credentials);
	struct diag diag = w->diag;
	host_credentials_cb *cb = w->cb;

	(void)fd, (void)events;
	data = w->data;
	waiter_free(w);
	cb(credentials, credentials ? NULL : &diag, data);
}

static int waiter_new(struct host_credentials *h, host_credentials_cb *cb, void *data)
{
	struct waiter *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->owner = h;
	w->cb = cb;
	w->data = data;
	w->answer = event_new(h->base, -1, 0, on_answer, w);
	if (!w->answer) {
		free(w);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&h->waiters, w, entry);
	return 0;
}

static void set_refresh(struct host_credentials *h, int64_t delay_ms)
{
	struct timeval tv = {delay_ms / 1000, delay_ms % 1000 * 1000};

	event_add(h->refresh, &tv);
}

static int64_t clamp(int64_t n, int64_t min, int64_t max)
{
	return n < min ? min : n > max ? max : n;
}

/* New credentials have come: when to look for the next ones? */
static void plan_refresh(struct host_credentials *h)
{
	const struct credentials *c = h->cached;

	event_del(h->refresh);
	if (c->expires_ms == INT64_MAX)
		return;
	int64_t left_ms = c->expires_ms - clock_now_ms();
	if (left_ms <= 0)
		return; /* stale already: the next who needs them fetches */
	int64_t life_ms = c->last_updated_s > 0 && c->expiration_s > c->last_updated_s
				  ? (c->expiration_s - c->last_updated_s) * 1000
				  : left_ms;
	int64_t threshold_ms = life_ms / 2 < REFRESH_MS ? life_ms / 2 : REFRESH_MS;
	/* IMDS may not have newer ones until 5 minutes before these end: then ask repeatedly. */
	set_refresh(h, left_ms > threshold_ms
			       ? left_ms - threshold_ms
			       : clamp(left_ms / 2, BACKOFF_MIN_MS, REFRESH_PAUSE_MS));
}

/* A fetch has failed: try again by ourselves as long as there is something to keep alive. */
static void plan_retry(struct host_credentials *h, const struct diag *diag)
{
	unsigned shift = h->failures < 16 ? h->failures : 16;
	int64_t now_ms = clock_now_ms();

	h->failures++;
	if (!h->cached || h->cached->expires_ms == INT64_MAX ||
	    h->cached->expires_ms - now_ms < USABLE_MS)
		return;
	log_warning(NULL, "host credentials cannot be renewed: %s; those held last for %lld s",
		    diag->text, (long long)(h->cached->expires_ms - now_ms) / 1000);
	set_refresh(h, clamp((int64_t)BACKOFF_MIN_MS << shift, BACKOFF_MIN_MS, REFRESH_PAUSE_MS));
}

/* The fetch has ended: with `credentials` (this takes the reference), or NULL and why. */
static void finish(struct host_credentials *h, struct credentials *credentials,
		   const struct diag *diag)
{
	struct waiter *w;

	h->fetching = false;
	if (credentials) {
		credentials_unref(h->cached);
		h->cached = credentials;
		h->failures = 0;
		plan_refresh(h);
	} else {
		plan_retry(h, diag);
	}
	TAILQ_FOREACH (w, &h->waiters, entry) {
		if (w->answered)
			continue; /* by the fetch before; it has not run yet */
		w->answered = true;
		w->credentials = credentials_ref(credentials);
		if (!credentials)
			w->diag = *diag;
		event_active(w->answer, EV_TIMEOUT, 0);
	}
}

#define fail(h, ...)                                                                               \
	do {                                                                                       \
		struct diag fail_diag_;                                                            \
		diag_set(&fail_diag_, "base_credentials", __VA_ARGS__);                            \
		finish((h), NULL, &fail_diag_);                                                    \
	} while (0)

/* What is wrong with IMDS's reply, in words; true if nothing is. */
static bool check_reply(struct host_credentials *h, const struct fetch_reply *reply,
			const char *path)
{
	const char *endpoint = h->config->aws.imds_endpoint;

	if (reply->error == -EACCES)
		fail(h, "IMDS at %s gives no session token: %s", endpoint, reply->error_text);
	else if (reply->error < 0)
		fail(h, "IMDS at %s does not answer: %s", endpoint, reply->error_text);
	else if (reply->status != 200)
		fail(h, "IMDS at %s answered HTTP %d to GET %s", endpoint, reply->status, path);
	else
		return true;
	return false;
}

static void step(struct host_credentials *h, const char *path, size_t reply_max, fetch_cb *cb)
{
	int r = imds_get(h->imds, path, reply_max, cb, h, &h->call);
	if (r < 0)
		fail(h, "IMDS at %s cannot be asked: %s", h->config->aws.imds_endpoint,
		     strerror(-r));
}

static void on_region(const struct fetch_reply *reply, void *data)
{
	struct host_credentials *h = data;

	h->call = NULL;
	if (reply->error == 0 && reply->status == 200) {
		char *region = strndup(reply->body.data, strcspn(reply->body.data, "\r\n"));
		if (region && aws_region_check(region, NULL) == 0)
			h->region = TAKE(region);
		free(region);
	}
	if (!h->region) /* no failure: it may be configured, or come with the next fetch */
		log_debug(NULL, "IMDS does not tell the region (HTTP %d)", reply->status);
	finish(h, TAKE(h->fetched), NULL);
}

static void on_credentials(const struct fetch_reply *reply, void *data)
{
	struct host_credentials *h = data;
	_cleanup_credentials_ struct credentials *c = NULL;
	struct diag diag;

	h->call = NULL;
	if (!check_reply(h, reply, ROLE_PATH "ROLE"))
		return;
	if (credentials_parse_imds(reply->body.data, reply->body.len, &c, &diag) < 0) {
		fail(h, "IMDS at %s: %s", h->config->aws.imds_endpoint, diag.text);
		return;
	}
	/* By IMDS's own clock, if it tells the time: ours may be wrong. */
	int64_t issuer_now_s = reply->date_s > 0 ? reply->date_s : clock_wall_s();
	c->expires_ms = clock_now_ms() + (c->expiration_s - issuer_now_s) * 1000;
	if (h->region) {
		finish(h, TAKE(c), NULL);
		return;
	}
	/* The region matters less than the credentials. */
	if (imds_get(h->imds, REGION_PATH, ROLE_LIST_MAX, on_region, h, &h->call) < 0)
		finish(h, TAKE(c), NULL);
	else
		h->fetched = TAKE(c);
}

static bool is_role_name(const char *name)
{
	size_t len = strlen(name);

	/* It goes into a URL: nothing but what IAM allows. */
	return len > 0 && len <= ROLE_NAME_MAX &&
	       strspn(name,
		      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-") ==
		       len &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void on_roles(const struct fetch_reply *reply, void *data)
{
	struct host_credentials *h = data;
	char role[ROLE_NAME_MAX + 2];
	char path[sizeof(ROLE_PATH) + sizeof(role)];

	h->call = NULL;
	if (reply->error == 0 && reply->status == 404) {
		fail(h, "the instance has no IAM role (IMDS at %s)", h->config->aws.imds_endpoint);
		return;
	}
	if (!check_reply(h, reply, ROLE_PATH))
		return;
	/* One line; EC2 knows one role an instance. */
	snprintf(role, sizeof(role), "%.*s", (int)strcspn(reply->body.data, "\r\n"),
		 reply->body.data);
	if (!role[0]) {
		fail(h, "the instance has no IAM role (IMDS at %s)", h->config->aws.imds_endpoint);
		return;
	}
	if (!is_role_name(role)) {
		fail(h, "IMDS at %s names a role that cannot be one: \"%s\"",
		     h->config->aws.imds_endpoint, role);
		return;
	}
	snprintf(path, sizeof(path), ROLE_PATH "%s", role);
	step(h, path, DOCUMENT_MAX, on_credentials);
}

static void fetch_file(struct host_credentials *h)
{
	const char *path = h->config->aws.base_file;
	struct credentials *c = NULL;
	char *text = NULL;
	struct diag diag;

	int r = file_read(path, FILE_MAX, &text, NULL);
	if (r < 0) {
		fail(h, "%s: cannot be read: %s", path, strerror(-r));
		return;
	}
	r = credentials_parse_file(text, path, h->config->aws.base_profile, &c, &diag);
	secret_free(text);
	if (r < 0)
		finish(h, NULL, &diag);
	else
		finish(h, c, NULL);
}

static void fetch_environment(struct host_credentials *h)
{
	if (h->environment)
		finish(h, credentials_ref(h->environment), NULL);
	else
		fail(h, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY were not in the environment");
}

static void fetch_begin(struct host_credentials *h)
{
	h->fetching = true;
	switch (h->config->aws.base_credentials) {
	case BASE_IMDS:
		step(h, ROLE_PATH, ROLE_LIST_MAX, on_roles);
		break;
	case BASE_ENVIRONMENT:
		fetch_environment(h);
		break;
	case BASE_FILE:
		fetch_file(h);
		break;
	}
}

static void on_refresh(evutil_socket_t fd, short events, void *data)
{
	struct host_credentials *h = data;

	(void)fd, (void)events;
	if (!h->fetching)
		fetch_begin(h);
}

int host_credentials_fetch(struct host_credentials *h, host_credentials_cb *cb, void *data)
{
	int r = waiter_new(h, cb, data);
	if (r < 0)
		return r;
	if (!h->fetching)
		fetch_begin(h);
	return 0;
}

void host_credentials_cancel(struct host_credentials *h, host_credentials_cb *cb, void *data)
{
	struct waiter *w;

	TAILQ_FOREACH (w, &h->waiters, entry) {
		if (w->cb == cb && w->data == data) {
			waiter_free(w);
			return;
		}
	}
}

struct credentials *host_credentials_get(struct host_credentials *h)
{
	if (!h->cached || (h->cached->expires_ms != INT64_MAX &&
			   h->cached->expires_ms - clock_now_ms() < USABLE_MS))
		return NULL;
	return h->cached;
}

void host_credentials_forget(struct host_credentials *h, const struct credentials *c)
{
	if (h->cached != c)
		return; /* newer ones have come since */
	h->cached = credentials_unref(h->cached);
	event_del(h->refresh);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

void host_credentials_reconfigure(struct host_credentials *h, const struct config *old)
{
	enum config_base_credentials source = h->config->aws.base_credentials;
	bool same = source == old->aws.base_credentials &&
		    same_text(h->config->aws.base_file, old->aws.base_file) &&
		    same_text(h->config->aws.base_profile, old->aws.base_profile) &&
		    (source != BASE_IMDS ||
		     same_text(h->config->aws.imds_endpoint, old->aws.imds_endpoint));

	if (same && source != BASE_FILE)
		return;
	if (!same) {
		h->cached = credentials_unref(h->cached);
		event_del(h->refresh);
	}
	/* What is under way asks the old source. */
	h->call = imds_call_cancel(h->call);
	h->fetched = credentials_unref(h->fetched);
	fetch_begin(h);
}

const char *host_credentials_region(const struct host_credentials *h)
{
	return h->region;
}

/* Take a variable out of the environment, and its value out of memory: what starts children, or
 * prints /proc/self/environ, finds nothing. The copy is the caller's; NULL if unset or empty. */
static char *take_variable(const char *name, bool *out_of_memory)
{
	char *value = getenv(name);
	char *copy = NULL;

	if (!value)
		return NULL;
	if (*value && !(copy = strdup(value)))
		*out_of_memory = true;
	explicit_bzero(value, strlen(value));
	unsetenv(name);
	return copy;
}

static int take_environment(struct host_credentials *h, struct diag *diag)
{
	bool out_of_memory = false;
	_cleanup_secret_ char *id = take_variable("AWS_ACCESS_KEY_ID", &out_of_memory);
	_cleanup_secret_ char *secret = take_variable("AWS_SECRET_ACCESS_KEY", &out_of_memory);
	_cleanup_secret_ char *token = take_variable("AWS_SESSION_TOKEN", &out_of_memory);
	_cleanup_credentials_ struct credentials *c = credentials_new();
	bool wanted = h->config->aws.base_credentials == BASE_ENVIRONMENT;

	if (out_of_memory || !c)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (!id || !secret)
		return wanted ? diag_fail(ENOENT, diag, "base_credentials",
					  "%s is not set in the environment",
					  id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID")
			      : 0;
	int r = credentials_set_keys(c, id, secret, token);
	if (r < 0)
		return wanted ? diag_fail(-r, diag, "base_credentials",
					  "the AWS keys in the environment are no keys: %s",
					  strerror(-r))
			      : 0;
	c->expires_ms = INT64_MAX;
	h->environment = TAKE(c);
	return 0;
}

int host_credentials_new(struct event_base *base, struct fetch_loop *loop,
			 const struct config *config, struct host_credentials **ret,
			 struct diag *diag)
{
	struct host_credentials *h = calloc(1, sizeof(*h));
	if (!h)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	h->base = base;
	h->config = config;
	TAILQ_INIT(&h->waiters);
	h->refresh = evtimer_new(base, on_refresh, h);
	int r = h->refresh ? imds_client_new(loop, config, &h->imds) : -ENOMEM;
	if (r < 0)
		diag_set(diag, NULL, "out of memory");
	else
		r = take_environment(h, diag);
	if (r < 0) {
		host_credentials_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

struct host_credentials *host_credentials_free(struct host_credentials *h)
{
	if (!h)
		return NULL;
	while (!TAILQ_EMPTY(&h->waiters))
		waiter_free(TAILQ_FIRST(&h->waiters));
	imds_call_cancel(h->call);
	imds_client_free(h->imds);
	if (h->refresh)
		event_free(h->refresh);
	credentials_unref(h->environment);
	credentials_unref(h->cached);
	credentials_unref(h->fetched);
	free(h->region);
	free(h);
	return NULL;
}
