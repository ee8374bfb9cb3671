/* cni_list: a network configuration list of CNI (conflist), or a single plugin's (conf): what each of
 * its plugins is to be given. Source: CNI specification 1.0.0, "Network configuration format".
 */
#pragma once

#include <stddef.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/diag.h"

struct cni_list;

/* cni_list_parse(text, len, ret, diag): 0, -EINVAL or -ENOMEM. */
int cni_list_parse(const char *text, size_t len, struct cni_list **ret, struct diag *diag);
struct cni_list *cni_list_free(struct cni_list *list);
DEFINE_CLEANUP(struct cni_list *, cni_list_free)
#define _cleanup_cni_list_ _cleanup_(cni_list_freep)

/* They live as long as the list. A type is a plain file name. */
const char *cni_list_name(const struct cni_list *list);
size_t cni_list_size(const struct cni_list *list);
const char *cni_list_type(const struct cni_list *list, size_t i);

/* cni_list_print(list, i, prev_result, out): what plugin `i` gets on its standard input; `prev_result`
 * is the JSON text that the one before it has answered, or NULL. 0, -EINVAL if that is no JSON object,
 * or -ENOMEM. */
int cni_list_print(const struct cni_list *list, size_t i, const char *prev_result, struct buf *out);

/* cni_error_text(text, len, out): the "msg" and "details" of a plugin's error, if it is one. */
void cni_error_text(const char *text, size_t len, struct buf *out);
