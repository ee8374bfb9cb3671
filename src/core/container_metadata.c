#include "core/container_metadata.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "wire/aws_partition.h"
#include "wire/metadata_path.h"

#define MACS "meta-data/network/interfaces/macs/"

static const struct {
	const char *key, *path;
} short_names[] = {
	{"region", "meta-data/placement/region"},
	{"availability-zone", "meta-data/placement/availability-zone"},
	{"availability-zone-id", "meta-data/placement/availability-zone-id"},
};

/* Forms that a value must have, a line at a time. NULL: it has; else what it must be. */

static const char *check_ipv4(const char *line)
{
	struct in_addr a;

	return inet_pton(AF_INET, line, &a) == 1 ? NULL : "must be an IPv4 address";
}

static const char *check_ipv6(const char *line)
{
	struct in6_addr a;

	return inet_pton(AF_INET6, line, &a) == 1 ? NULL : "must be an IPv6 address";
}

static const char *check_mac(const char *line)
{
	static const char form[] = "xx:xx:xx:xx:xx:xx";
	size_t i;

	for (i = 0; form[i] && line[i]; i++)
		if (form[i] == ':' ? line[i] != ':' : !strchr("0123456789abcdef", line[i]))
			break;
	return form[i] == '\0' && line[i] == '\0' ? NULL
						  : "must be a MAC address like 02:00:0a:00:00:07, "
						    "in lower case";
}

static const char *check_region(const char *line)
{
	return aws_region_check(line, NULL) == 0 ? NULL
						 : "must be lower-case letters, digits and hyphens";
}

static const char *check_name(const char *line)
{
	return metadata_name_ok(line, strlen(line)) ? NULL : "has a character that EC2's have not";
}

static const struct form {
	const char *path; /* as in the table */
	const char *(*check)(const char *line);
	bool list;
} forms[] = {
	{"meta-data/instance-id", check_name, false},
	{"meta-data/ipv6", check_ipv6, false},
	{"meta-data/local-ipv4", check_ipv4, false},
	{"meta-data/mac", check_mac, false},
	{MACS "*/ipv4-associations/*", check_ipv4, true},
	{MACS "*/ipv6s", check_ipv6, true},
	{MACS "*/local-ipv4s", check_ipv4, true},
	{MACS "*/mac", check_mac, false},
	{MACS "*/public-ipv4s", check_ipv4, true},
	{"meta-data/placement/availability-zone", check_region, false},
	{"meta-data/placement/availability-zone-id", check_region, false},
	{"meta-data/placement/region", check_region, false},
	{"meta-data/public-ipv4", check_ipv4, false},
};

/* NULL, or what is wrong with the text. */
static const char *check_text(const struct metadata_entry *entry, const char *text)
{
	const struct form *form = NULL;
	char line[256];

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i].path, entry->path) == 0)
			form = &forms[i];
	if (!form)
		return NULL;
	if (!form->list && strchr(text, '\n'))
		return "must be one string";
	for (;;) {
		size_t n = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", n < sizeof(line) ? (int)n : 255, text);
		const char *wrong = form->check(line);
		if (wrong || text[n] == '\0')
			return wrong;
		text += n + 1;
	}
}

