#include "launch/image_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/file.h"

#define RECORD_MAX ((size_t)32 * 1024 * 1024)
/* A root's path, a container's id and what is between and behind them. */
#define RECORD_PATH_MAX (2 * PATH_MAX)
/* How many directories above a root an engine's own may be: overlay2/HASH/merged. */
#define LEVELS_MAX 6

/* Read a file that only root may have written. */
static int read_trusted(const char *path, char **ret_text, size_t *ret_len)
{
	char link[64];
	struct stat st;

	_cleanup_fd_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022))
		return -EPERM;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return file_read(link, RECORD_MAX, ret_text, ret_len);
}

static int find_docker(const char *base, const char *driver, const char *id,
		       struct image_record *ret)
{
	_cleanup_free_ char *text = NULL, *repositories = NULL;
	char path[RECORD_PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%s/containers/%s/config.v2.json", base, id);
	int r = read_trusted(path, &text, &len);
	if (r == 0)
		r = image_record_docker(text, len, ret);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/image/%s/repositories.json", base, driver);
	if (read_trusted(path, &repositories, &len) == 0)
		(void)image_record_docker_digest(repositories, len, ret);
	return 0;
}

/* The manifest, under one name or two: "manifest-" and its digest is written in base64. */
static bool is_manifest(const char *name)
{
	static const char encoded[] = "=bWFuaWZlc3Qt";

	return strcmp(name, "manifest") == 0 || strncmp(name, encoded, strlen(encoded)) == 0;
}

static int add_manifests(const char *base, const char *driver, struct image_record *record)
{
	char path[RECORD_PATH_MAX], file[RECORD_PATH_MAX + 256];
	const struct dirent *entry;
	int r = 0;

	if (!record->id || record->id[0] == '.' || strchr(record->id, '/'))
		return 0;
	snprintf(path, sizeof(path), "%s/%s-images/%s", base, driver, record->id);
	DIR *dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (r == 0 && (entry = readdir(dir))) {
		_cleanup_free_ char *text = NULL;
		size_t len;
		if (!is_manifest(entry->d_name))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		r = read_trusted(file, &text, &len);
		if (r == 0)
			r = image_record_manifest(text, len, record);
	}
	(void)closedir(dir);
	return r;
}

static int find_storage(const char *base, const char *driver, const char *id,
			struct image_record *ret)
{
	_cleanup_free_ char *text = NULL, *images = NULL;
	char path[RECORD_PATH_MAX];
	size_t len;

	snprintf(path, sizeof(path), "%s/%s-containers/containers.json", base, driver);
	int r = read_trusted(path, &text, &len);
	if (r == 0)
		r = image_record_storage(text, len, id, ret);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/%s-images/images.json", base, driver);
	if (read_trusted(path, &images, &len) == 0)
		(void)image_record_storage_digest(images, len, ret);
	return add_manifests(base, driver, ret);
}

int image_store_find(const char *root_path, const char *container_id, struct image_record *ret)
{
	char base[PATH_MAX];

	*ret = (struct image_record){0};
	if (root_path[0] != '/' || strchr(container_id, '/') || strlen(root_path) >= sizeof(base))
		return -ENOENT;
	snprintf(base, sizeof(base), "%s", root_path);
	for (int level = 0; level < LEVELS_MAX; level++) {
		char *slash = strrchr(base, '/');
		if (!slash || slash == base)
			return -ENOENT;
		*slash = '\0';
		const char *driver = slash + 1;
		int r = find_docker(base, driver, container_id, ret);
		if (r == -ENOENT)
			r = find_storage(base, driver, container_id, ret);
		if (r < 0)
			image_record_deinit(ret);
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}
