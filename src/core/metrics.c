#include "core/metrics.h"

#include <stddef.h>

static const struct {
	int status;
	const char *name;
} results[CONTAINER_N_RESULTS] = {
	{200, "200"}, {400, "400"}, {401, "401"}, {403, "403"}, {404, "404"},
	{405, "405"}, {429, "429"}, {503, "503"}, {0, "other"},
};

const char *metrics_result_name(unsigned result)
{
	return results[result].name;
}

static unsigned result_of(int status)
{
	unsigned i = 0;

	while (i < CONTAINER_N_RESULTS - 1 && results[i].status != status)
		i++;
	return i;
}

static void count_latency(struct metrics *m, int64_t took_us)
{
	static const int64_t bounds[METRICS_N_BOUNDS] = METRICS_LATENCY_BOUNDS;
	unsigned i = 0;

	while (i < METRICS_N_BOUNDS && took_us > bounds[i])
		i++;
	m->latency[i]++;
	m->latency_sum_us += (uint64_t)took_us;
	m->latency_count++;
}

void metrics_answered(struct container *c, const struct http_request *request,
		      const struct http_response *response, int64_t took_us)
{
	struct session *s = c->session;
	struct metrics *m = c->metrics;

	c->results[result_of(response->status)]++;
	if (m)
		count_latency(m, took_us);
	if (response->status == 200 && s && response->credentials) {
		s->asked = true;
		if (response->head)
			return;
		if (c->served_serial != s->serial && m && m->served)
			m->served(c, m->data);
		c->served_count++;
	} else if (response->status == 503 && s) {
		s->asked = true; /* in vain: that makes it urgent */
	} else if ((response->status == 404 ||
		    (response->status == 400 && request->method == HTTP_GET) || /* ECS: whose id? */
		    (response->status == 403 && s && s->last_class != STS_DENIED)) &&
		   m && m->refused) {
		m->refused(c, request->target, response->status, m->data);
	}
}
