/* template: text with places for what is known of a container: "{id}" and "{label.KEY}". In session
 * names, source identities and session tags.
 */
#pragma once

#include <stdbool.h>

#include "util/buf.h"
#include "util/diag.h"
#include "wire/policy_document.h"

struct template_values {
	const char *id;
	const struct policy_label *labels;
	size_t n_labels;
};

/* template_is(text): does it hold a place, or a brace that would have to be one? */
bool template_is(const char *text);

/* template_expand(text, values, out, diag): append the text with its places filled in. `values`
 * NULL only checks the syntax. 0; -EINVAL for a stray brace or an unknown place, -ENOENT for a
 * label that the container does not have; `diag` (its field is left to the caller) says which. */
int template_expand(const char *text, const struct template_values *values, struct buf *out,
		    struct diag *diag);
