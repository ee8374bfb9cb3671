#include "util/clock.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t clock_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_wall_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec;
}

void clock_format_iso8601(int64_t t, char out[static CLOCK_ISO8601_SIZE])
{
	time_t tt = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&tt, &tm) || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0 ||
	    strftime(out, CLOCK_ISO8601_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		memcpy(out, "1970-01-01T00:00:00Z", CLOCK_ISO8601_SIZE);
}

/* "Z", "+hh:mm", "-hh:mm" or "+hhmm" at the end of a time: seconds east of UTC. */
static int parse_offset(const char *text, int64_t *ret)
{
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0) {
		*ret = 0;
		return 0;
	}
	if (text[0] != '+' && text[0] != '-')
		return -EINVAL;
	char digits[5] = "";
	size_t n = 0;
	for (const char *p = text + 1; *p; p++) {
		if (*p == ':' && n == 2)
			continue;
		if (!isdigit((unsigned char)*p) || n == 4)
			return -EINVAL;
		digits[n++] = *p;
	}
	if (n != 4)
		return -EINVAL;
	int hours = (digits[0] - '0') * 10 + (digits[1] - '0');
	int minutes = (digits[2] - '0') * 10 + (digits[3] - '0');
	if (hours > 23 || minutes > 59)
		return -EINVAL;
	*ret = (hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
	return 0;
}

int clock_parse_iso8601(const char *text, int64_t *ret)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t offset;

	if (!rest)
		return -EINVAL;
	if (*rest == '.' || *rest == ',') {
		const char *digits = ++rest;
		while (isdigit((unsigned char)*rest))
			rest++;
		if (rest == digits)
			return -EINVAL;
	}
	if (parse_offset(rest, &offset) < 0)
		return -EINVAL;
	time_t t = timegm(&tm);
	if (t == (time_t)-1)
		return -EINVAL;
	*ret = (int64_t)t - offset;
	return 0;
}

/* Fixed English names: strftime's would follow the locale. */
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

static char *put_digits(char *to, int n, int digits)
{
	for (int i = digits - 1; i >= 0; i--, n /= 10)
		to[i] = (char)('0' + n % 10);
	return to + digits;
}

/* By hand: printf would be a quarter of what answering a request costs. */
void clock_format_http_date(int64_t t, char out[static CLOCK_HTTP_DATE_SIZE])
{
	time_t tt = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&tt, &tm) || tm.tm_year + 1900 > 9999 || tm.tm_year + 1900 < 0)
		memset(&tm, 0, sizeof(tm));
	char *to = stpcpy(out, day_names[tm.tm_wday % 7]);
	to = put_digits(stpcpy(to, ", "), tm.tm_mday, 2);
	*to++ = ' ';
	to = stpcpy(to, month_names[tm.tm_mon % 12]);
	*to++ = ' ';
	to = put_digits(to, tm.tm_year + 1900, 4);
	*to++ = ' ';
	to = put_digits(to, tm.tm_hour, 2);
	*to++ = ':';
	to = put_digits(to, tm.tm_min, 2);
	*to++ = ':';
	to = put_digits(to, tm.tm_sec, 2);
	strcpy(to, " GMT");
}

int clock_parse_http_date(const char *text, int64_t *ret)
{
	struct tm tm = {0};
	char month[4], zone[4];

	if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d %3s", &tm.tm_mday, month, &tm.tm_year,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, zone) != 7 ||
	    strcmp(zone, "GMT") != 0)
		return -EINVAL;
	if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_year < 1970 || tm.tm_hour < 0 ||
	    tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon = -1;
	for (int i = 0; i < 12; i++)
		if (strcmp(month, month_names[i]) == 0)
			tm.tm_mon = i;
	if (tm.tm_mon < 0)
		return -EINVAL;
	time_t t = timegm(&tm);
	if (t < 0 || t > INT64_C(253402300799)) /* the end of 9999: a leap second after it */
		return -EINVAL;
	*ret = t;
	return 0;
}
