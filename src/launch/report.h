/* report: telling the operator, wherever one looks: standard error, which a runtime copies into its
 * own error; the system log; and the runtime's --log, from which containerd takes the reason that
 * `docker run` prints.
 */
#pragma once

#include <stdbool.h>

/* report_setup(program, log, log_json): `log` NULL: no such file. The strings must stay valid. */
void report_setup(const char *program, const char *log, bool log_json);

/* One line each. Control bytes are masked. */
void report_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void report_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
