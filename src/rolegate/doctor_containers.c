/* Containers, from inside and by what they may do. */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privileged/metadata_address.h"
#include "privileged/netns.h"
#include "rolegate/doctor.h"
#include "util/file.h"

#define BIT(capability) (UINT64_C(1) << (capability))

static const char *netns_path(const struct role_map_entry *entry, char *buffer, size_t size)
{
	if (entry->netns)
		return entry->netns;
	if (entry->pid <= 0)
		return NULL;
	snprintf(buffer, size, "/proc/%" PRId64 "/ns/net", entry->pid);
	return buffer;
}

static const char *address_names(unsigned bits, char *buffer, size_t size)
{
	size_t len = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < METADATA_ADDRESSES; i++)
		if (bits & 1u << i && len < size)
			len += (size_t)snprintf(buffer + len, size - len, "%s%s", len ? ", " : "",
						metadata_addresses[i].text);
	return buffer;
}

/* True if all is well with it. */
static bool judge(struct doctor *d, const char *id, const struct doctor_probe *probe)
{
	char names[256];

	if (probe->error) {
		doctor_add(d, DOCTOR_WARN, "container", "run as root, where the container runs",
			   "%s: cannot be probed: %s", id, probe->text);
		return false;
	}
	if (probe->open)
		doctor_add(d, DOCTOR_FAIL, "container",
			   "stop the container; check rolegate-netd and the host rules; register "
			   "it anew",
			   "%s: port 80 of %s leads past rolegate", id,
			   address_names(probe->open, names, sizeof(names)));
	if (probe->other)
		doctor_add(d, DOCTOR_FAIL, "container",
			   "stop the container; find out what answers there",
			   "%s: something answers on another port of %s", id,
			   address_names(probe->other, names, sizeof(names)));
	if (!probe->has_rules)
		doctor_add(
			d, DOCTOR_FAIL, "container",
			"whoever changed them has CAP_NET_ADMIN in there: take it away; register "
			"the container anew",
			"%s: the rules in its network namespace were changed", id);
	else if (!(probe->served & 1u))
		doctor_add(d, DOCTOR_FAIL, "container", "restart rolegate-netd and rolegated",
			   "%s: nothing answers at 169.254.169.254", id);
	return !probe->open && !probe->other && probe->has_rules && probe->served & 1u;
}

/* CapEff of a process, and whether its user namespace is ours. */
static int read_capabilities(const char *pid, uint64_t *ret, bool *ret_ours)
{
	_cleanup_secret_ char *text = NULL;
	struct netns_id user, own;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	int r = file_read(path, 16384, &text, NULL);
	if (r < 0)
		return r;
	const char *line = strstr(text, "\nCapEff:");
	if (!line || sscanf(line, "\nCapEff: %" SCNx64, ret) != 1)
		return -EIO;
	snprintf(path, sizeof(path), "/proc/%.20s/ns/user", pid);
	*ret_ours = netns_of_path(path, &user) == 0 &&
		    netns_of_path("/proc/self/ns/user", &own) == 0 && netns_id_equal(&user, &own);
	return 0;
}

/* What the processes in a netns may do, all together; from the host's user namespace alone. */
static uint64_t capabilities_in(const struct netns_id *netns)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t all = 0;

	while (proc && (entry = readdir(proc))) {
		struct netns_id id;
		uint64_t one;
		char path[64];
		bool ours;
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", entry->d_name);
		if (netns_of_path(path, &id) < 0 || !netns_id_equal(&id, netns))
			continue;
		if (read_capabilities(entry->d_name, &one, &ours) == 0 && ours)
			all |= one;
	}
	if (proc)
		closedir(proc);
	return all;
}

/* True if it has none of those that matter. */
static bool judge_capabilities(struct doctor *d, const char *id, const char *path)
{
	static const struct {
		int number;
		enum doctor_level level;
		const char *name, *what;
	} table[] = {
		{CAP_SYS_ADMIN, DOCTOR_FAIL, "CAP_SYS_ADMIN",
		 "may enter the host's network namespace"},
		{CAP_SYS_PTRACE, DOCTOR_FAIL, "CAP_SYS_PTRACE",
		 "may enter other processes, where it sees them"},
		{CAP_SYS_MODULE, DOCTOR_FAIL, "CAP_SYS_MODULE", "may load code into the kernel"},
		{CAP_NET_ADMIN, DOCTOR_WARN, "CAP_NET_ADMIN",
		 "may remove the rules in its network namespace; the host's rules hold"},
		{CAP_NET_RAW, DOCTOR_WARN, "CAP_NET_RAW",
		 "may send what its own rules do not see; the host's rules hold"},
	};
	struct netns_id netns;
	bool fine = true;

	if (netns_of_path(path, &netns) < 0)
		return false;
	uint64_t have = capabilities_in(&netns);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (!(have & BIT(table[i].number)))
			continue;
		fine = false;
		doctor_add(d, table[i].level, "capability",
			   "start the container without it (--cap-drop)", "%s has %s: it %s", id,
			   table[i].name, table[i].what);
	}
	return fine;
}

void doctor_look_at_containers(struct doctor *d)
{
	size_t safe = 0, weak = 0, known = 0;

	if (geteuid() != 0) {
		doctor_add(d, DOCTOR_WARN, "container", "run rolegate doctor as root",
			   "containers are probed from inside, which only root can");
		return;
	}
	for (size_t i = 0; d->map && i < d->map->n_entries; i++) {
		const struct role_map_entry *entry = &d->map->entries[i];
		struct doctor_probe probe;
		char buffer[64];
		const char *path = netns_path(entry, buffer, sizeof(buffer));
		if (!path)
			continue;
		known++;
		int64_t port =
			entry->bridged ? d->config.intercept.bridge_port : d->config.intercept.port;
		doctor_probe_netns(path, (uint16_t)port, entry->bridged, &probe);
		safe += judge(d, entry->id, &probe);
		weak += !judge_capabilities(d, entry->id, path);
	}
	if (known > 0 && safe == known)
		doctor_add(d, DOCTOR_OK, "container", NULL,
			   "%zu container%s probed from inside: no way to the host's metadata",
			   known, known == 1 ? "" : "s");
	if (known > 0 && weak == 0)
		doctor_add(d, DOCTOR_OK, "capability", NULL,
			   "no container has a capability that weakens its isolation");
}
