/* What docs/simulation.md promises of one host, on a virtual clock: see tests/sim/fleet.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fleet.h"

static const struct fleet_config defaults = {
	.hosts = 1,
	.containers = 40,
	.duration_ms = HOUR,
	.life_s = 3600,
	.max_in_flight = 32,
	.max_per_second = 100,
	.latency_ms = 100,
	.ask_every_ms = MINUTE,
};

static struct fleet_result run(const struct fleet_config *config)
{
	struct fleet_result result;

	assert_int_equal(fleet_run(config, &result), 0);
	assert_int_equal(result.errors_unexpired, 0);
	return result;
}

/* 1,000 containers at once on an STS of 100 ms, with the default limits. */
static void test_thousand_at_once(void **state)
{
	struct fleet_config config = defaults;

	(void)state;
	config.containers = 1000;
	config.duration_ms = 10 * MINUTE;
	struct fleet_result r = run(&config);
	assert_int_equal(r.calls, 1000);
	assert_true(r.ready_ms > 0 && r.ready_ms <= 1000 * 100 / 32 * 12 / 10);
	assert_int_equal(r.errors, 0);
	fleet_result_deinit(&r);

	config.shared = 50;
	r = run(&config);
	assert_int_equal(r.calls, 50);
	assert_true(r.ready_ms <= 2 * 100 * 12 / 10);
	fleet_result_deinit(&r);
}

/* STS takes 20 calls a second. */
static void test_throttled_to_20(void **state)
{
	static const unsigned sizes[] = {200, 1000};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fleet_config config = defaults;
		config.containers = sizes[i];
		config.duration_ms = 5 * MINUTE;
		config.latency_ms = 20;
		config.quota_per_second = 20;
		config.burst_s = 1;
		struct fleet_result r = run(&config);
		int64_t ideal_ms = (sizes[i] - 20) * 1000 / 20;
		assert_int_equal(r.accepted, sizes[i]);
		assert_true(r.ready_ms > 0 && r.ready_ms <= ideal_ms * 13 / 10);
		/* Once adapted (after 3 seconds). */
		uint64_t sent = 0;
		for (size_t s = 3; s < r.n_seconds; s++)
			sent += r.per_second[s];
		assert_true((double)sent <= 1.3 * 20 * ((double)r.ready_ms / 1000 - 3));
		/* And on the whole. */
		assert_true((double)r.calls <= 1.3 * (double)r.accepted + 150);
		fleet_result_deinit(&r);
	}
}

/* Many hosts start at once, and share a quota of about a call a second each. */
static void test_throttled_fleet(void **state)
{
	struct fleet_config config = defaults;

	(void)state;
	config.hosts = 100;
	config.duration_ms = 5 * MINUTE;
	config.quota_per_second = 120;
	config.burst_s = 1;
	struct fleet_result r = run(&config);
	int64_t ideal_ms = (100 * 40 - 120) * 1000 / 120;
	assert_int_equal(r.accepted, 100 * 40);
	assert_true(r.ready_ms > 0 && r.ready_ms <= ideal_ms * 13 / 10);
	/* Without slowing down, 32 calls in flight on each of 100 hosts are 32,000 calls a second.
	 */
	assert_true(fleet_mean(&r, 5, 25) <= 2 * 120);
	fleet_result_deinit(&r);
}

static struct fleet_config small_fleet(int64_t outage_ms, enum fleet_outage_kind kind,
				       unsigned offset_minutes)
{
	struct fleet_config config = defaults;

	config.hosts = 3;
	config.start_spread_ms = 30 * MINUTE;
	config.percent_sdk = 30;
	config.percent_idle = 20;
	config.n_outages = 1;
	config.outages[0].from_ms = HOUR + offset_minutes * MINUTE;
	config.outages[0].to_ms = config.outages[0].from_ms + outage_ms;
	config.outages[0].kind = kind;
	config.duration_ms = config.outages[0].to_ms + 90 * MINUTE;
	config.seed = 1000 + offset_minutes;
	return config;
}

/* STS down for 25 minutes, whenever: no workload notices. */
static void test_outage_of_25_minutes(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		for (unsigned offset = 0; offset < 60; offset += 3) {
			struct fleet_config config = small_fleet(25 * MINUTE, kind, offset);
			struct fleet_result r = run(&config);
			assert_int_equal(r.errors, 0);
			assert_true(r.failed > 0);
			/* From three minutes after it, all have 15 minutes left again. */
			size_t over = (size_t)(config.outages[0].to_ms / MINUTE);
			for (size_t m = over + 3; m < r.n_seconds / 60; m++)
				assert_int_equal(r.late_per_minute[m], 0);
			fleet_result_deinit(&r);
		}
	}
}

/* 55 minutes: only what has truly expired fails, and the way back is no stampede. */
static void test_outage_of_55_minutes(void **state)
{
	(void)state;
	for (unsigned offset = 0; offset < 60; offset += 10) {
		struct fleet_config config = small_fleet(55 * MINUTE, OUTAGE_REFUSED, offset);
		struct fleet_result r = run(&config);
		int64_t over_ms = config.outages[0].to_ms;
		size_t over_s = (size_t)(over_ms / SECOND);
		/* Some had more than 55 minutes left, or came back in time. */
		assert_true(r.hurt > 0);
		assert_true(r.errors > 0);
		/* Whoever had none has some within a minute. */
		assert_true(r.healed_ms > over_ms && r.healed_ms <= over_ms + MINUTE);
		/* While it lasts, a host probes; after it, the rate rises from a slow start. */
		assert_true(fleet_mean(&r, over_s - 1800, over_s) <= 0.5 * config.hosts);
		for (size_t s = over_s; s < over_s + 120; s++)
			assert_true(r.per_second[s] <= 12 * config.hosts);
		fleet_result_deinit(&r);
	}
}

/* Without trouble: nobody ever sees an error, or credentials with under 15 minutes left. */
static void test_fair_weather(void **state)
{
	struct fleet_config config = defaults;

	(void)state;
	config.hosts = 5;
	config.start_spread_ms = 10 * MINUTE;
	config.duration_ms = 12 * HOUR;
	config.percent_sdk = 30;
	config.percent_idle = 20;
	struct fleet_result r = run(&config);
	assert_int_equal(r.errors, 0);
	assert_int_equal(r.late, 0);
	assert_true(r.least_left_ms >= 24 * MINUTE);
	/* Half life with jitter: a call in some 27 minutes of a session. */
	assert_in_range(r.calls, 200 * 12 * 60 / 32, 200 * 12 * 60 / 26);
	/* And they have spread: no second with a tenth of all sessions. */
	for (size_t s = 6 * 3600; s < r.n_seconds; s++)
		assert_true(r.per_second[s] <= 20);
	fleet_result_deinit(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thousand_at_once),
		cmocka_unit_test(test_throttled_to_20),
		cmocka_unit_test(test_throttled_fleet),
		cmocka_unit_test(test_outage_of_25_minutes),
		cmocka_unit_test(test_outage_of_55_minutes),
		cmocka_unit_test(test_fair_weather),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
