/* option_text: lists and maps of a registration, as an annotation or a variable holds them.
 *
 *	a=1,b=2			items between commas, trimmed; for values without commas
 *	{"a":"1","b":"2"}	a JSON object of strings: each comes out as KEY=VALUE
 *	["a","b"]		a JSON array of strings
 */
#pragma once

#include "util/diag.h"

/* option_text_split(text, visit, user, diag): visit each item. 0, what `visit` returned if that was
 * not 0, -EINVAL for what begins like JSON and is none, -ENOMEM. */
typedef int (*option_text_visit_fn)(const char *item, void *user);
int option_text_split(const char *text, option_text_visit_fn visit, void *user, struct diag *diag);
