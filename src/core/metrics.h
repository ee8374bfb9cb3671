/* metrics: what is counted on the way of a workload's request: results by container, latencies; and
 * the two things there that others must hear of. No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/container.h"
#include "wire/http_request.h"
#include "wire/http_response.h"

/* Upper bounds in microseconds; one more bucket for all that is slower. */
#define METRICS_LATENCY_BOUNDS                                                                     \
	{                                                                                          \
		25, 50, 100, 250, 500, 1000, 5000, 25000, 100000, 400000                           \
	}
#define METRICS_N_BOUNDS 10

struct metrics {
	uint64_t latency[METRICS_N_BOUNDS + 1];
	uint64_t latency_sum_us, latency_count;
	/* A container is about to get credentials that it has not got before: to be noted in its
	 * served_serial, served_key and served_count (0: this time is counted afterwards). */
	void (*served)(struct container *c, void *data);
	/* It asked for what is not served (404), not for it (403) or by a name that is none (400), and
	 * not because STS denies its role. Called for each; `target` is what the peer sent, and not
	 * NUL-terminated. */
	void (*refused)(struct container *c, struct http_slice target, int status, void *data);
	void *data;
};

/* metrics_answered(c, request, response, took_us): a request of this container has been answered.
 */
void metrics_answered(struct container *c, const struct http_request *request,
		      const struct http_response *response, int64_t took_us);

/* The label of a result class: "200", "4xx", … */
const char *metrics_result_name(unsigned result);
