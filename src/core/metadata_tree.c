#include "core/metadata_tree.h"

#include <assert.h>
#include <string.h>

#include "util/cleanup.h"

#define OWN METADATA_OWN
#define OVERRIDE METADATA_OVERRIDE
#define CACHED METADATA_CACHED
#define OPT_IN METADATA_OPT_IN
#define BLOCKED METADATA_BLOCKED
#define NEVER METADATA_NEVER
#define FIXED METADATA_FIXED
#define SLOW METADATA_SLOW
#define LIVE METADATA_LIVE
#define SET METADATA_SETTABLE
#define UNLISTED METADATA_UNLISTED

#define MACS "meta-data/network/interfaces/macs/*/"

/* clang-format off */
static const struct metadata_entry entries[] = {
	/* iam/ is rolegate's alone; what else there may be on the host is not asked for. The extended
	 * form is not listed: cloud-init, which knows to leave out "security-credentials", would write
	 * its contents to disk. */
	{"meta-data/iam/info",                                OWN,      FIXED, 0},
	{"meta-data/iam/security-credentials/",               OWN,      FIXED, 0},
	{"meta-data/iam/security-credentials-extended/",      OWN,      FIXED, UNLISTED},
	/* Put together from the container's own metadata. */
	{"dynamic/instance-identity/document",                OWN,      FIXED, 0},

	/* Which machine, image and place this is: true of the container too. */
	{"meta-data/ami-id",                                  CACHED,   FIXED, SET},
	{"meta-data/ami-launch-index",                        CACHED,   FIXED, SET},
	{"meta-data/ami-manifest-path",                       CACHED,   FIXED, SET},
	{"meta-data/ancestor-ami-ids",                        CACHED,   FIXED, SET},
	{"meta-data/block-device-mapping/*",                  CACHED,   SLOW,  SET},
	{"meta-data/elastic-gpus/associations/*",             CACHED,   FIXED, SET},
	{"meta-data/elastic-inference/associations/*",        CACHED,   FIXED, SET},
	{"meta-data/hibernation/configured",                  CACHED,   FIXED, SET},
	{"meta-data/instance-id",                             CACHED,   FIXED, SET},
	{"meta-data/instance-life-cycle",                     CACHED,   FIXED, SET},
	{"meta-data/instance-type",                           CACHED,   FIXED, SET},
	{"meta-data/kernel-id",                               CACHED,   FIXED, SET},
	{"meta-data/placement/availability-zone",             CACHED,   FIXED, SET},
	{"meta-data/placement/availability-zone-id",          CACHED,   FIXED, SET},
	{"meta-data/placement/group-name",                    CACHED,   FIXED, SET},
	{"meta-data/placement/host-id",                       CACHED,   FIXED, SET},
	{"meta-data/placement/partition-number",              CACHED,   FIXED, SET},
	{"meta-data/placement/region",                        CACHED,   FIXED, SET},
	{"meta-data/product-codes",                           CACHED,   FIXED, SET},
	{"meta-data/profile",                                 CACHED,   FIXED, SET},
	{"meta-data/ramdisk-id",                              CACHED,   FIXED, SET},
	{"meta-data/reservation-id",                          CACHED,   FIXED, SET},
	{"meta-data/services/domain",                         CACHED,   FIXED, SET},
	{"meta-data/services/partition",                      CACHED,   FIXED, SET},
	{"meta-data/system",                                  CACHED,   FIXED, SET},
	{"dynamic/fws/instance-monitoring",                   CACHED,   SLOW,  SET},

	/* What is about to happen to the machine. */
	{"meta-data/autoscaling/target-lifecycle-state",      OPT_IN,   LIVE,  SET},
	{"meta-data/events/maintenance/history",              OPT_IN,   LIVE,  SET},
	{"meta-data/events/maintenance/scheduled",            OPT_IN,   LIVE,  SET},
	{"meta-data/events/recommendations/rebalance",        OPT_IN,   LIVE,  SET},
	{"meta-data/instance-action",                         OPT_IN,   LIVE,  SET},
	{"meta-data/spot/instance-action",                    OPT_IN,   LIVE,  SET},
	{"meta-data/spot/termination-time",                   OPT_IN,   LIVE,  SET},

	/* Who this is on the network: the host's would be a lie. */
	{"meta-data/hostname",                                OVERRIDE, SLOW,  SET},
	{"meta-data/ipv6",                                    OVERRIDE, SLOW,  SET},
	{"meta-data/local-hostname",                          OVERRIDE, SLOW,  SET},
	{"meta-data/local-ipv4",                              OVERRIDE, SLOW,  SET},
	{"meta-data/mac",                                     OVERRIDE, SLOW,  SET},
	{MACS "device-number",                                OVERRIDE, SLOW,  SET},
	{MACS "interface-id",                                 OVERRIDE, SLOW,  SET},
	{MACS "ipv4-associations/*",                          OVERRIDE, SLOW,  SET},
	{MACS "ipv4-prefix",                                  OVERRIDE, SLOW,  SET},
	{MACS "ipv6-prefix",                                  OVERRIDE, SLOW,  SET},
	{MACS "ipv6s",                                        OVERRIDE, SLOW,  SET},
	{MACS "local-hostname",                               OVERRIDE, SLOW,  SET},
	{MACS "local-ipv4s",                                  OVERRIDE, SLOW,  SET},
	{MACS "mac",                                          OVERRIDE, SLOW,  SET},
	{MACS "network-card",                                 OVERRIDE, SLOW,  SET},
	{MACS "owner-id",                                     OVERRIDE, SLOW,  SET},
	{MACS "public-hostname",                              OVERRIDE, SLOW,  SET},
	{MACS "public-ipv4s",                                 OVERRIDE, SLOW,  SET},
	{MACS "security-group-ids",                           OVERRIDE, SLOW,  SET},
	{MACS "security-groups",                              OVERRIDE, SLOW,  SET},
	{MACS "subnet-id",                                    OVERRIDE, SLOW,  SET},
	{MACS "subnet-ipv4-cidr-block",                       OVERRIDE, SLOW,  SET},
	{MACS "subnet-ipv6-cidr-blocks",                      OVERRIDE, SLOW,  SET},
	{MACS "vpc-id",                                       OVERRIDE, SLOW,  SET},
	{MACS "vpc-ipv4-cidr-block",                          OVERRIDE, SLOW,  SET},
	{MACS "vpc-ipv4-cidr-blocks",                         OVERRIDE, SLOW,  SET},
	{MACS "vpc-ipv6-cidr-blocks",                         OVERRIDE, SLOW,  SET},
	{"meta-data/public-hostname",                         OVERRIDE, SLOW,  SET},
	{"meta-data/public-ipv4",                             OVERRIDE, SLOW,  SET},
	{"meta-data/security-groups",                         OVERRIDE, SLOW,  SET},
	{"meta-data/tags/instance/*",                         OVERRIDE, SLOW,  SET},

	/* Secrets of the host's start, proofs that the bearer is the host, keys to log in to it. */
	{"user-data",                                         BLOCKED,  SLOW,  0},
	{"dynamic/instance-identity/dsa2048",                 BLOCKED,  FIXED, 0},
	{"dynamic/instance-identity/pkcs7",                   BLOCKED,  FIXED, 0},
	{"dynamic/instance-identity/rsa2048",                 BLOCKED,  FIXED, 0},
	{"dynamic/instance-identity/signature",               BLOCKED,  FIXED, 0},
	{"meta-data/managed-ssh-keys/active-keys/*",          BLOCKED,  LIVE,  0},
	{"meta-data/managed-ssh-keys/signer-cert",            BLOCKED,  SLOW,  0},
	{"meta-data/managed-ssh-keys/signer-ocsp",            BLOCKED,  SLOW,  0},
	{"meta-data/metrics/vhostmd",                         BLOCKED,  SLOW,  0},
	{"meta-data/public-keys/*/openssh-key",               BLOCKED,  SLOW,  0},

	/* Credentials of the machine itself. */
	{"meta-data/identity-credentials/",                   NEVER,    FIXED, 0},
};
/* clang-format on */

