#include "privileged/bridge_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privileged/program.h"
#include "privileged/rule_files.h"
#include "privileged/rules.h"
#include "util/fd.h"

#define FWMARK_ACCEPT "/proc/sys/net/ipv4/tcp_fwmark_accept"

static const char removal[] = "table bridge rolegate\ndelete table bridge rolegate\n"
			      "table inet rolegate\ndelete table inet rolegate\n";

static void put_address(const struct veth_path *path, struct buf *ret)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (path->ipv6)
		(void)inet_ntop(AF_INET6, path->source.address, text, sizeof(text));
	else
		(void)inet_ntop(AF_INET, path->source.address + 12, text, sizeof(text));
	buf_puts(ret, text);
}

/* How an element of a set or map is written: which of port, ingress, source and mark, in order. */
enum element {
	PORT_SOURCE_MARK,
	MARK_INGRESS_SOURCE,
	INGRESS_SOURCE,
	MARK_INGRESS,
	MARK_PORT,
};

enum which { EVERY_PATH, BRIDGED_PATHS, ROUTED_PATHS };

static const struct element_set {
	const char *name;
	enum element element;
	enum which which;
	int family; /* 4, 6; 0: both */
} sets[] = {
	{"bridge rolegate ports4", PORT_SOURCE_MARK, BRIDGED_PATHS, 4},
	{"bridge rolegate ports6", PORT_SOURCE_MARK, BRIDGED_PATHS, 6},
	{"bridge rolegate exits", MARK_PORT, BRIDGED_PATHS, 0},
	{"inet rolegate routed4", PORT_SOURCE_MARK, ROUTED_PATHS, 4},
	{"inet rolegate routed6", PORT_SOURCE_MARK, ROUTED_PATHS, 6},
	{"inet rolegate doors4", MARK_INGRESS_SOURCE, EVERY_PATH, 4},
	{"inet rolegate doors6", MARK_INGRESS_SOURCE, EVERY_PATH, 6},
	{"inet rolegate sources4", INGRESS_SOURCE, EVERY_PATH, 4},
	{"inet rolegate sources6", INGRESS_SOURCE, EVERY_PATH, 6},
	{"inet rolegate exits", MARK_INGRESS, EVERY_PATH, 0},
};

static bool belongs(const struct veth_path *path, const struct element_set *set)
{
	bool bridged = path->port != path->ingress;

	return (set->family == 0 || set->family == (path->ipv6 ? 6 : 4)) &&
	       (set->which == EVERY_PATH || (set->which == BRIDGED_PATHS) == bridged);
}

static void put_element(const struct veth_path *path, uint32_t mark, enum element element,
			struct buf *ret)
{
	switch (element) {
	case PORT_SOURCE_MARK:
		buf_printf(ret, "%u . ", path->port);
		put_address(path, ret);
		buf_printf(ret, " : 0x%x", mark);
		break;
	case MARK_INGRESS_SOURCE:
		buf_printf(ret, "0x%x . %u . ", mark, path->ingress);
		put_address(path, ret);
		break;
	case INGRESS_SOURCE:
		buf_printf(ret, "%u . ", path->ingress);
		put_address(path, ret);
		break;
	case MARK_INGRESS:
		buf_printf(ret, "0x%x . %u", mark, path->ingress);
		break;
	case MARK_PORT:
		buf_printf(ret, "0x%x . %u", mark, path->port);
		break;
	}
}

static void put_set(const struct element_set *set, const struct bridge_client *clients, size_t n,
		    struct buf *ret)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < clients[i].paths.n; k++) {
			const struct veth_path *path = &clients[i].paths.list[k];
			if (!belongs(path, set))
				continue;
			if (any)
				buf_puts(ret, ", ");
			else
				buf_printf(ret, "add element %s { ", set->name);
			put_element(path, clients[i].mark, set->element, ret);
			any = true;
		}
	if (any)
		buf_puts(ret, " }\n");
}

