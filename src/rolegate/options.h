/* options: a command line by table. Long options only, `--name VALUE` or `--name=VALUE`, before or
 * after the arguments; `--` ends them. No abbreviations: they break scripts when an option is
 * added.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/diag.h"

struct option_spec {
	const char *name;  /* without the dashes; NULL ends a table */
	const char *value; /* what its value is called in the help; NULL: it has none */
	bool repeats;
	const char *help;
};

struct option_value {
	const struct option_spec *spec;
	const char *value; /* points into argv; "" for an option without a value */
};

struct options {
	struct option_value *values;
	size_t n_values;
	char **args; /* what is no option */
	size_t n_args;
};

void options_deinit(struct options *options);

/* options_parse(argc, argv, globals, specs, stop, ret, diag): parse argv[0..argc). An option is
 * looked up in `globals`, then in `specs` (may be NULL). With `stop`, the first argument that is no
 * option ends the options, and it and all that follow are args. 0, -EINVAL or -ENOMEM. */
int options_parse(int argc, char **argv, const struct option_spec *globals,
		  const struct option_spec *specs, bool stop, struct options *ret,
		  struct diag *diag);

/* options_get(options, name): the option's value, or NULL if it was not given. */
const char *options_get(const struct options *options, const char *name);
