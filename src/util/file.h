/* file: reading whole small files, and replacing them atomically. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* file_read(path, max, ret_text, ret_len): read a regular file of at most `max` bytes. The text is
 * NUL-terminated and the caller's (secret_free()). `ret_len` may be NULL; the file must then hold
 * no NUL. 0 or -errno: -EFBIG if larger, -EINVAL for a NUL or for what is no regular file. */
int file_read(const char *path, size_t max, char **ret_text, size_t *ret_len);
int file_read_at(int dir_fd, const char *path, size_t max, char **ret_text, size_t *ret_len);

/* file_write_atomic(dir_fd, name, data, len, mode): write `name` in the directory, by a temporary
 * file, fsync and rename, so that a reader sees the old or the new contents. 0 or -errno. */
int file_write_atomic(int dir_fd, const char *name, const void *data, size_t len, mode_t mode);

/* file_write_unsynced(…): the same without fsync, which takes milliseconds on a disk: for what means
 * nothing after a power cut, which may leave it empty. */
int file_write_unsynced(int dir_fd, const char *name, const void *data, size_t len, mode_t mode);

/* file_replace(path, data, len): replace the contents of a regular file that exists, by a temporary
 * file beside it and rename; mode and owner stay. For files that need not survive a power cut:
 * nothing is synced. 0 or -errno. */
int file_replace(const char *path, const void *data, size_t len);
