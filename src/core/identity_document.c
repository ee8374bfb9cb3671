#include "core/identity_document.h"

#include <string.h>

#include "util/clock.h"
#include "wire/json_text.h"

#define PATH_VALUE_MAX 256

/* In EC2's order. */
static const struct {
	const char *name;
	const char *path; /* NULL: null, or see print_member() */
} members[] = {
	{"accountId", NULL},
	{"architecture", NULL},
	{"availabilityZone", "meta-data/placement/availability-zone"},
	{"billingProducts", NULL},
	{"devpayProductCodes", NULL},
	{"marketplaceProductCodes", NULL},
	{"imageId", "meta-data/ami-id"},
	{"instanceId", "meta-data/instance-id"},
	{"instanceType", "meta-data/instance-type"},
	{"kernelId", "meta-data/kernel-id"},
	{"pendingTime", NULL},
	{"privateIp", "meta-data/local-ipv4"},
	{"ramdiskId", "meta-data/ramdisk-id"},
	{"region", "meta-data/placement/region"},
	{"version", NULL},
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

static void print_member(const char *name, const char *text, struct buf *out)
{
	buf_printf(out, "%s  \"%s\" : ", out->len > 2 ? ",\n" : "", name);
	if (text && *text)
		json_text_quote(text, out);
	else
		buf_puts(out, "null");
}

static const char *fixed_member(const struct metadata_view *view, const char *name,
				const char *architecture, const char *pending)
{
	if (strcmp(name, "accountId") == 0)
		return view->own->account_id;
	if (strcmp(name, "architecture") == 0)
		return architecture;
	if (strcmp(name, "pendingTime") == 0)
		return pending;
	return strcmp(name, "version") == 0 ? "2017-09-30" : NULL;
}

enum metadata_answer identity_document_print(struct metadata_view *view, const char *architecture,
					     int64_t pending_s, struct buf *out)
{
	char pending[CLOCK_ISO8601_SIZE], value[PATH_VALUE_MAX];
	enum metadata_answer answer = METADATA_FOUND;
	struct metadata_text text;

	clock_format_iso8601(pending_s, pending);
	buf_puts(out, "{\n");
	for (size_t i = 0; i < N_MEMBERS; i++) {
		if (!members[i].path) {
			print_member(members[i].name,
				     fixed_member(view, members[i].name, architecture, pending),
				     out);
			continue;
		}
		enum metadata_answer a = metadata_view_look(view, members[i].path, &text);
		if (a == METADATA_WAIT || (a == METADATA_FAILED && answer == METADATA_FOUND))
			answer = a;
		value[0] = '\0';
		if (a == METADATA_FOUND && text.len < sizeof(value)) {
			memcpy(value, text.text, text.len);
			value[text.len] = '\0';
		}
		print_member(members[i].name, value, out);
	}
	buf_puts(out, "\n}");
	return answer;
}
