#include "rolegated/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/file.h"
#include "util/log.h"

#define KEY_NAME "token.key"
#define STATE_FILE_MAX (128 * 1024)
#define SUFFIX ".json"

static int open_dir(int at, const char *path, mode_t mode)
{
	if (mkdirat(at, path, mode) < 0 && errno != EEXIST)
		return -errno;
	/* Started as root, we must not be led elsewhere by a link that somebody else has put there. */
	int fd = openat(at, path,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | (at == AT_FDCWD ? 0 : O_NOFOLLOW));
	return fd < 0 ? -errno : fd;
}

int state_open(const char *dir, struct state *state, struct diag *diag)
{
	struct stat st = {0};

	*state = (struct state){.dir_fd = -1, .containers_fd = -1};
	/* The directory itself may hold the sockets too, so it is passable; what is in it is not.
	 */
	int fd = open_dir(AT_FDCWD, dir, 0755);
	if (fd < 0)
		return diag_fail(-fd, diag, "dir", "cannot use the state directory %s: %s", dir,
				 strerror(-fd));
	state->dir_fd = fd;
	(void)fstat(fd, &st);
	snprintf(state->identity, sizeof(state->identity), "%llx-%llx",
		 (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	fd = open_dir(state->dir_fd, "containers", 0700);
	if (fd < 0) {
		state_close(state);
		return diag_fail(-fd, diag, "dir", "cannot use %s/containers: %s", dir,
				 strerror(-fd));
	}
	state->containers_fd = fd;
	return 0;
}

void state_close(struct state *state)
{
	state->dir_fd = fd_close(state->dir_fd);
	state->containers_fd = fd_close(state->containers_fd);
}

static DIR *open_listing(const struct state *state)
{
	int fd = openat(state->containers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		fd_close(fd);
	return dir;
}

/* What the directory's owner may have put there under one of our names, a link to a file of
 * another's above all, is not given away. */
static int chown_file(int dir_fd, const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	_cleanup_fd_ int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
		log_warning(NULL, "state file %s is no file of its own: left alone", name);
		return 0;
	}
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int state_chown(const struct state *state, uid_t uid, gid_t gid)
{
	struct dirent *entry;
	int r = 0;

	/* Not DIR itself, which holds more than ours: nothing is written there once we have started. */
	if (fchown(state->containers_fd, uid, gid) < 0)
		return -errno;
	r = chown_file(state->dir_fd, KEY_NAME, uid, gid);
	if (r < 0)
		return r;
	DIR *dir = open_listing(state);
	if (!dir)
		return -errno;
	while (r == 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = chown_file(state->containers_fd, entry->d_name, uid, gid);
	closedir(dir);
	return r;
}

int state_token_key(const struct state *state, uint8_t ret[static TOKEN_KEY_SIZE],
		    struct diag *diag)
{
	char *text = NULL;
	size_t len = 0;

	int r = file_read_at(state->dir_fd, KEY_NAME, 4096, &text, &len);
	if (r == 0 && len == TOKEN_KEY_SIZE) {
		memcpy(ret, text, TOKEN_KEY_SIZE);
		explicit_bzero(text, len);
		free(text);
		return 0;
	}
	if (r == 0 || r == -EFBIG)
		log_warning(NULL,
			    "%s does not hold %d bytes; making a new key: session tokens "
			    "handed out before end here",
			    KEY_NAME, TOKEN_KEY_SIZE);
	secret_free(text);
	if (r < 0 && r != -ENOENT && r != -EFBIG)
		return diag_fail(-r, diag, "dir", "cannot read the token key: %s", strerror(-r));
	if (getrandom(ret, TOKEN_KEY_SIZE, 0) != TOKEN_KEY_SIZE)
		return diag_fail(EIO, diag, NULL, "the kernel gives no random bytes");
	r = file_write_atomic(state->dir_fd, KEY_NAME, ret, TOKEN_KEY_SIZE, 0600);
	if (r < 0)
		return diag_fail(-r, diag, "dir", "cannot write the token key: %s", strerror(-r));
	return 0;
}

/* Which boot this is, random(4); "" if the kernel does not say. */
static void read_boot_id(char ret[static STATE_BOOT_ID_SIZE])
{
	_cleanup_secret_ char *text = NULL;

	ret[0] = '\0';
	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, NULL) == 0)
		snprintf(ret, STATE_BOOT_ID_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
}

static int name_of(const char *id, char *ret, size_t size)
{
	int n = snprintf(ret, size, "%s" SUFFIX, id);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int state_save(const struct state *state, const struct container *c)
{
	_cleanup_buf_ struct buf text = {0};
	struct container_state s = {
		.id = c->id,
		.registration = c->registration->canonical,
		.registered_at_s = c->registered_at_s,
		.netns_dev = c->netns_dev,
		.netns_ino = c->netns_ino,
		.netns_cookie = c->netns_cookie,
		.pid_started = c->pid_started,
	};
	char name[CONTAINER_ID_SIZE + sizeof(SUFFIX)];

	for (size_t i = 0; i < TOKEN_INSTANCE_SIZE; i++)
		snprintf(s.instance + 2 * i, 3, "%02x", c->instance[i]);
	read_boot_id(s.boot_id);
	container_state_print(&s, &text);
	if (!buf_ok(&text))
		return -ENOMEM;
	int r = name_of(c->id, name, sizeof(name));
	/* Unsynced: what went down with the host is of no use after it has come up again. */
	return r < 0 ? r
		     : file_write_unsynced(state->containers_fd, name, text.data, text.len, 0600);
}

int state_drop(const struct state *state, const char *id)
{
	char name[CONTAINER_ID_SIZE + sizeof(SUFFIX)];
	int r = name_of(id, name, sizeof(name));

	if (r < 0)
		return r;
	return unlinkat(state->containers_fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int parse_instance(const char *hex, uint8_t ret[static TOKEN_INSTANCE_SIZE])
{
	for (size_t i = 0; i < TOKEN_INSTANCE_SIZE; i++) {
		unsigned byte;
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		ret[i] = (uint8_t)byte;
	}
	return 0;
}

/* No netns and no process outlives a reboot; their numbers are given out anew. */
static bool is_of_another_boot(const struct container_state *s)
{
	char boot_id[STATE_BOOT_ID_SIZE];

	read_boot_id(boot_id);
	if (!s->boot_id[0] || !boot_id[0] || strcmp(s->boot_id, boot_id) == 0)
		return false;
	log_info(s->id, "not taken up again: the host has been booted since");
	return true;
}

static int load_one(const struct state *state, const char *name, state_cb *cb, void *data,
		    struct diag *diag)
{
	char *text = NULL;
	struct container_state s = {0};
	uint8_t instance[TOKEN_INSTANCE_SIZE];
	size_t len = 0;

	int r = file_read_at(state->containers_fd, name, STATE_FILE_MAX, &text, &len);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "cannot be read: %s", strerror(-r));
	if (len == 0) {
		free(text);
		log_info(NULL,
			 "state file %s is empty: it was being written when the host went down",
			 name);
		return unlinkat(state->containers_fd, name, 0) < 0 ? -errno : 0;
	}
	r = container_state_parse(text, len, &s, diag);
	free(text);
	if (r < 0)
		return r;
	size_t id_len = strlen(s.id);
	if (strncmp(name, s.id, id_len) != 0 || strcmp(name + id_len, SUFFIX) != 0)
		r = diag_fail(EINVAL, diag, "id", "holds the state of %s", s.id);
	else if (parse_instance(s.instance, instance) < 0)
		r = diag_fail(EINVAL, diag, "instance", "is not hexadecimal");
	else if (is_of_another_boot(&s))
		r = state_drop(state, s.id);
	else
		cb(&s, instance, data);
	container_state_deinit(&s);
	return r;
}

static void set_aside(const struct state *state, const char *name, const struct diag *diag)
{
	char aside[300];

	snprintf(aside, sizeof(aside), "%.280s.bad", name);
	/* What is no regular file the sandbox does not let us move: it stays, and does no harm. */
	if (renameat(state->containers_fd, name, state->containers_fd, aside) < 0)
		log_error(NULL, "state file %s %s; ignored: remove it, and register anew", name,
			  diag->text);
	else
		log_error(NULL,
			  "state file %s %s; set aside as %s, the container must be registered "
			  "anew",
			  name, diag->text, aside);
}

void state_load(const struct state *state, state_cb *cb, void *data)
{
	DIR *dir = open_listing(state);
	struct dirent *entry;

	if (!dir) {
		log_error(NULL, "cannot list the state directory: %s", strerror(errno));
		return;
	}
	while ((entry = readdir(dir))) {
		struct diag diag = {0};
		size_t n = strlen(entry->d_name);
		if (entry->d_name[0] == '.' || n <= sizeof(SUFFIX) - 1 ||
		    strcmp(entry->d_name + n - (sizeof(SUFFIX) - 1), SUFFIX) != 0)
			continue;
		if (load_one(state, entry->d_name, cb, data, &diag) < 0)
			set_aside(state, entry->d_name, &diag);
	}
	closedir(dir);
}