int bridge_rules_render(uint16_t port, const struct bridge_client *clients, size_t n,
			struct buf *ret)
{
	const struct rules_variables variables = {.port = port, .mark_mask = NETD_MARK_MASK};

	int r = rules_render(rule_file_bridge, &variables, ret);
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		put_set(&sets[i], clients, n, ret);
	return buf_ok(ret) ? 0 : -ENOMEM;
}

/* nft takes a number for an interface's name, if there is one of that name. */
static int check_index(uint32_t index, struct diag *diag)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", index);
	if (if_nametoindex(name) != 0)
		return diag_fail(EINVAL, diag, NULL,
				 "an interface of the host is called \"%s\": rename it", name);
	return 0;
}

static int check_indices(const struct bridge_client *clients, size_t n, struct diag *diag)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < clients[i].paths.n; k++) {
			int r = check_index(clients[i].paths.list[k].port, diag);
			if (r == 0)
				r = check_index(clients[i].paths.list[k].ingress, diag);
			if (r < 0)
				return r;
		}
	return 0;
}

static int nft(const char *const arguments[], const char *input, struct buf *ret, struct diag *diag)
{
	_cleanup_program_ struct program p = PROGRAM_NONE;

	int r = program_start(&p, "nft", arguments, input, "nftables", diag);
	if (r == 0)
		r = program_wait(&p, diag);
	if (r == 0 && ret)
		r = program_output(&p, ret, diag);
	return r;
}

static int nft_apply(const char *text, struct diag *diag)
{
	static const char *const arguments[] = {"-f", "-", NULL};

	return nft(arguments, text, NULL, diag);
}

/* FNV-1a: see rules.c. */
static int get_digest(uint64_t *ret, struct diag *diag)
{
	static const char *const bridge[] = {"-s", "list", "table", "bridge", "rolegate", NULL};
	static const char *const inet[] = {"-s", "list", "table", "inet", "rolegate", NULL};
	_cleanup_buf_ struct buf text = {0};

	int r = nft(bridge, NULL, &text, diag);
	if (r == 0)
		r = nft(inet, NULL, &text, diag);
	if (r < 0)
		return r;
	*ret = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < text.len; i++)
		*ret = (*ret ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
	return 0;
}

/* Returns what it was before ('0', '1'), or -errno. */
static int fwmark_accept_set(char value)
{
	char before;

	_cleanup_fd_ int fd = open(FWMARK_ACCEPT, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &before, 1, 0) != 1)
		return fd < 0 ? -errno : -EIO;
	if (before != value && pwrite(fd, &value, 1, 0) != 1)
		return -errno;
	return before;
}

int bridge_rules_apply(uint16_t port, const struct bridge_client *clients, size_t n,
		       struct bridge_state *state, struct diag *diag)
{
	_cleanup_buf_ struct buf text = {0};

	int r = check_indices(clients, n, diag);
	if (r < 0)
		return r;
	r = bridge_rules_render(port, clients, n, &text);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "building bridge mode's rules: %s", strerror(-r));
	int before = fwmark_accept_set('1');
	if (before < 0)
		return diag_fail(-before, diag, NULL, "%s: %s", FWMARK_ACCEPT, strerror(-before));
	state->fwmark_changed |= before == '0';
	r = nft_apply(text.data, diag);
	if (r < 0)
		return r;
	state->standing = true;
	return get_digest(&state->digest, diag);
}

bool bridge_rules_intact(const struct bridge_state *state)
{
	uint64_t digest;

	return get_digest(&digest, NULL) == 0 && digest == state->digest;
}

int bridge_rules_remove(struct bridge_state *state, struct diag *diag)
{
	int r = nft_apply(removal, diag);

	if (r < 0)
		return r;
	if (state->fwmark_changed)
		(void)fwmark_accept_set('0');
	*state = (struct bridge_state){0};
	return 0;
}
