/* clock: the two clocks, and AWS's way of writing time.
 *
 * Decisions (core/) run on clock_now_ms(): CLOCK_BOOTTIME, which nobody sets back and which goes on
 * while the host is suspended. Wall-clock time appears only where AWS or a person reads it.
 */
#pragma once

#include <stdint.h>

/* Milliseconds of CLOCK_BOOTTIME. */
int64_t clock_now_ms(void);

/* Microseconds of CLOCK_MONOTONIC: for measuring how long something took. */
int64_t clock_now_us(void);

/* Seconds since the epoch, by the host's own idea of it. */
int64_t clock_wall_s(void);

#define CLOCK_ISO8601_SIZE sizeof("2026-01-01T00:00:00Z")

/* clock_format_iso8601(t, out): "YYYY-MM-DDTHH:MM:SSZ" of `t` seconds since the epoch. */
void clock_format_iso8601(int64_t t, char out[static CLOCK_ISO8601_SIZE]);

/* clock_parse_iso8601(text, ret): parse what STS and its look-alikes write: "Z" or a numeric
 * offset, with or without a fraction (dropped). 0 or -EINVAL. */
int clock_parse_iso8601(const char *text, int64_t *ret);

#define CLOCK_HTTP_DATE_SIZE sizeof("Tue, 24 Nov 2026 21:00:00 GMT")

/* IMF-fixdate of RFC 9110 section 5.6.7. */
void clock_format_http_date(int64_t t, char out[static CLOCK_HTTP_DATE_SIZE]);
int clock_parse_http_date(const char *text, int64_t *ret);
