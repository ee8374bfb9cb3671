#include "launch/launch_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/file.h"
#include "util/process.h"
#include "wire/container_id.h"

#define LAUNCHER "launcher"

struct launcher {
	int pid;
	uint64_t started;
	uint32_t slot;
};

/* The directory of all launches, made if it is not there. Nobody else may write to it: what is in it
 * decides what root runs. */
static int open_root(const char *root, int *ret_fd, struct diag *diag)
{
	struct stat st;

	/* Others may pass: the users of a container's user namespace must reach its root. */
	if (mkdir(root, 0711) < 0 && errno != EEXIST)
		return diag_fail(errno, diag, NULL, "%s: %s", root, strerror(errno));
	_cleanup_fd_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return diag_fail(errno, diag, NULL, "%s: %s", root, strerror(errno));
	if (st.st_uid != geteuid() || (st.st_mode & 022))
		return diag_fail(EPERM, diag, NULL, "%s: others than root may write to it", root);
	/* One at a time: slots are looked for, and dead ones cleaned up. Freed with the descriptor. */
	if (flock(fd, LOCK_EX) < 0)
		return diag_fail(errno, diag, NULL, "%s: %s", root, strerror(errno));
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int read_launcher(int root_fd, const char *id, struct launcher *ret)
{
	char path[CONTAINER_ID_SIZE + 16];
	_cleanup_free_ char *text = NULL;

	snprintf(path, sizeof(path), "%s/" LAUNCHER, id);
	int r = file_read_at(root_fd, path, 256, &text, NULL);
	if (r < 0)
		return r;
	return sscanf(text, "%d %" SCNu64 " %" SCNu32, &ret->pid, &ret->started, &ret->slot) == 3
		       ? 0
		       : -EINVAL;
}

static bool is_alive(const struct launcher *launcher)
{
	uint64_t started = 0;
	int pidfd = -1;

	int r = process_open(launcher->pid, &pidfd, &started);
	(void)fd_close(pidfd);
	/* Without a descriptor or memory nothing is known; only who is gone for certain is dead. */
	return r != -ESRCH && (r < 0 || started == launcher->started);
}

/* Is it the directory of a launch, whose launcher is gone? What has no launcher in it is none of ours,
 * whatever it is: it must not be emptied. */
static bool is_dead(int root_fd, const char *id)
{
	struct launcher launcher;

	return container_id_check(id) == 0 && read_launcher(root_fd, id, &launcher) == 0 &&
	       !is_alive(&launcher);
}

/* What a launcher left that died before it had said who it is. Never more than that. */
static void remove_unborn(int root_fd, const char *id)
{
	char path[CONTAINER_ID_SIZE + 32];
	struct stat st;

	snprintf(path, sizeof(path), "%s/" LAUNCHER, id);
	if (fstatat(root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return;
	snprintf(path, sizeof(path), "%s/." LAUNCHER ".new", id);
	(void)unlinkat(root_fd, path, 0);
	(void)unlinkat(root_fd, id, AT_REMOVEDIR); /* only if it is empty */
}

static DIR *list(int root_fd)
{
	int fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir)
		(void)fd_close(fd);
	return dir;
}

static int find_slot(int root_fd, uint32_t *ret, struct diag *diag)
{
	static const unsigned char none[LAUNCH_SLOTS];
	unsigned char used[LAUNCH_SLOTS] = {0};
	struct launcher launcher;
	const struct dirent *entry;

	DIR *dir = list(root_fd);
	if (!dir)
		return diag_fail(errno, diag, NULL, "the launches cannot be listed: %s",
				 strerror(errno));
	while ((entry = readdir(dir)))
		if (container_id_check(entry->d_name) == 0 &&
		    read_launcher(root_fd, entry->d_name, &launcher) == 0 &&
		    launcher.slot < LAUNCH_SLOTS)
			used[launcher.slot] = 1;
	(void)closedir(dir);
	const unsigned char *free_slot = memchr(used, none[0], sizeof(used));
	if (!free_slot)
		return diag_fail(EAGAIN, diag, NULL, "there are %d containers already",
				 LAUNCH_SLOTS);
	*ret = (uint32_t)(free_slot - used);
	return 0;
}

static int write_launcher(int dir_fd, uint32_t slot)
{
	struct launcher me = {.pid = getpid()};
	char text[128];
	int pidfd = -1;

	int r = process_open(me.pid, &pidfd, &me.started);
	(void)fd_close(pidfd);
	if (r < 0)
		return r;
	int n = snprintf(text, sizeof(text), "%d %" PRIu64 " %" PRIu32 "\n", me.pid, me.started,
			 slot);
	return file_write_atomic(dir_fd, LAUNCHER, text, (size_t)n, 0600);
}

static int open_state(const char *root, int root_fd, const char *id, struct launch_state *ret)
{
	*ret = (struct launch_state){.root = root, .dir_fd = -1};
	if (asprintf(&ret->dir, "%s/%s", root, id) < 0) {
		ret->dir = NULL;
		return -ENOMEM;
	}
	ret->dir_fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->dir_fd >= 0)
		return 0;
	int r = -errno;
	free(ret->dir);
	return r;
}

int launch_state_create(const char *root, const char *id, struct launch_state *ret,
			struct diag *diag)
{
	_cleanup_fd_ int root_fd = -1;
	uint32_t slot = 0;

	if (strcmp(id, "runc") == 0)
		return diag_fail(EINVAL, diag, "name", "runc is where runc's own state is");
	int r = open_root(root, &root_fd, diag);
	if (r == 0)
		r = find_slot(root_fd, &slot, diag);
	if (r < 0)
		return r;
	remove_unborn(root_fd, id);
	if (mkdirat(root_fd, id, 0711) < 0)
		return diag_fail(errno, diag, "name",
				 errno == EEXIST ? "a container %s is launched already" : "%s: %s",
				 id, strerror(errno));
	r = open_state(root, root_fd, id, ret);
	if (r < 0) {
		(void)unlinkat(root_fd, id, AT_REMOVEDIR);
		return diag_fail(-r, diag, NULL, "%s: %s", id, strerror(-r));
	}
	ret->ids_base = LAUNCH_IDS_BASE + slot * LAUNCH_IDS_SIZE;
	r = write_launcher(ret->dir_fd, slot);
	if (r < 0) {
		launch_state_remove(ret);
		return diag_fail(-r, diag, NULL, "%s: %s", id, strerror(-r));
	}
	return 0;
}

void launch_state_remove(struct launch_state *state)
{
	const struct dirent *entry;

	DIR *dir = list(state->dir_fd);
	while (dir && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		/* Only mount points are directories: empty by now, or busy and left alone. */
		if (unlinkat(state->dir_fd, entry->d_name, 0) < 0)
			(void)unlinkat(state->dir_fd, entry->d_name, AT_REMOVEDIR);
	}
	if (dir)
		(void)closedir(dir);
	(void)rmdir(state->dir);
	state->dir_fd = fd_close(state->dir_fd);
	free(state->dir);
	state->dir = NULL;
}

int launch_state_each_dead(const char *root, launch_state_visit_fn visit, void *user,
			   struct diag *diag)
{
	_cleanup_fd_ int root_fd = -1;
	const struct dirent *entry;

	int r = open_root(root, &root_fd, diag);
	DIR *dir = r == 0 ? list(root_fd) : NULL;
	if (!dir)
		return r < 0 ? r : -errno;
	while ((entry = readdir(dir))) {
		struct launch_state state;
		if (is_dead(root_fd, entry->d_name) &&
		    open_state(root, root_fd, entry->d_name, &state) == 0)
			visit(entry->d_name, &state, user);
	}
	(void)closedir(dir);
	return 0;
}