#define N_ENTRIES (sizeof(entries) / sizeof(entries[0]))
_Static_assert(N_ENTRIES <= METADATA_ENTRIES_MAX, "metadata_allow has a bit for each entry");

/* The same table as a tree, made at first use: an entry adds at most this many nodes, most of them
 * shared. */
#define NODES_MAX 160

static struct metadata_node nodes[NODES_MAX];
static size_t n_nodes;

static int compare_names(const struct metadata_node *node, const char *name, size_t len)
{
	size_t n = node->len < len ? node->len : len;
	int order = memcmp(node->name, name, n);

	return order ? order : (node->len > len) - (node->len < len);
}

static struct metadata_node *add_child(struct metadata_node *parent, const char *name, size_t len)
{
	struct metadata_node **at = &parent->children;

	while (*at && compare_names(*at, name, len) < 0)
		at = &(*at)->next;
	if (*at && compare_names(*at, name, len) == 0)
		return *at;
	assert(n_nodes < NODES_MAX);
	struct metadata_node *node = &nodes[n_nodes++];
	*node = (struct metadata_node){.name = name, .len = len, .parent = parent, .next = *at};
	*at = node;
	return node;
}

const struct metadata_node *metadata_tree_root(void)
{
	if (n_nodes > 0)
		return &nodes[0];
	n_nodes = 1;
	for (size_t i = 0; i < N_ENTRIES; i++) {
		struct metadata_node *node = &nodes[0];
		const char *at = entries[i].path;
		while (*at) {
			size_t n = strcspn(at, "/");
			node = add_child(node, at, n);
			at += n + (at[n] == '/');
		}
		node->entry = &entries[i];
		node->index = (unsigned)i;
	}
	return &nodes[0];
}

