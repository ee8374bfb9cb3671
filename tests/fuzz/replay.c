/* Runs a fuzzer over its corpus without libFuzzer: every file of the directories that are given. So
 * `meson test` replays, with any compiler, whatever fuzzing has found. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"

#define INPUT_MAX (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path)
{
	char *text;
	size_t len;

	int r = file_read(path, INPUT_MAX, &text, &len);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	/* A block of just that size, so that a sanitizer sees a read past its end. */
	uint8_t *data = malloc(len + (len == 0));
	if (data) {
		memcpy(data, text, len);
		(void)LLVMFuzzerTestOneInput(data, len);
	}
	free(data);
	free(text);
	return 0;
}

static int replay_directory(const char *path, size_t *n)
{
	DIR *dir = opendir(path);

	if (!dir) {
		perror(path);
		return -1;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		char file[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (replay_file(file) < 0) {
			closedir(dir);
			return -1;
		}
		(*n)++;
	}
	closedir(dir);
	return 0;
}

int main(int argc, char **argv)
{
	size_t n = 0;

	for (int i = 1; i < argc; i++)
		if (replay_directory(argv[i], &n) < 0)
			return 1;
	printf("%zu inputs\n", n);
	return n > 0 ? 0 : 1;
}