const struct metadata_value *container_metadata_get(const struct container_metadata *m,
						    const char *path)
{
	size_t low = 0, high = m->n_values;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(m->values[middle].path, path);
		if (order == 0)
			return &m->values[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

bool container_metadata_has_below(const struct container_metadata *m, const char *path, size_t len)
{
	for (size_t i = 0; i < m->n_values; i++)
		if (strncmp(m->values[i].path, path, len) == 0 && m->values[i].path[len] == '/')
			return true;
	return false;
}

/* While it is being built it is sorted by insertion, so that container_metadata_get() works. */
static int insert(struct container_metadata *m, const char *path, const char *text)
{
	struct metadata_value *more = realloc(m->values, (m->n_values + 1) * sizeof(*m->values));
	if (!more)
		return -ENOMEM;
	m->values = more;
	struct metadata_value value = {strdup(path), strdup(text), strlen(text)};
	if (!value.path || !value.text) {
		free(value.path);
		free(value.text);
		return -ENOMEM;
	}
	size_t at = m->n_values++;
	for (; at > 0 && strcmp(m->values[at - 1].path, path) > 0; at--)
		m->values[at] = m->values[at - 1];
	m->values[at] = value;
	return 0;
}

/* A path that the registration names. */
static int add_given(struct container_metadata *m, const struct registration_metadata *given,
		     struct diag *diag)
{
	char field[sizeof(diag->field)], path[METADATA_PATH_MAX];
	const char *rest;

	snprintf(field, sizeof(field), "metadata.%s", given->key);
	int n = snprintf(path, sizeof(path), "meta-data/%s", given->key);
	for (size_t i = 0; i < sizeof(short_names) / sizeof(short_names[0]); i++)
		if (strcmp(short_names[i].key, given->key) == 0)
			n = snprintf(path, sizeof(path), "%s", short_names[i].path);
	const struct metadata_node *node =
		n > 0 && (size_t)n < sizeof(path) - 1 ? metadata_tree_find(path, &rest) : NULL;
	if (!node || !node->entry || !(node->entry->flags & METADATA_SETTABLE) ||
	    path[n - 1] == '/' || strstr(path, "//"))
		return diag_fail(EINVAL, diag, field,
				 "is no metadata that a registration can set; keys are paths "
				 "below meta-data/, like local-ipv4 or placement/region");
	const char *wrong = check_text(node->entry, given->text);
	if (!wrong && strncmp(path, MACS, sizeof(MACS) - 1) == 0) {
		char mac[18];
		snprintf(mac, sizeof(mac), "%.17s", path + sizeof(MACS) - 1);
		if (check_mac(mac) || path[sizeof(MACS) - 1 + 17] != '/')
			wrong = "must name a MAC address like 02:00:0a:00:00:07, in lower case";
	}
	if (wrong)
		return diag_fail(EINVAL, diag, field, "%s", wrong);
	const struct metadata_value *old = container_metadata_get(m, path);
	if (old && strcmp(old->text, given->text) != 0)
		return diag_fail(EINVAL, diag, field,
				 "says \"%.64s\", and another key for the same path \"%.64s\"",
				 given->text, old->text);
	return !old && insert(m, path, given->text) < 0
		       ? diag_fail(ENOMEM, diag, NULL, "out of memory")
		       : 0;
}

static const char *text_of(const struct container_metadata *m, const char *path)
{
	const struct metadata_value *value = container_metadata_get(m, path);

	return value ? value->text : NULL;
}

/* What follows from what was given. NULL text: nothing. */
static int add_default(struct container_metadata *m, const char *path, const char *text)
{
	return !text || container_metadata_get(m, path) ? 0 : insert(m, path, text);
}

/* Are these ids of security groups, rather than names? */
static bool are_group_ids(const char *text)
{
	for (;;) {
		if (strncmp(text, "sg-", 3) != 0)
			return false;
		text = strchr(text, '\n');
		if (!text++)
			return true;
	}
}

/* The paths of the interface that "mac" names. */
static int derive_interface(struct container_metadata *m)
{
	static const struct {
		const char *name, *from;
	} rows[] = {
		{"ipv6s", "meta-data/ipv6"},
		{"local-hostname", "meta-data/local-hostname"},
		{"local-ipv4s", "meta-data/local-ipv4"},
		{"mac", "meta-data/mac"},
		{"public-hostname", "meta-data/public-hostname"},
		{"public-ipv4s", "meta-data/public-ipv4"},
		{"security-groups", "meta-data/security-groups"},
	};
	const char *mac = text_of(m, "meta-data/mac");
	const char *groups = text_of(m, "meta-data/security-groups");
	char path[128];
	int r = 0;

	if (!mac)
		return 0;
	for (size_t i = 0; r == 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(path, sizeof(path), MACS "%s/%s", mac, rows[i].name);
		r = add_default(m, path, text_of(m, rows[i].from));
	}
	/* cloud-init and the CNI plugins look for it first. */
	snprintf(path, sizeof(path), MACS "%s/device-number", mac);
	if (r == 0)
		r = add_default(m, path, "0");
	snprintf(path, sizeof(path), MACS "%s/owner-id", mac);
	if (r == 0)
		r = add_default(m, path, m->account_id[0] ? m->account_id : NULL);
	snprintf(path, sizeof(path), MACS "%s/security-group-ids", mac);
	if (r == 0)
		r = add_default(m, path, groups && are_group_ids(groups) ? groups : NULL);
	return r;
}

static int derive(struct container_metadata *m)
{
	static const char hostname[] = "meta-data/hostname";
	static const char local_hostname[] = "meta-data/local-hostname";
	const char *zone = text_of(m, "meta-data/placement/availability-zone");
	char region[64] = "";

	int r = add_default(m, hostname, text_of(m, local_hostname));
	if (r == 0)
		r = add_default(m, local_hostname, text_of(m, hostname));
	/* eu-central-1a is in eu-central-1; a local zone's name ends otherwise, and says its
	 * region only to those who know it. */
	if (zone && strlen(zone) < sizeof(region)) {
		snprintf(region, sizeof(region), "%s", zone);
		size_t n = strlen(region);
		if (n > 2 && region[n - 1] >= 'a' && region[n - 1] <= 'z' && region[n - 2] >= '0' &&
		    region[n - 2] <= '9')
			region[n - 1] = '\0';
		else
			region[0] = '\0';
	}
	if (r == 0)
		r = add_default(m, "meta-data/placement/region", region[0] ? region : NULL);
	return r == 0 ? derive_interface(m) : r;
}

/* arn:aws:iam::123456789012:role/web */
static void read_account(const char *arn, char ret[static 13])
{
	for (int i = 0; arn && i < 4; i++) {
		arn = strchr(arn, ':');
		if (arn)
			arn++;
	}
	if (arn && strspn(arn, "0123456789") == 12 && arn[12] == ':')
		snprintf(ret, 13, "%.12s", arn);
}

int container_metadata_new(const struct registration *registration, struct container_metadata **ret,
			   struct diag *diag)
{
	struct container_metadata *m = calloc(1, sizeof(*m));
	int r = 0;

	if (!m)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	read_account(registration->role.role_arn, m->account_id);
	for (size_t i = 0; r == 0 && i < registration->n_metadata; i++)
		r = add_given(m, &registration->metadata[i], diag);
	if (r == 0 && derive(m) < 0)
		r = diag_fail(ENOMEM, diag, NULL, "out of memory");
	for (size_t i = 0; r == 0 && i < registration->n_allow; i++) {
		struct diag why = {0};
		r = metadata_allow_add(&m->allow, registration->allow[i], true, &why);
		if (r < 0)
			diag_set(diag, "allow", "%s", why.text);
	}
	if (r < 0) {
		container_metadata_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

struct container_metadata *container_metadata_free(struct container_metadata *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < m->n_values; i++) {
		free(m->values[i].path);
		secret_free(m->values[i].text);
	}
	free(m->values);
	free(m);
	return NULL;
}
