/* registration_body: builds the JSON body of PUT /v1/containers/{id} from texts, field by field.
 *
 * What registration.h reads on the daemon's side. Only the form is checked here (which fields there
 * are, numbers, KEY=VALUE, UTF-8); whether the values make sense is the daemon's to say, so that
 * one place decides.
 */
#pragma once

#include <stdint.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/diag.h"

struct registration_body;

/* NULL when out of memory. */
struct registration_body *registration_body_new(void);
struct registration_body *registration_body_free(struct registration_body *body);
DEFINE_CLEANUP(struct registration_body *, registration_body_free)
#define _cleanup_registration_body_ _cleanup_(registration_body_freep)

/* registration_body_add(body, field, value, diag): set a field of the body, named as in the JSON
 * ("role_arn", "image.ref", …). Fields that hold lists take one item a call, fields that hold
 * objects one "KEY=VALUE" a call; any other field only one call. A metadata key that is given
 * again becomes a list. 0, -EINVAL with `diag` naming the field, -ENOMEM. */
int registration_body_add(struct registration_body *body, const char *field, const char *value,
			  struct diag *diag);

/* registration_body_wait_s(body): how long the daemon may take to answer it. */
int64_t registration_body_wait_s(const struct registration_body *body);

/* registration_body_print(body, out): append the JSON text. 0 or -ENOMEM. */
int registration_body_print(const struct registration_body *body, struct buf *out);
