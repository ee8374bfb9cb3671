/* log: the one sink for log lines: standard error, one line an event, text or JSON.
 *
 * Never pass a secret. Every %s may come from a peer: control bytes are escaped here.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* log_setup(program, level, json): may be called again (SIGHUP). `program` must stay valid. */
void log_setup(const char *program, enum log_level level, bool json);

/* log_level_parse(text, ret): "error", "warning", "info" or "debug". 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);

/* log_write(level, container, fmt, …): `container` is the container's id the line is about, or
 * NULL. errno is kept. */
void log_write(enum log_level level, const char *container, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(container, ...) log_write(LOG_LEVEL_ERROR, (container), __VA_ARGS__)
#define log_warning(container, ...) log_write(LOG_LEVEL_WARNING, (container), __VA_ARGS__)
#define log_info(container, ...) log_write(LOG_LEVEL_INFO, (container), __VA_ARGS__)
#define log_debug(container, ...) log_write(LOG_LEVEL_DEBUG, (container), __VA_ARGS__)
