#include "net/curl_loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "util/footprint.h"
#include "util/log.h"
#include "util/wiping.h"

/* All connections, used and idle. STS calls under way are bounded below this by configuration
 * ([aws] sts_max_in_flight <= 1000), so that none of their connections is closed for lack of room.
 */
#define CONNECTIONS_MAX 1024

/* After this long without a transfer, idle connections and what libcurl caches go: each TLS
 * connection is some 90 KiB. Renewals of many containers come closer together than this, those of
 * few can afford a handshake; and whoever looks for what wakes an idle rolegated need not wait. */
#define IDLE_S 10

/* A burst of transfers has passed: what it needed may go. */
#define CALM_S 1

/* One socket of libcurl's that libevent watches. */
struct watch {
	LIST_ENTRY(watch) entry;
	struct curl_loop *loop;
	struct event *event;
};

struct curl_loop {
	struct event_base *base;
	CURLM *multi;
	struct event *timer; /* libcurl's one timeout */
	struct event *idle, *calm;
	struct event *reap; /* hands out one ended transfer, and comes again if there are more */
	LIST_HEAD(, watch) watches;
	int n_transfers; /* added, and not handed out or removed */
	curl_loop_done *done;
	void *data;
};

/* Tell libcurl what happened on `fd`. */
static void act(struct curl_loop *loop, curl_socket_t fd, int mask)
{
	int running = 0;

	CURLMcode code = curl_multi_socket_action(loop->multi, fd, mask, &running);
	if (code != CURLM_OK)
		log_debug(NULL, "libcurl: %s", curl_multi_strerror(code));
	if (running < loop->n_transfers)
		event_active(loop->reap, EV_TIMEOUT, 0);
}

static void on_socket(evutil_socket_t fd, short events, void *data)
{
	struct watch *watch = data;
	int mask = (events & EV_READ ? CURL_CSELECT_IN : 0) |
		   (events & EV_WRITE ? CURL_CSELECT_OUT : 0);

	act(watch->loop, fd, mask); /* may free `watch` */
}

static void on_timer(evutil_socket_t fd, short events, void *data)
{
	(void)fd, (void)events;
	act(data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_reap(evutil_socket_t fd, short events, void *data)
{
	struct curl_loop *loop = data;
	int left = 0;

	(void)fd, (void)events;
	CURLMsg *message = curl_multi_info_read(loop->multi, &left);
	if (!message)
		return;
	/* Before the callback, which may free the loop. */
	if (left > 0)
		event_active(loop->reap, EV_TIMEOUT, 0);
	/* `message` dies with the handle's membership: copy first. */
	CURL *easy = message->easy_handle;
	CURLcode result = message->data.result;
	curl_loop_remove(loop, easy);
	loop->done(easy, result, loop->data);
}

static int new_multi(struct curl_loop *loop, CURLM **ret);

/* libcurl cannot be asked to close idle connections; a new multi handle has none. */
static void on_idle(evutil_socket_t fd, short events, void *data)
{
	struct curl_loop *loop = data;
	CURLM *fresh = NULL;

	(void)fd, (void)events;
	if (loop->n_transfers > 0 || new_multi(loop, &fresh) < 0)
		return;
	curl_multi_cleanup(loop->multi);
	loop->multi = fresh;
	event_del(loop->timer);
	footprint_trim();
}

static void on_calm(evutil_socket_t fd, short events, void *data)
{
	(void)fd, (void)events, (void)data;
	footprint_trim();
}

static void watch_free(struct watch *watch)
{
	LIST_REMOVE(watch, entry);
	if (watch->event)
		event_free(watch->event);
	free(watch);
}

static struct watch *watch_new(struct curl_loop *loop, curl_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return NULL;
	watch->loop = loop;
	LIST_INSERT_HEAD(&loop->watches, watch, entry);
	watch->event = event_new(loop->base, fd, EV_PERSIST, on_socket, watch);
	if (!watch->event || curl_multi_assign(loop->multi, fd, watch) != CURLM_OK) {
		watch_free(watch);
		return NULL;
	}
	return watch;
}

/* libcurl: wait for this on that socket. It must not be called back from in here. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct curl_loop *loop = data;
	struct watch *watch = socket_data;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch)
			watch_free(watch);
		return 0;
	}
	if (!watch && !(watch = watch_new(loop, fd)))
		return -1; /* libcurl then fails its transfers */
	short events = (short)(EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
			       (what & CURL_POLL_OUT ? EV_WRITE : 0));
	event_del(watch->event);
	if (event_assign(watch->event, loop->base, fd, events, on_socket, watch) < 0 ||
	    event_add(watch->event, NULL) < 0)
		return -1;
	return 0;
}

/* libcurl: wake me after so long. Zero means soon, not now: this too may run inside libcurl. */
static int set_timer(CURLM *multi, long timeout_ms, void *data)
{
	struct curl_loop *loop = data;
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	(void)multi;
	if (timeout_ms < 0)
		return event_del(loop->timer);
	return event_add(loop->timer, &tv);
}

static int new_multi(struct curl_loop *loop, CURLM **ret)
{
	CURLM *multi = curl_multi_init();

	if (!multi)
		return -ENOMEM;
	if (curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, set_socket) != CURLM_OK ||
	    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop) != CURLM_OK ||
	    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer) != CURLM_OK ||
	    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop) != CURLM_OK ||
	    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX) != CURLM_OK ||
	    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX) !=
		    CURLM_OK) {
		curl_multi_cleanup(multi);
		return -EINVAL;
	}
	*ret = multi;
	return 0;
}

