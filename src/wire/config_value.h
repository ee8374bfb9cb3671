/* config_value: single values of rolegate.conf, and lines that inih does not tell of.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/diag.h"

/* The longest line of a configuration file, without its end, in bytes. */
#define CONFIG_LINE_MAX 4000

/* config_value_word(value): a name as regions and partitions have: letters, digits, "-", "_", ".".
 */
bool config_value_word(const char *value);

/* config_value_account(value): twelve digits. */
bool config_value_account(const char *value);

/* config_value_url(value): http:// or https:// with a host, and no blanks or control bytes. */
bool config_value_url(const char *value);

/* config_value_address(value, host, host_size, ret_port): split "HOST:PORT" or "[IPV6]:PORT"; the
 * port is 1 to 65535. 0 or -EINVAL. `ret_port` points into `value`; `host` may be NULL. */
int config_value_address(const char *value, char *host, size_t host_size, const char **ret_port);

/* config_value_lines(text, known, diag): what inih lets pass or reports elsewhere: a section of an
 * unknown name that has no keys (known() is asked), a line longer than CONFIG_LINE_MAX. Returns 0
 * or the number of the line, with `diag` saying what is wrong. */
int config_value_lines(const char *text, bool known(const char *section), struct diag *diag);
