/* sim: a fleet over two days, for docs/simulation.md. The figures to standard output; with --csv
 * DIR, calls a second and errors a minute as files that plot.py draws.
 *
 *	build/tests/sim/sim [--hosts N] [--containers N] [--hours N] [--quota N] [--csv DIR]
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fleet.h"

static struct fleet_config config = {
	.hosts = 5000,
	.containers = 40,
	.start_spread_ms = 2 * HOUR,
	.duration_ms = 48 * HOUR,
	.life_s = 3600,
	.max_in_flight = 32,
	.max_per_second = 100,
	.latency_ms = 120,
	.quota_per_second = 600,
	.burst_s = 1,
	.ask_every_ms = 10 * MINUTE,
	.percent_sdk = 50,
	.percent_idle = 20,
	.seed = 20260101,
};

static int write_series(const char *dir, const char *name, const uint32_t *values, size_t n)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s.csv", dir, name);
	FILE *f = fopen(path, "we");
	if (!f) {
		perror(path);
		return 1;
	}
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%u\n", values[i]);
	return fclose(f) == 0 ? 0 : 1;
}

static void print_span(const char *name, const struct fleet_result *r, int64_t from_ms,
		       int64_t to_ms)
{
	size_t from = (size_t)(from_ms / SECOND), to = (size_t)(to_ms / SECOND);
	uint64_t errors = 0, late = 0;

	for (size_t m = from / 60; m < to / 60; m++)
		errors += r->errors_per_minute[m], late += r->late_per_minute[m];
	printf("| %s | %.1f | %u | %u | %llu | %llu |\n", name, fleet_mean(r, from, to),
	       fleet_percentile(r, from, to, 99), fleet_percentile(r, from, to, 100),
	       (unsigned long long)errors, (unsigned long long)late);
}

static void print(const struct fleet_result *r)
{
	const struct fleet_outage *o = &config.outages[0];

	printf("%u hosts x %u containers, %lld h, STS quota %.0f/s\n\n", config.hosts,
	       config.containers, (long long)(config.duration_ms / HOUR), config.quota_per_second);
	printf("| span | calls/s, mean | p99 | most | requests in error | served with < 15 min "
	       "left |\n"
	       "|---|---|---|---|---|---|\n");
	print_span("fair weather (hours 4 to 12)", r, 4 * HOUR, 12 * HOUR);
	print_span("30 min outage", r, o->from_ms, o->to_ms);
	print_span("the 5 minutes after it", r, o->to_ms, o->to_ms + 5 * MINUTE);
	print_span("the hour after that", r, o->to_ms + 5 * MINUTE, o->to_ms + 65 * MINUTE);
	print_span("deploy: 10 minutes", r, config.deploy_ms, config.deploy_ms + 10 * MINUTE);
	print_span("the hour after it", r, config.deploy_ms + 10 * MINUTE,
		   config.deploy_ms + 70 * MINUTE);
	print_span("all", r, 0, config.duration_ms - SECOND);
	printf("\ncalls %llu: accepted %llu, throttled %llu, failed in the outage %llu\n",
	       (unsigned long long)r->calls, (unsigned long long)r->accepted,
	       (unsigned long long)r->throttled, (unsigned long long)r->failed);
	printf("requests of workloads %llu: in error %llu (containers: %llu); none yet within 10 s "
	       "of "
	       "the start %llu\n",
	       (unsigned long long)r->asks, (unsigned long long)r->errors,
	       (unsigned long long)r->hurt, (unsigned long long)r->starting);
	printf("credentials served with under 15 min left: %llu; least left: %.1f min\n",
	       (unsigned long long)r->late, (double)r->least_left_ms / MINUTE);
}

static int parse(int argc, char **argv, const char **ret_csv)
{
	static const struct option options[] = {
		{"hosts", required_argument, NULL, 'h'},
		{"containers", required_argument, NULL, 'c'},
		{"hours", required_argument, NULL, 'd'},
		{"quota", required_argument, NULL, 'q'},
		{"csv", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			config.hosts = (unsigned)atoi(optarg);
			break;
		case 'c':
			config.containers = (unsigned)atoi(optarg);
			break;
		case 'd':
			config.duration_ms = atoi(optarg) * HOUR;
			break;
		case 'q':
			config.quota_per_second = atof(optarg);
			break;
		case 'o':
			*ret_csv = optarg;
			break;
		default:
			return -1;
		}
	}
	return config.duration_ms >= 40 * HOUR ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct fleet_result r;
	const char *csv = NULL;

	if (parse(argc, argv, &csv) < 0) {
		fprintf(stderr,
			"sim: bad arguments (--hours: at least 40); see the top of sim.c\n");
		return 2;
	}
	config.n_outages = 1;
	config.outages[0] = (struct fleet_outage){14 * HOUR, 14 * HOUR + 30 * MINUTE, OUTAGE_HANGS};
	config.deploy_ms = 30 * HOUR;
	if (fleet_run(&config, &r) < 0) {
		fprintf(stderr, "sim: out of memory\n");
		return 1;
	}
	print(&r);
	int code = 0;
	if (csv)
		code = write_series(csv, "calls", r.per_second, r.n_seconds) |
		       write_series(csv, "errors", r.errors_per_minute, r.n_seconds / 60);
	fleet_result_deinit(&r);
	return code;
}