int curl_loop_new(struct event_base *base, curl_loop_done *done, void *data, struct curl_loop **ret)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, strdup,
				 calloc) != CURLE_OK)
		return -ENOMEM;
	struct curl_loop *loop = calloc(1, sizeof(*loop));
	if (!loop) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	loop->base = base;
	loop->done = done;
	loop->data = data;
	LIST_INIT(&loop->watches);
	loop->timer = evtimer_new(base, on_timer, loop);
	loop->idle = evtimer_new(base, on_idle, loop);
	loop->calm = evtimer_new(base, on_calm, loop);
	loop->reap = event_new(base, -1, 0, on_reap, loop);
	int r = loop->timer && loop->idle && loop->calm && loop->reap
			? new_multi(loop, &loop->multi)
			: -ENOMEM;
	if (r < 0) {
		curl_loop_free(loop);
		return r;
	}
	*ret = loop;
	return 0;
}

struct curl_loop *curl_loop_free(struct curl_loop *loop)
{
	if (!loop)
		return NULL;
	assert(loop->n_transfers == 0);
	/* First, since closing idle connections may still call set_socket(). */
	if (loop->multi)
		curl_multi_cleanup(loop->multi);
	while (!LIST_EMPTY(&loop->watches))
		watch_free(LIST_FIRST(&loop->watches));
	if (loop->timer)
		event_free(loop->timer);
	if (loop->idle)
		event_free(loop->idle);
	if (loop->calm)
		event_free(loop->calm);
	if (loop->reap)
		event_free(loop->reap);
	free(loop);
	curl_global_cleanup();
	return NULL;
}

int curl_loop_add(struct curl_loop *loop, CURL *easy)
{
	/* Counted first: adding may already set the timer, never more. */
	loop->n_transfers++;
	CURLMcode code = curl_multi_add_handle(loop->multi, easy);
	if (code == CURLM_OK) {
		event_del(loop->idle);
		event_del(loop->calm);
		return 0;
	}
	loop->n_transfers--;
	return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

void curl_loop_remove(struct curl_loop *loop, CURL *easy)
{
	static const struct timeval idle = {IDLE_S, 0}, calm = {CALM_S, 0};

	curl_multi_remove_handle(loop->multi, easy);
	if (--loop->n_transfers == 0) {
		event_add(loop->idle, &idle);
		event_add(loop->calm, &calm);
	}
}
