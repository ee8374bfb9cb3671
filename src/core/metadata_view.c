#include "core/metadata_view.h"

#include <string.h>

#include "util/cleanup.h"
#include "wire/metadata_path.h"

#define ZONE "meta-data/placement/availability-zone"
#define REGION "meta-data/placement/region"

/* Names that the host lists in one directory: more are not shown. */
#define NAMES_MAX 128

#define DEPTH_MAX 8

/* Of an item of the cache. */
static enum metadata_answer look(struct metadata_view *view, const char *path,
				 enum metadata_life life, struct metadata_item **ret)
{
	switch (metadata_cache_look(view->cache, path, life, view->now_ms, ret)) {
	case METADATA_PRESENT:
		return METADATA_FOUND;
	case METADATA_ABSENT:
		return METADATA_NOT_FOUND;
	case METADATA_PENDING:
		if (view->final)
			return METADATA_FAILED;
		view->wait = *ret;
		return METADATA_WAIT;
	case METADATA_UNAVAILABLE:
		break;
	}
	return METADATA_FAILED;
}

/* The next line of a listing as a name: "0" of "0=my-key", "a" of "a/". *at moves on; false at the
 * end. Lines that cannot be names are passed over. */
static bool next_name(const char **at, const char **ret, size_t *ret_len, size_t *ret_line_len)
{
	while (**at) {
		const char *line = *at;
		size_t n = strcspn(line, "\n"), len = n;
		*at = line + n + (line[n] == '\n');
		while (len > 0 && (line[len - 1] == '/' || line[len - 1] == '\r'))
			len--;
		if (!metadata_name_ok(line, len))
			continue;
		*ret = line;
		*ret_line_len = len;
		/* Only public keys are listed by number and name. */
		size_t digits = strspn(line, "0123456789");
		*ret_len = digits > 0 && digits < len && line[digits] == '=' ? digits : len;
		return true;
	}
	return false;
}

static const char *find_name(const char *listing, const char *name, size_t len)
{
	const char *line;
	size_t n, line_len;

	while (next_name(&listing, &line, &n, &line_len))
		if ((n == len && memcmp(line, name, len) == 0) ||
		    (line_len == len && memcmp(line, name, len) == 0))
			return line;
	return NULL;
}

static bool append(char *to, size_t *len, const char *text, size_t n)
{
	if (*len + n >= METADATA_PATH_MAX)
		return false;
	memcpy(to + *len, text, n);
	*len += n;
	to[*len] = '\0';
	return true;
}

/* The segment of `path` at this depth. */
static const char *segment(const char *path, size_t depth, size_t *ret_len)
{
	while (depth-- > 0) {
		path += strcspn(path, "/");
		path += *path == '/';
	}
	*ret_len = strcspn(path, "/");
	return path;
}

/* Has the container values of its own in the directory that ends before this segment? Then what the
 * host has there is not mixed with them. */
static bool own_directory(const struct metadata_view *view, const char *path, const char *name)
{
	return name > path &&
	       container_metadata_has_below(view->own, path, (size_t)(name - path) - 1);
}

/* Print into `up` the host's path for a node; see the head of the header. */
static enum metadata_answer upstream_path(struct metadata_view *view,
					  const struct metadata_node *node, const char *path,
					  enum metadata_life life, char up[METADATA_PATH_MAX])
{
	const struct metadata_node *chain[DEPTH_MAX];
	struct metadata_item *item;
	size_t depth = 0, len = 0, n;

	for (; node->parent; node = node->parent) {
		if (depth == DEPTH_MAX)
			return METADATA_NOT_FOUND;
		chain[depth++] = node;
	}
	append(up, &len, "/latest", 7);
	for (size_t i = 0; i < depth; i++) {
		const char *name = chain[depth - 1 - i]->name;
		n = chain[depth - 1 - i]->len;
		if (!append(up, &len, "/", 1))
			return METADATA_NOT_FOUND;
		if (metadata_node_variable(chain[depth - 1 - i])) {
			const char *given = segment(path, i, &n);
			if (own_directory(view, path, given))
				return METADATA_NOT_FOUND;
			enum metadata_answer answer = look(view, up, life, &item);
			if (answer != METADATA_FOUND)
				return answer;
			name = find_name(item->value, given, n);
			if (!name)
				return METADATA_NOT_FOUND;
		}
		if (!append(up, &len, name, n))
			return METADATA_NOT_FOUND;
	}
	return METADATA_FOUND;
}

static bool is_open(const struct metadata_view *view, const struct metadata_node *node)
{
	switch (metadata_node_class(node)) {
	case METADATA_CACHED:
		return true;
	case METADATA_OVERRIDE:
	case METADATA_OPT_IN:
	case METADATA_BLOCKED:
		return metadata_allows(&view->own->allow, node->index) ||
		       metadata_allows(view->host_allow, node->index);
	default:
		return false;
	}
}

