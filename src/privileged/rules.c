#include "privileged/rules.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Every chain of ours begins so. */
#define CHAIN_PREFIX "ROLEGATE"
#define PROTECT_HOST "@PROTECT_HOST@ "
#define BRIDGE "@BRIDGE@ "

/* Longer lines than this are never ours. */
#define LINE_SIZE 512
#define NAME_SIZE 64

struct lines {
	const char *next;
	char line[LINE_SIZE]; /* the current one, cut if longer */
	char table[NAME_SIZE];
};

static bool lines_next(struct lines *lines)
{
	if (*lines->next == '\0')
		return false;
	size_t len = strcspn(lines->next, "\n");
	size_t keep = len < sizeof(lines->line) ? len : sizeof(lines->line) - 1;
	memcpy(lines->line, lines->next, keep);
	lines->line[keep] = '\0';
	lines->next += len + (lines->next[len] == '\n');
	if (lines->line[0] == '*')
		snprintf(lines->table, sizeof(lines->table), "%.60s", lines->line + 1);
	return true;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* ":ROLEGATE-X - [0:0]" -> "ROLEGATE-X" */
static bool parse_chain(const char *line, char ret[static NAME_SIZE])
{
	return line[0] == ':' && has_prefix(line + 1, CHAIN_PREFIX) &&
	       sscanf(line + 1, "%63s", ret) == 1;
}

/* "-I OUTPUT 1 -j ROLEGATE-X" -> "OUTPUT -j ROLEGATE-X" */
static bool parse_insert(const char *line, char ret[static LINE_SIZE])
{
	char chain[NAME_SIZE], target[NAME_SIZE];

	if (sscanf(line, "-I %63s 1 -j %63s", chain, target) != 2)
		return false;
	snprintf(ret, LINE_SIZE, "%s -j %s", chain, target);
	return true;
}

/* "-A OUTPUT -j ROLEGATE-X", but not what is in our own chains */
static bool is_jump(const char *line)
{
	char chain[NAME_SIZE], target[NAME_SIZE];
	int end = 0;

	return sscanf(line, "-A %63s -j %63s%n", chain, target, &end) == 2 && line[end] == '\0' &&
	       has_prefix(target, CHAIN_PREFIX) && !has_prefix(chain, CHAIN_PREFIX);
}

static bool is_own_rule(const char *line)
{
	return has_prefix(line, "-A " CHAIN_PREFIX);
}

static int finish(const struct buf *b)
{
	return buf_ok(b) ? 0 : -ENOMEM;
}

static int substitute(const char *line, const struct rules_variables *variables, struct buf *ret)
{
	while (*line) {
		size_t plain = strcspn(line, "@");
		buf_put(ret, line, plain);
		line += plain;
		if (has_prefix(line, "@PORT@")) {
			buf_printf(ret, "%u", variables->port);
			line += strlen("@PORT@");
		} else if (has_prefix(line, "@ROLEGATE_UID@")) {
			buf_printf(ret, "%u", variables->rolegate_uid);
			line += strlen("@ROLEGATE_UID@");
		} else if (has_prefix(line, "@MARK_MASK@")) {
			buf_printf(ret, "0x%x", variables->mark_mask);
			line += strlen("@MARK_MASK@");
		} else if (line[0] == '@' && line[1] >= 'a' && line[1] <= 'z') {
			buf_puts(ret, "@"); /* a set or map of nft's */
			line++;
		} else if (*line) {
			return -EINVAL;
		}
	}
	buf_puts(ret, "\n");
	return 0;
}

int rules_render(const char *file, const struct rules_variables *variables, struct buf *ret)
{
	struct lines lines = {.next = file};

	while (lines_next(&lines)) {
		const char *line = lines.line;
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (has_prefix(line, BRIDGE)) {
			if (!variables->mark_mask)
				continue;
			line += strlen(BRIDGE);
		}
		if (has_prefix(line, PROTECT_HOST)) {
			if (!variables->protect_host)
				continue;
			line += strlen(PROTECT_HOST);
		}
		if (substitute(line, variables, ret) < 0)
			return -EINVAL;
	}
	return finish(ret);
}

int rules_fresh(const char *rules, struct buf *ret)
{
	struct lines lines = {.next = rules};
	char chain[NAME_SIZE];

	while (lines_next(&lines)) {
		/* Unlike ":CHAIN", -N refuses a chain that exists. */
		if (parse_chain(lines.line, chain))
			buf_printf(ret, "-N %s\n", chain);
		else
			buf_printf(ret, "%s\n", lines.line);
	}
	return finish(ret);
}

static size_t count_line(const char *saved, const char *table, const char *line)
{
	struct lines lines = {.next = saved};
	size_t n = 0;

	while (lines_next(&lines))
		if (strcmp(lines.table, table) == 0 && strcmp(lines.line, line) == 0)
			n++;
	return n;
}

int rules_replace(const char *rules, const char *saved, struct buf *ret)
{
	struct lines lines = {.next = rules};
	char jump[LINE_SIZE], have[LINE_SIZE + 8];

	while (lines_next(&lines)) {
		if (parse_insert(lines.line, jump)) {
			snprintf(have, sizeof(have), "-A %s", jump);
			for (size_t n = count_line(saved, lines.table, have); n > 0; n--)
				buf_printf(ret, "-D %s\n", jump);
		}
		buf_printf(ret, "%s\n", lines.line);
	}
	return finish(ret);
}

static bool saved_has_chain(const char *saved, const char *table, const char *chain)
{
	struct lines lines = {.next = saved};
	char name[NAME_SIZE];

	while (lines_next(&lines))
		if (strcmp(lines.table, table) == 0 && parse_chain(lines.line, name) &&
		    strcmp(name, chain) == 0)
			return true;
	return false;
}

/* Does somebody else's rule go to the chain? Then it cannot be deleted, only emptied. */
static bool saved_has_foreign_jump(const char *saved, const char *table, const char *chain)
{
	struct lines lines = {.next = saved};
	char word[NAME_SIZE + 8];

	snprintf(word, sizeof(word), " %s", chain);
	while (lines_next(&lines)) {
		const char *at = strstr(lines.line, word);
		if (strcmp(lines.table, table) == 0 && has_prefix(lines.line, "-A ") && at &&
		    (at[strlen(word)] == '\0' || at[strlen(word)] == ' ') &&
		    !is_own_rule(lines.line) && !is_jump(lines.line))
			return true;
	}
	return false;
}

/* One table's lines of rules_remove(), without the frame. Jumps first, then contents, then chains:
 * a chain that something still goes to cannot be deleted. */
static void remove_table(const char *rules, const char *table, const char *saved, struct buf *ret)
{
	char jump[LINE_SIZE], have[LINE_SIZE + 8], chain[NAME_SIZE];
	struct lines lines;

	for (lines = (struct lines){.next = rules}; lines_next(&lines);) {
		if (strcmp(lines.table, table) != 0 || !parse_insert(lines.line, jump))
			continue;
		snprintf(have, sizeof(have), "-A %s", jump);
		for (size_t n = saved ? count_line(saved, table, have) : 1; n > 0; n--)
			buf_printf(ret, "-D %s\n", jump);
	}
	for (lines = (struct lines){.next = rules}; lines_next(&lines);)
		if (strcmp(lines.table, table) == 0 && parse_chain(lines.line, chain) &&
		    (!saved || saved_has_chain(saved, table, chain)))
			buf_printf(ret, "-F %s\n", chain);
	for (lines = (struct lines){.next = rules}; lines_next(&lines);)
		if (strcmp(lines.table, table) == 0 && parse_chain(lines.line, chain) &&
		    (!saved || (saved_has_chain(saved, table, chain) &&
				!saved_has_foreign_jump(saved, table, chain))))
			buf_printf(ret, "-X %s\n", chain);
}

int rules_remove(const char *rules, const char *saved, struct buf *ret)
{
	struct lines lines = {.next = rules};

	while (lines_next(&lines)) {
		_cleanup_buf_ struct buf table = {0};
		if (lines.line[0] != '*')
			continue;
		remove_table(rules, lines.table, saved, &table);
		if (!buf_ok(&table))
			return -ENOMEM;
		if (table.len > 0)
			buf_printf(ret, "*%s\n%sCOMMIT\n", lines.table, table.data);
	}
	return finish(ret);
}

/* FNV-1a. Nobody gains by a collision: who can write rules here is root already. */
static uint64_t hash_line(uint64_t hash, const char *line)
{
	for (const char *p = line; *p; p++)
		hash = (hash ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
	return (hash ^ '\n') * UINT64_C(0x100000001b3);
}

void rules_digest(const char *saved, struct rules_digest *ret)
{
	struct lines lines = {.next = saved};
	char chain[NAME_SIZE], before[NAME_SIZE] = "";

	*ret = (struct rules_digest){.hash = UINT64_C(0xcbf29ce484222325), .first = true};
	while (lines_next(&lines)) {
		if (lines.line[0] == '#' && strstr(lines.line, "(nf_tables)"))
			ret->is_nft = true;
		if (lines.line[0] == '*')
			before[0] = '\0';
		if (sscanf(lines.line, "-A %63s", chain) != 1)
			continue;
		bool jump = is_jump(lines.line);
		if (jump || is_own_rule(lines.line)) {
			ret->hash = hash_line(ret->hash, lines.table);
			ret->hash = hash_line(ret->hash, lines.line);
			ret->n++;
		}
		if (jump && strcmp(chain, before) == 0)
			ret->first = false;
		memcpy(before, chain, sizeof(before));
	}
}

size_t rules_count(const char *rules)
{
	struct lines lines = {.next = rules};
	size_t n = 0;

	while (lines_next(&lines))
		if (has_prefix(lines.line, "-A ") || has_prefix(lines.line, "-I "))
			n++;
	return n;
}
