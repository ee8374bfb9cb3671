/* curl_loop: libcurl's multi interface on the libevent loop, and nothing of HTTP.
 *
 * libcurl says which sockets and which timeout it waits for; libevent waits; on each event libcurl
 * is told, and does what it can without blocking. Transfers that have ended are handed out one per
 * loop iteration, from an event of their own: never from inside libcurl, and never from the call
 * that started them.
 */
#pragma once

#include <curl/curl.h>
#include <event2/event.h>

struct curl_loop;

/* `easy` has ended with `result` and is out of the loop; it is the callee's. Runs last: the callee
 * may add and remove transfers and may free the loop. */
typedef void curl_loop_done(CURL *easy, CURLcode result, void *data);

/* curl_loop_new(base, done, data, ret): also sets libcurl up for the whole process, with an
 * allocator that wipes what it frees. 0 or -errno. */
int curl_loop_new(struct event_base *base, curl_loop_done *done, void *data,
		  struct curl_loop **ret);

/* curl_loop_free(loop): closes idle connections too. No transfer may be in the loop. NULL is fine.
 * Returns NULL. */
struct curl_loop *curl_loop_free(struct curl_loop *loop);

/* curl_loop_add(loop, easy): start a transfer. It needs CURLOPT_PRIVATE to find its way back. 0 or
 * -errno. */
int curl_loop_add(struct curl_loop *loop, CURL *easy);

/* curl_loop_remove(loop, easy): stop a transfer that has not been handed out; it will not be. */
void curl_loop_remove(struct curl_loop *loop, CURL *easy);