/* The host's zone makes no sense beside another region, nor its zone id beside another zone. Is
 * this value of the host's in keeping with what the container has of its own? */
static enum metadata_answer agrees(struct metadata_view *view, const char *path,
				   const struct metadata_item *item)
{
	const struct metadata_value *region = container_metadata_get(view->own, REGION);
	struct metadata_text zone;

	if (strncmp(path, ZONE, sizeof(ZONE) - 1) != 0)
		return METADATA_FOUND;
	if (path[sizeof(ZONE) - 1] != '\0') /* the id */
		return container_metadata_get(view->own, ZONE)
			       ? METADATA_NOT_FOUND
			       : metadata_view_look(view, ZONE, &zone);
	if (!region || !item)
		return METADATA_FOUND;
	return item->len >= region->len && memcmp(item->value, region->text, region->len) == 0
		       ? METADATA_FOUND
		       : METADATA_NOT_FOUND;
}

enum metadata_answer metadata_view_get(struct metadata_view *view, const struct metadata_node *node,
				       const char *path, struct metadata_text *ret)
{
	const struct metadata_value *own = container_metadata_get(view->own, path);
	char up[METADATA_PATH_MAX];
	struct metadata_item *item;

	if (own) {
		*ret = (struct metadata_text){own->text, own->len, 0};
		return METADATA_FOUND;
	}
	if (!is_open(view, node))
		return METADATA_NOT_FOUND;
	/* Before the look that counts: this one, too, may look. */
	enum metadata_answer answer = agrees(view, path, NULL);
	if (answer == METADATA_FOUND)
		answer = upstream_path(view, node, path, node->entry->life, up);
	if (answer == METADATA_FOUND)
		answer = look(view, up, node->entry->life, &item);
	if (answer == METADATA_FOUND && strcmp(path, ZONE) == 0)
		answer = agrees(view, path, item);
	if (answer != METADATA_FOUND)
		return answer;
	*ret = (struct metadata_text){item->value, item->len, item->modified_s};
	return METADATA_FOUND;
}

enum metadata_answer metadata_view_look(struct metadata_view *view, const char *path,
					struct metadata_text *ret)
{
	const char *rest;
	const struct metadata_node *node = metadata_tree_find(path, &rest);

	if (!node || !node->entry || *rest)
		return METADATA_NOT_FOUND;
	return metadata_view_get(view, node, path, ret);
}

/* Can anything at or below the node be read? */
static enum metadata_answer visible(struct metadata_view *view, const struct metadata_node *node,
				    const char *path);

typedef enum metadata_answer each_name(struct metadata_view *view, const struct metadata_node *node,
				       const char *path, const char *line, size_t line_len,
				       struct buf *out);

/* "dir" and "name" to "dir/name". */
static bool join(char to[METADATA_PATH_MAX], const char *dir, const char *name, size_t len)
{
	size_t n = 0;

	to[0] = '\0';
	return append(to, &n, dir, strlen(dir)) && (n == 0 || append(to, &n, "/", 1)) &&
	       append(to, &n, name, len);
}

/* Call `each` for the names that a '*' in `dir` stands for, up to the first FOUND, or for all if
 * `all`. */
static enum metadata_answer for_names(struct metadata_view *view, const struct metadata_node *star,
				      const char *dir, bool all, each_name *each, struct buf *out);

static enum metadata_answer any(struct metadata_view *view, const struct metadata_node *node,
				const char *path, const char *line, size_t line_len,
				struct buf *out)
{
	(void)line;
	(void)line_len;
	(void)out;
	return visible(view, node, path);
}

static enum metadata_answer visible(struct metadata_view *view, const struct metadata_node *node,
				    const char *path)
{
	enum metadata_answer answer = METADATA_NOT_FOUND;
	struct metadata_text text;
	char below[METADATA_PATH_MAX];

	if (node->entry && (node->entry->flags & METADATA_UNLISTED))
		return METADATA_NOT_FOUND;
	if (metadata_node_class(node) == METADATA_OWN)
		return METADATA_FOUND;
	if (node->entry)
		return metadata_view_get(view, node, path, &text);
	for (const struct metadata_node *n = node->children; n; n = n->next) {
		enum metadata_answer a = METADATA_NOT_FOUND;
		if (metadata_node_variable(n))
			a = for_names(view, n, path, false, any, NULL);
		else if (join(below, path, n->name, n->len))
			a = visible(view, n, below);
		if (a == METADATA_FOUND)
			return a;
		if (a == METADATA_WAIT)
			answer = a;
	}
	return answer;
}