static const struct metadata_node *find_child(const struct metadata_node *parent, const char *name,
					      size_t len)
{
	for (const struct metadata_node *n = parent->children; n; n = n->next)
		if (n->len == len && !metadata_node_variable(n) && memcmp(n->name, name, len) == 0)
			return n;
	/* A '*' has no sisters. */
	if (parent->children && metadata_node_variable(parent->children) &&
	    metadata_name_ok(name, len))
		return parent->children;
	return NULL;
}

static bool stands_for_all_below(const struct metadata_entry *entry)
{
	return entry && entry->path[strlen(entry->path) - 1] == '/';
}

const struct metadata_node *metadata_tree_find(const char *path, const char **ret_rest)
{
	const struct metadata_node *node = metadata_tree_root();

	while (*path && node && !stands_for_all_below(node->entry)) {
		size_t n = strcspn(path, "/");
		node = find_child(node, path, n);
		path += n + (path[n] == '/');
	}
	*ret_rest = path;
	return node;
}

bool metadata_name_ok(const char *name, size_t len)
{
	static const char others[] = "+=.,_:@-";

	if (len == 0 || len > 128 || (len == 1 && name[0] == '.') ||
	    (len == 2 && name[0] == '.' && name[1] == '.'))
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !memchr(others, c, sizeof(others) - 1))
			return false;
	}
	return true;
}

struct opening {
	struct metadata_allow *allow;
	bool blocked_too;
	bool opened, is_blocked;
};

static void open_below(const struct metadata_node *node, struct opening *o)
{
	enum metadata_class class = metadata_node_class(node);

	/* What is CACHED is open anyway: to name it is no use and no harm. */
	if (class == METADATA_BLOCKED)
		o->is_blocked = true;
	if (class == METADATA_CACHED || class == METADATA_OVERRIDE || class == METADATA_OPT_IN ||
	    (class == METADATA_BLOCKED && o->blocked_too)) {
		o->opened = true;
		o->allow->bits[node->index / 64] |= (uint64_t)1 << node->index % 64;
	}
	for (const struct metadata_node *n = node->children; n; n = n->next)
		open_below(n, o);
}

/* By the names in the table alone: "*" is a name like others here. */
static const struct metadata_node *find_literal(const char *path)
{
	const struct metadata_node *node = metadata_tree_root();

	while (*path) {
		size_t n = strcspn(path, "/");
		const struct metadata_node *child = node->children;
		while (child && compare_names(child, path, n) != 0)
			child = child->next;
		if (!child)
			return NULL;
		node = child;
		path += n + (path[n] == '/');
		if (*path && stands_for_all_below(node->entry))
			return node;
	}
	return node;
}

int metadata_allow_add(struct metadata_allow *allow, const char *path, bool blocked_too,
		       struct diag *diag)
{
	struct opening o = {.allow = allow, .blocked_too = blocked_too};
	const char *at = path;

	if (*at == '/')
		at++;
	if (strncmp(at, "latest/", 7) == 0)
		at += 7;
	const struct metadata_node *node = *at ? find_literal(at) : NULL;
	if (!node)
		return diag_fail(EINVAL, diag, NULL,
				 "\"%.128s\" is no metadata path that can be opened; paths are "
				 "written like meta-data/spot, and where EC2 names what is there "
				 "the directory is opened",
				 path);
	open_below(node, &o);
	if (o.opened)
		return 0;
	if (o.is_blocked)
		return diag_fail(EINVAL, diag, NULL,
				 "\"%.128s\" holds secrets of the host: it can be opened only for "
				 "single containers, by \"allow\" in their registration",
				 path);
	return diag_fail(EINVAL, diag, NULL, "\"%.128s\" can never be opened", path);
}

int metadata_allow_parse(const char *list, struct metadata_allow *ret, struct diag *diag)
{
	static const char separators[] = " \t\r\n,";

	*ret = (struct metadata_allow){0};
	for (const char *at = list; at && *at;) {
		at += strspn(at, separators);
		size_t n = strcspn(at, separators);
		if (n == 0)
			break;
		_cleanup_free_ char *path = strndup(at, n);
		if (!path)
			return diag_fail(ENOMEM, diag, NULL, "out of memory");
		int r = metadata_allow_add(ret, path, false, diag);
		if (r < 0)
			return r;
		at += n;
	}
	return 0;
}
