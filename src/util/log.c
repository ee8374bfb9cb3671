#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
	const char *program;
	enum log_level level;
	bool json;
} log_state = {.program = "rolegate", .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(const char *program, enum log_level level, bool json)
{
	log_state.program = program;
	log_state.level = level;
	log_state.json = json;
}

int log_level_parse(const char *text, enum log_level *ret)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Append `text` with control bytes (and in JSON, quotes and backslashes) escaped. Truncates. */
static size_t append_escaped(char *line, size_t len, size_t cap, const char *text, bool json)
{
	for (const unsigned char *p = (const unsigned char *)text; *p && len + 8 < cap; p++) {
		if (json && (*p == '"' || *p == '\\')) {
			line[len++] = '\\';
			line[len++] = (char)*p;
		} else if (*p < 0x20 || *p == 0x7f) {
			len += (size_t)snprintf(line + len, cap - len, json ? "\\u%04x" : "\\x%02x",
						*p);
		} else {
			line[len++] = (char)*p;
		}
	}
	line[len] = '\0';
	return len;
}

static size_t append_time(char *line, size_t len, size_t cap)
{
	struct timespec ts;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len += strftime(line + len, cap - len, "%Y-%m-%dT%H:%M:%S", &tm);
	return len + (size_t)snprintf(line + len, cap - len, ".%03ldZ", ts.tv_nsec / 1000000);
}

static size_t format_text(char *line, size_t cap, enum log_level level, const char *container,
			  const char *message)
{
	size_t len = append_time(line, 0, cap);
	len += (size_t)snprintf(line + len, cap - len, " %s %s: ", log_state.program,
				level_names[level]);
	if (container) {
		len += (size_t)snprintf(line + len, cap - len, "container=");
		len = append_escaped(line, len, cap - 2, container, false);
		line[len++] = ' ';
	}
	return append_escaped(line, len, cap - 2, message, false);
}

static size_t format_json(char *line, size_t cap, enum log_level level, const char *container,
			  const char *message)
{
	size_t len = (size_t)snprintf(line, cap, "{\"time\":\"");
	len = append_time(line, len, cap);
	len += (size_t)snprintf(line + len, cap - len, "\",\"level\":\"%s\",\"program\":\"%s\"",
				level_names[level], log_state.program);
	if (container) {
		len += (size_t)snprintf(line + len, cap - len, ",\"container\":\"");
		len = append_escaped(line, len, cap - 64, container, true);
		line[len++] = '"';
	}
	len += (size_t)snprintf(line + len, cap - len, ",\"message\":\"");
	len = append_escaped(line, len, cap - 4, message, true);
	len += (size_t)snprintf(line + len, cap - len, "\"}");
	return len;
}

void log_write(enum log_level level, const char *container, const char *fmt, ...)
{
	char message[1024], line[2048];
	int saved = errno;
	va_list ap;

	if (level > log_state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);

	size_t len = log_state.json ? format_json(line, sizeof(line), level, container, message)
				    : format_text(line, sizeof(line), level, container, message);
	line[len++] = '\n';
	/* One write a line, so that lines of several processes do not mix. */
	ssize_t n = write(STDERR_FILENO, line, len);
	(void)n; /* there is nowhere to report a failing log */
	errno = saved;
}
