/* fleet: hosts with containers against one STS, all virtual: the daemon's own session pools
 *(src/core) on a clock that jumps from event to event. Used by the gating unit tests and by the
 *simulator.
 *
 *	workload --asks--> session <--pool--> call --latency--> STS (quota, outages) --> session
 *
 * Everything is driven by one seed, so a run can be repeated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

#define FLEET_OUTAGES_MAX 8

enum fleet_outage_kind {
	OUTAGE_REFUSED, /* fails at once */
	OUTAGE_HANGS,	/* fails when the caller gives up */
	OUTAGE_ERRORS,	/* 500 after the usual latency */
};

struct fleet_outage {
	int64_t from_ms, to_ms;
	enum fleet_outage_kind kind;
};

struct fleet_config {
	unsigned hosts, containers; /* of each host */
	unsigned shared;	    /* sessions of each host; 0: one a container */
	int64_t start_spread_ms;    /* containers come up over so long */
	int64_t duration_ms;
	int64_t life_s;
	unsigned max_in_flight, max_per_second;
	int64_t latency_ms; /* of STS; half to one and a half times that, but exact for one host */
	double quota_per_second; /* 0: none. With burst_s seconds' worth of burst */
	double burst_s;
	struct fleet_outage outages[FLEET_OUTAGES_MAX];
	unsigned n_outages;
	int64_t deploy_ms;     /* when a tenth of the hosts restarts all its containers; 0: never */
	int64_t ask_every_ms;  /* a plain client's pace */
	unsigned percent_sdk;  /* clients that cache and come when 15 minutes are left */
	unsigned percent_idle; /* containers that never ask */
	uint64_t seed;
};

#define FLEET_SERIES_MAX (49 * 3600)

struct fleet_result {
	uint64_t calls, accepted, throttled, failed;
	uint64_t asks, errors;	   /* a workload asked, and got none */
	uint64_t errors_unexpired; /* ... though its last credentials had not expired */
	uint64_t hurt;		   /* containers that saw an error */
	uint64_t starting;	   /* asks within 10 s of a container's start that found none yet */
	uint64_t late;		   /* credentials handed out with under 15 minutes left */
	int64_t least_left_ms;	   /* of any handed out */
	int64_t ready_ms;	   /* when every session had its first credentials; -1: never */
	int64_t healed_ms;	   /* when the last session without valid credentials got some */
	uint32_t *per_second;	   /* calls that reached STS or tried to, duration/1000 entries */
	uint32_t *errors_per_minute;
	uint32_t *late_per_minute;
	size_t n_seconds;
};

/* fleet_run(config, ret): 0, or -1 when out of memory. fleet_result_deinit() frees. */
int fleet_run(const struct fleet_config *config, struct fleet_result *ret);
void fleet_result_deinit(struct fleet_result *result);

/* The pth percentile (0 to 100) of calls a second from one second to another. */
uint32_t fleet_percentile(const struct fleet_result *result, size_t from_s, size_t to_s, double p);
double fleet_mean(const struct fleet_result *result, size_t from_s, size_t to_s);
