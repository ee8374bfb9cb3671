#include "core/metadata_tree.h"

#include <string.h>

struct entry {
	const char *path; /* ends in '/' when its children are not in this table */
	enum metadata_class class;
};

/* Sorted, so that listings come out sorted. */
static const struct entry entries[] = {
	{"meta-data/iam/info", METADATA_OWN},
	{"meta-data/iam/security-credentials/", METADATA_OWN},
};
#define N_ENTRIES (sizeof(entries) / sizeof(entries[0]))

/* Does the entry lie below the directory `path`? Returns what follows, or NULL. */
static const char *below(const char *entry, const char *path, size_t len)
{
	if (len == 0)
		return entry;
	if (strncmp(entry, path, len) != 0 || entry[len] != '/' || entry[len + 1] == '\0')
		return NULL;
	return entry + len + 1;
}

enum metadata_class metadata_tree_classify(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < N_ENTRIES; i++) {
		const char *entry = entries[i].path;
		size_t n = strlen(entry);
		if (entry[n - 1] == '/') {
			if (strncmp(path, entry, n - 1) == 0 &&
			    (path[n - 1] == '\0' || path[n - 1] == '/'))
				return entries[i].class;
		} else if (strcmp(path, entry) == 0) {
			return entries[i].class;
		}
		if (below(entry, path, len))
			return METADATA_DIRECTORY;
	}
	return METADATA_NONE;
}

void metadata_tree_list(const char *path, struct buf *out)
{
	const char *last = "";
	size_t len = strlen(path), last_len = 0;

	for (size_t i = 0; i < N_ENTRIES; i++) {
		const char *name = below(entries[i].path, path, len);
		if (!name)
			continue;
		size_t n = strcspn(name, "/");
		if (n == last_len && strncmp(name, last, n) == 0)
			continue;
		if (out->len > 0)
			buf_puts(out, "\n");
		buf_put(out, name, n);
		if (name[n] == '/' && len > 0)
			buf_puts(out, "/");
		last = name;
		last_len = n;
	}
}
