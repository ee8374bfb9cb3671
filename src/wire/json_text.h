/* json_text: the daemon's JSON as a person reads it: checked, indented, flattened.
 *
 * Numbers and key order stay as they came: the text is laid out anew, not parsed and printed. What
 * a terminal must not be sent (display_text.h) leaves here as a \u escape, which means the same.
 */
#pragma once

#include <stddef.h>

#include "util/buf.h"

/* json_text_pretty(text, len, out): append the text indented by two spaces, with a newline at its
 * end. 0, -EBADMSG if it is no JSON, -ENOMEM. */
int json_text_pretty(const char *text, size_t len, struct buf *out);

/* json_text_compact(text, len, out): the same in one line, without a newline. */
int json_text_compact(const char *text, size_t len, struct buf *out);

/* json_text_flatten(text, len, visit, user): call visit("labels.team", "web", user) for every value
 * of an object in its order. Lists of plain values are joined by ", "; objects in lists get their
 * index in the key; null, "", {} and [] have the value "". The strings live until visit returns.
 * 0, -EBADMSG if the text is no JSON object, -ENOMEM. */
typedef void (*json_text_visit_fn)(const char *key, const char *value, void *user);
int json_text_flatten(const char *text, size_t len, json_text_visit_fn visit, void *user);

/* json_text_string(text, len, key, out): append the string at `key` of the object. 0, -ENOENT if
 * there is none, -EBADMSG, -ENOMEM. */
int json_text_string(const char *text, size_t len, const char *key, struct buf *out);

/* json_text_quote(s, out): append `s` as a JSON string; what is no UTF-8 becomes U+FFFD. */
void json_text_quote(const char *s, struct buf *out);
