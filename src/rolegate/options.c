#include "rolegate/options.h"

#include <stdlib.h>
#include <string.h>

void options_deinit(struct options *options)
{
	free(options->values);
	free(options->args);
	*options = (struct options){0};
}

static const struct option_spec *find(const struct option_spec *specs, const char *name, size_t len)
{
	for (; specs && specs->name; specs++)
		if (strlen(specs->name) == len && memcmp(specs->name, name, len) == 0)
			return specs;
	return NULL;
}

/* The option at argv[*at]; *at moves on over its value. */
static int parse_option(int argc, char **argv, int *at, const struct option_spec *globals,
			const struct option_spec *specs, struct options *ret, struct diag *diag)
{
	const char *name = argv[*at] + 2;
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const struct option_spec *spec = find(globals, name, len);
	const char *value = "";

	if (!spec)
		spec = find(specs, name, len);
	if (!spec)
		return diag_fail(EINVAL, diag, NULL, "there is no option --%.*s",
				 len > 64 ? 64 : (int)len, name);
	if (!spec->value && equals)
		return diag_fail(EINVAL, diag, NULL, "--%s takes no value", spec->name);
	if (spec->value && equals)
		value = equals + 1;
	else if (spec->value && ++*at < argc)
		value = argv[*at];
	else if (spec->value)
		return diag_fail(EINVAL, diag, NULL, "--%s needs a value: %s", spec->name,
				 spec->value);
	if (!spec->repeats && options_get(ret, spec->name))
		return diag_fail(EINVAL, diag, NULL, "--%s is given twice", spec->name);
	ret->values[ret->n_values++] = (struct option_value){.spec = spec, .value = value};
	return 0;
}

int options_parse(int argc, char **argv, const struct option_spec *globals,
		  const struct option_spec *specs, bool stop, struct options *ret,
		  struct diag *diag)
{
	bool ended = false;

	*ret = (struct options){0};
	ret->values = calloc((size_t)argc + 1, sizeof(*ret->values));
	ret->args = calloc((size_t)argc + 1, sizeof(*ret->args));
	if (!ret->values || !ret->args) {
		options_deinit(ret);
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	}
	for (int i = 0; i < argc; i++) {
		int r = 0;
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			ret->args[ret->n_args++] = argv[i];
			ended = ended || stop;
		} else if (strcmp(argv[i], "--") == 0) {
			ended = true;
		} else if (argv[i][1] != '-') {
			r = diag_fail(EINVAL, diag, NULL, "there is no option %.64s", argv[i]);
		} else {
			r = parse_option(argc, argv, &i, globals, specs, ret, diag);
		}
		if (r < 0) {
			options_deinit(ret);
			return r;
		}
	}
	return 0;
}

const char *options_get(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->n_values; i++)
		if (strcmp(options->values[i].spec->name, name) == 0)
			return options->values[i].value;
	return NULL;
}
