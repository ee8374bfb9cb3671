#include "launch/report.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "util/buf.h"
#include "util/clock.h"
#include "util/fd.h"
#include "wire/json_text.h"

#define TEXT_MAX 1024

static struct {
	const char *program;
	const char *log;
	bool log_json;
} to = {.program = "rolegate"};

void report_setup(const char *program, const char *log, bool log_json)
{
	to.program = program;
	to.log = log;
	to.log_json = log_json;
	openlog(program, LOG_PID, LOG_DAEMON);
}

/* A line in the form of logrus, which runc logs with and its callers read. */
static void append_to_log(const char *level, const char *text)
{
	_cleanup_buf_ struct buf quoted = {0}, line = {0};
	char now[CLOCK_ISO8601_SIZE];

	_cleanup_fd_ int fd =
		open(to.log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	if (fd < 0)
		return;
	clock_format_iso8601(clock_wall_s(), now);
	json_text_quote(text, &quoted);
	if (!buf_ok(&quoted))
		return;
	if (to.log_json)
		buf_printf(&line, "{\"level\":\"%s\",\"msg\":%s,\"time\":\"%s\"}\n", level,
			   quoted.data, now);
	else
		buf_printf(&line, "level=%s msg=%s time=\"%s\"\n", level, quoted.data, now);
	if (buf_ok(&line) && write(fd, line.data, line.len) < 0)
		return; /* it is on standard error, too */
}

/* `text` is made ready for one line. */
static void report(const char *level, int priority, char *text)
{
	char line[1152];

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	int len = snprintf(line, sizeof(line), "%s: %s\n", to.program, text);
	ssize_t n = write(STDERR_FILENO, line, (size_t)len);
	(void)n;
	syslog(priority, "%s", text);
	if (to.log)
		append_to_log(level, text);
}

void report_error(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report("error", LOG_ERR, text);
}

void report_warning(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report("warning", LOG_WARNING, text);
}