/* Is any path below open? If not, there is no need to ask the host for a listing. */
static bool any_open(const struct metadata_view *view, const struct metadata_node *node)
{
	if (node->entry)
		return is_open(view, node);
	for (const struct metadata_node *n = node->children; n; n = n->next)
		if (any_open(view, n))
			return true;
	return false;
}

static enum metadata_life life_of(const struct metadata_node *node)
{
	while (!node->entry)
		node = node->children;
	return node->entry->life;
}

/* The names below `dir` that the container has values for, as lines. */
static void own_names(const struct metadata_view *view, const char *dir, struct buf *out)
{
	size_t len = strlen(dir), last_len = 0;
	const char *last = "";

	for (size_t i = 0; i < view->own->n_values; i++) {
		const char *path = view->own->values[i].path;
		if (strncmp(path, dir, len) != 0 || path[len] != '/')
			continue;
		const char *name = path + len + 1;
		size_t n = strcspn(name, "/");
		if (n == last_len && memcmp(name, last, n) == 0)
			continue;
		buf_printf(out, "%.*s\n", (int)n, name);
		last = name;
		last_len = n;
	}
}

/* The names that a '*' in `dir` stands for, as lines: a copy, since looking further may drop what
 * the cache has. */
static enum metadata_answer read_names(struct metadata_view *view, const struct metadata_node *star,
				       const char *dir, struct buf *out)
{
	char up[METADATA_PATH_MAX];
	struct metadata_item *item;
	size_t len;

	own_names(view, dir, out);
	if (out->len > 0)
		return METADATA_FOUND;
	if (!any_open(view, star))
		return METADATA_NOT_FOUND;
	enum metadata_life life = life_of(star);
	enum metadata_answer answer = upstream_path(view, star->parent, dir, life, up);
	len = strlen(up);
	if (answer == METADATA_FOUND)
		answer =
			append(up, &len, "/", 1) ? look(view, up, life, &item) : METADATA_NOT_FOUND;
	if (answer == METADATA_FOUND)
		buf_put(out, item->value, item->len);
	return buf_ok(out) ? answer : METADATA_FAILED;
}

static enum metadata_answer for_names(struct metadata_view *view, const struct metadata_node *star,
				      const char *dir, bool all, each_name *each, struct buf *out)
{
	_cleanup_buf_ struct buf names = {0};
	char path[METADATA_PATH_MAX];
	const char *line;
	size_t n, line_len, count = 0;

	enum metadata_answer answer = read_names(view, star, dir, &names);
	if (answer != METADATA_FOUND || names.len == 0)
		return answer == METADATA_FOUND ? METADATA_NOT_FOUND : answer;
	answer = METADATA_NOT_FOUND;
	const char *at = names.data;
	while (count++ < NAMES_MAX && next_name(&at, &line, &n, &line_len)) {
		if (!join(path, dir, line, n))
			continue;
		enum metadata_answer a = each(view, star, path, line, line_len, out);
		if (a == METADATA_FOUND && !all)
			return a;
		if (a == METADATA_WAIT || (a == METADATA_FOUND && answer != METADATA_WAIT))
			answer = a;
	}
	return answer;
}

static void print_line(const struct metadata_node *node, const char *line, size_t len,
		       struct buf *out)
{
	if (out->len > 0)
		buf_puts(out, "\n");
	buf_put(out, line, len);
	/* The top of a version is listed without slashes, and public keys are, too. */
	bool directory = node->children ||
			 (node->entry && node->entry->path[strlen(node->entry->path) - 1] == '/');
	if (directory && node->parent->parent && !memchr(line, '=', len))
		buf_puts(out, "/");
}

static enum metadata_answer list_name(struct metadata_view *view, const struct metadata_node *node,
				      const char *path, const char *line, size_t line_len,
				      struct buf *out)
{
	enum metadata_answer answer = visible(view, node, path);

	if (answer == METADATA_FOUND)
		print_line(node, line, line_len, out);
	return answer;
}

enum metadata_answer metadata_view_list(struct metadata_view *view,
					const struct metadata_node *node, const char *path,
					struct buf *out)
{
	bool wait = false, failed = false;
	char below[METADATA_PATH_MAX];

	/* To the end even if something must be waited for, so that all of it is asked for. */
	for (const struct metadata_node *n = node->children; n; n = n->next) {
		enum metadata_answer a = METADATA_NOT_FOUND;
		if (metadata_node_variable(n))
			a = for_names(view, n, path, true, list_name, out);
		else if (join(below, path, n->name, n->len))
			a = list_name(view, n, below, n->name, n->len, out);
		wait = wait || a == METADATA_WAIT;
		failed = failed || a == METADATA_FAILED;
	}
	if (wait)
		return METADATA_WAIT;
	if (out->len > 0)
		return METADATA_FOUND;
	return failed ? METADATA_FAILED : METADATA_NOT_FOUND;
}
