#include "rolegate-netd/liveness.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "rolegate-netd/bridge.h"
#include "rolegate-netd/host_guard.h"
#include "rolegate-netd/job.h"
#include "rolegate-netd/peer.h"
#include "util/log.h"

/* Those of which nothing is known, until a search gives them a witness. */
struct missing {
	struct attachment *list[ATTACHMENTS_MAX];
	size_t n;
};

bool liveness_is_descriptor(const char *path)
{
	unsigned pid, fd;
	int end = 0;

	return sscanf(path, "/proc/%9u/fd/%9u%n", &pid, &fd, &end) == 2 && end > 0 &&
	       path[end] == '\0';
}

/* Without asking a file system for news: by now it may be a file on a server that hangs. */
static bool descriptor_is_good(const struct attachment *attachment)
{
	struct statx st;

	return statx(AT_FDCWD, attachment->witness, AT_STATX_DONT_SYNC, STATX_INO, &st) == 0 &&
	       st.stx_ino == attachment->netns.ino &&
	       makedev(st.stx_dev_major, st.stx_dev_minor) == attachment->netns.dev;
}

static bool witness_is_good(const struct attachment *attachment)
{
	struct netns_id id;

	if (liveness_is_descriptor(attachment->witness))
		return descriptor_is_good(attachment);
	return attachment->witness[0] && netns_of_path(attachment->witness, &id) == 0 &&
	       netns_id_equal(&id, &attachment->netns);
}

/* `path` leads to `id`: whoever is missing it is alive. */
static void testify(struct missing *missing, const char *path, const struct netns_id *id)
{
	for (size_t i = 0; i < missing->n; i++) {
		if (!netns_id_equal(&missing->list[i]->netns, id))
			continue;
		snprintf(missing->list[i]->witness, sizeof(missing->list[i]->witness), "%s", path);
		missing->list[i] = missing->list[--missing->n];
		return; /* no two attachments share a netns */
	}
}

static void search_processes(struct missing *missing)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[64];
	struct netns_id id;

	if (!proc)
		return;
	while (missing->n > 0 && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/ns/net", entry->d_name);
		if (netns_of_path(path, &id) == 0)
			testify(missing, path, &id);
	}
	closedir(proc);
}

/* mountinfo writes blanks and backslashes as \ooo. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		unsigned value;
		if (s[0] == '\\' && sscanf(s + 1, "%3o", &value) == 1 && value && strlen(s) >= 4) {
			*to++ = (char)value;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static void search_mounts(struct missing *missing)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;

	if (!mounts)
		return;
	while (missing->n > 0 && getline(&line, &size, mounts) >= 0) {
		char path[NETD_PATH_SIZE];
		unsigned major, minor;
		unsigned long ino;
		struct netns_id id;
		if (sscanf(line, "%*d %*d %u:%u net:[%lu] %511s", &major, &minor, &ino, path) != 4)
			continue;
		unescape(path);
		id = (struct netns_id){.dev = makedev(major, minor), .ino = ino};
		testify(missing, path, &id);
	}
	free(line);
	fclose(mounts);
}

static void search(struct missing *missing)
{
	if (missing->n > 0)
		search_processes(missing);
	if (missing->n > 0)
		search_mounts(missing);
}

bool liveness_is_alive(struct netd *netd, struct attachment *attachment)
{
	(void)netd;
	if (witness_is_good(attachment))
		return true;
	_cleanup_free_ struct missing *missing = calloc(1, sizeof(*missing));
	if (!missing)
		return true;
	missing->list[missing->n++] = attachment;
	search(missing);
	return missing->n == 0;
}

void liveness_bury(struct netd *netd, struct attachment *attachment, const char *why)
{
	bool bridged = attachment->mode == NETD_MODE_BRIDGE;
	struct netd_reply reply = {
		.version = NETD_PROTOCOL_VERSION,
		.verb = NETD_GONE,
		.netns_dev = attachment->netns.dev,
		.netns_ino = attachment->netns.ino,
	};

	memcpy(reply.id, attachment->id, sizeof(reply.id));
	log_info(attachment->id, "%s (netns %llu)", why, (unsigned long long)attachment->netns.ino);
	attachments_remove(&netd->attachments, attachment);
	peer_answer_all(netd, &reply);
	if (!bridged)
		return;
	bridge_close_unused(netd);
	(void)host_guard_sync(netd);
}

static void check_all(void *user)
{
	struct netd *netd = user;
	struct attachment *attachment;

	_cleanup_free_ struct missing *missing = calloc(1, sizeof(*missing));
	for (size_t slot = 0;
	     missing && (attachment = attachments_next(&netd->attachments, &slot));)
		/* While a job works on it, workers of ours are in the netns. */
		if (!witness_is_good(attachment) && !job_touches(netd, attachment->id))
			missing->list[missing->n++] = attachment;
	if (missing)
		search(missing);
	for (size_t i = 0; missing && i < missing->n; i++)
		liveness_bury(netd, missing->list[i], "its netns is gone");
	liveness_arm(netd);
}

void liveness_init(struct netd *netd)
{
	netd->liveness = (struct loop_timer){.handle = check_all, .user = netd};
}

void liveness_arm(struct netd *netd)
{
	if (netd->attachments.n > 0 && netd->liveness.due_ms == 0)
		loop_timer_set(&netd->loop, &netd->liveness, LIVENESS_PERIOD_MS);
}
