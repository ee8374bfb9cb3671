#include "rolegated/metrics_page.h"

#include <inttypes.h>

#include "util/clock.h"

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and LF are escaped; other control bytes have no business. */
static void put_label(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s=\"", name);
	for (; value && *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_printf(out, "\\%c", *value);
		else if ((unsigned char)*value >= 0x20 && *value != 0x7f)
			buf_put(out, value, 1);
		else
			buf_puts(out, *value == '\n' ? "\\n" : "?");
	}
	buf_puts(out, "\"");
}

static void print_requests(const struct recorder *r, struct buf *out)
{
	static const char name[] = "rolegate_requests_total";
	const struct container *c;

	head(out, name, "counter", "Metadata requests answered, by container and HTTP status.");
	TAILQ_FOREACH (c, &r->registry->containers, link) {
		for (unsigned i = 0; i < CONTAINER_N_RESULTS; i++) {
			if (c->results[i] == 0)
				continue;
			buf_printf(out, "%s{", name);
			put_label(out, "container", c->id);
			buf_printf(out, ",result=\"%s\"} %" PRIu64 "\n", metrics_result_name(i),
				   c->results[i]);
		}
	}
}

static void print_latency(const struct metrics *m, struct buf *out)
{
	static const char name[] = "rolegate_request_duration_seconds";
	static const int64_t bounds[METRICS_N_BOUNDS] = METRICS_LATENCY_BOUNDS;
	uint64_t sum = 0;

	head(out, name, "histogram",
	     "From a metadata request's arrival in rolegated to its answer.");
	for (unsigned i = 0; i < METRICS_N_BOUNDS; i++) {
		sum += m->latency[i];
		buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)bounds[i] / 1e6,
			   sum);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n",
		   name, m->latency_count, name, (double)m->latency_sum_us / 1e6, name,
		   m->latency_count);
}

static void print_sts(struct session_pool *pool, struct buf *out)
{
	static const char *const classes[N_STS_CLASSES] = {
		[STS_OK] = "ok",
		[STS_DENIED] = "denied",
		[STS_RETRY] = "failed",
		[STS_THROTTLED] = "throttled",
		[STS_BASE_EXPIRED] = "host_credentials_refused",
		[STS_SKEW] = "clock_skew",
	};
	struct session_pool_view view = session_pool_view(pool, clock_now_ms());

	head(out, "rolegate_assume_role_total", "counter", "AssumeRole calls finished, by result.");
	for (unsigned i = 0; i < N_STS_CLASSES; i++)
		buf_printf(out, "rolegate_assume_role_total{result=\"%s\"} %" PRIu64 "\n",
			   classes[i], pool->calls[i]);
	head(out, "rolegate_sts_queue_length", "gauge",
	     "Sessions whose AssumeRole is due and has not been sent.");
	buf_printf(out, "rolegate_sts_queue_length %zu\n", view.queue);
	head(out, "rolegate_sts_queue_waiting", "gauge",
	     "Of these, those that a registration waits for.");
	buf_printf(out, "rolegate_sts_queue_waiting %zu\n", view.waiting);
	head(out, "rolegate_sts_in_flight", "gauge", "AssumeRole calls under way.");
	buf_printf(out, "rolegate_sts_in_flight %u\n", view.in_flight);
	head(out, "rolegate_sts_calls_per_second_limit", "gauge",
	     "Calls a second that may be made: as configured, or lower while STS throttles.");
	buf_printf(out, "rolegate_sts_calls_per_second_limit %g\n", view.rate);
	head(out, "rolegate_sts_outage", "gauge",
	     "1 while STS does not answer and is only probed.");
	buf_printf(out, "rolegate_sts_outage %d\n", view.outage);
	head(out, "rolegate_sessions", "gauge", "Distinct sessions; containers may share one.");
	buf_printf(out, "rolegate_sessions %zu\n", pool->n_sessions);
}

static enum session_state state_of(const struct container *c, int64_t now_ms)
{
	return c->phase == CONTAINER_ATTACHED ? session_state(c->session, now_ms) : SESSION_PENDING;
}

static void print_states(const struct recorder *r, int64_t now_ms, struct buf *out)
{
	unsigned long n[N_SESSION_STATES] = {0};
	const struct container *c;

	TAILQ_FOREACH (c, &r->registry->containers, link)
		n[state_of(c, now_ms)]++;
	head(out, "rolegate_containers", "gauge",
	     "Registered containers by state; renewing and stale ones have valid credentials.");
	for (unsigned i = 0; i < N_SESSION_STATES; i++)
		buf_printf(out, "rolegate_containers{state=\"%s\"} %lu\n",
			   session_state_detail((enum session_state)i), n[i]);
}

static void print_containers(const struct recorder *r, int64_t now_ms, struct buf *out)
{
	const struct container *c;

	head(out, "rolegate_container_info", "gauge", "1 for each registered container.");
	TAILQ_FOREACH (c, &r->registry->containers, link) {
		buf_puts(out, "rolegate_container_info{");
		put_label(out, "container", c->id);
		put_label(out, ",role_arn", c->registration->role.role_arn);
		put_label(out, ",session_name", c->registration->role.session_name);
		put_label(out, ",image", c->registration->image_ref);
		put_label(out, ",policy_rule", c->registration->policy_rule);
		put_label(out, ",state", session_state_name(state_of(c, now_ms)));
		buf_puts(out, "} 1\n");
	}
	head(out, "rolegate_credentials_expiry_seconds", "gauge",
	     "Seconds until the container's credentials expire; 0 without valid ones.");
	TAILQ_FOREACH (c, &r->registry->containers, link) {
		bool valid = session_valid(c->session, now_ms);
		buf_puts(out, "rolegate_credentials_expiry_seconds{");
		put_label(out, "container", c->id);
		buf_printf(out, "} %" PRId64 "\n",
			   valid ? (c->session->credentials->expires_ms - now_ms) / 1000 : 0);
	}
}

static void print_own(const struct recorder *r, struct buf *out)
{
	head(out, "rolegate_events_total", "counter", "Events told to followers of /v1/events.");
	buf_printf(out, "rolegate_events_total %" PRIu64 "\n", r->events.published);
	head(out, "rolegate_events_followers", "gauge", "Clients that follow /v1/events.");
	buf_printf(out, "rolegate_events_followers %zu\n", r->events.n_clients);
	head(out, "rolegate_events_followers_dropped_total", "counter",
	     "Followers whose stream was ended because they read too slowly.");
	buf_printf(out, "rolegate_events_followers_dropped_total %" PRIu64 "\n",
		   r->events.dropped_clients);
	head(out, "rolegate_audit_lines_total", "counter", "Lines written to the audit.");
	buf_printf(out, "rolegate_audit_lines_total %" PRIu64 "\n", r->audit.lines);
	head(out, "rolegate_audit_lost_total", "counter",
	     "Lines that could not be written to the audit.");
	buf_printf(out, "rolegate_audit_lost_total %" PRIu64 "\n", r->audit.lost);
	head(out, "rolegate_build_info", "gauge", "1, with the version.");
	buf_puts(out, "rolegate_build_info{version=\"" ROLEGATE_VERSION "\"} 1\n");
}

void metrics_page_print(const struct recorder *recorder, struct session_pool *pool, struct buf *out)
{
	int64_t now_ms = clock_now_ms();

	print_requests(recorder, out);
	print_latency(&recorder->metrics, out);
	print_sts(pool, out);
	print_states(recorder, now_ms, out);
	print_containers(recorder, now_ms, out);
	print_own(recorder, out);
}
