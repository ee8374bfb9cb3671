#include "rolegate/role_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column { ID, STATE, ROLE, EXPIRES, REQUESTS, IMAGE, LAST_ERROR, N_COLUMNS };

static const struct {
	const char *title;
	bool right;    /* aligned */
	bool tail;     /* of what is too long, the end says more than the beginning */
	bool optional; /* left out when no row has anything there */
} columns[N_COLUMNS] = {
	[ID] = {"ID", false, false, false},
	[STATE] = {"STATE", false, false, false},
	[ROLE] = {"ROLE", false, true, false},
	[EXPIRES] = {"EXPIRES", false, false, false},
	[REQUESTS] = {"REQUESTS", true, false, false},
	[IMAGE] = {"IMAGE", false, true, true},
	[LAST_ERROR] = {"LAST ERROR", false, false, true},
};

#define GAP 2
/* Even where there is room for more: `show` prints all of it. */
#define LAST_ERROR_WIDTH 60

/* How a table that is too wide gets narrower, step by step: columns are cut, the least telling ones
 * first, or left out (to 0). */
static const struct {
	enum column column;
	size_t to;
} squeezes[] = {
	{LAST_ERROR, 30}, {IMAGE, 20},	 {ROLE, 24},   {ID, 24},	 {IMAGE, 12},
	{LAST_ERROR, 20}, {ROLE, 14},	 {IMAGE, 0},   {LAST_ERROR, 12}, {ID, 14},
	{LAST_ERROR, 0},  {REQUESTS, 0}, {EXPIRES, 0}, {ROLE, 0},
};

struct table {
	const struct terminal *terminal;
	char **cells; /* n_rows * N_COLUMNS, escaped; owned */
	size_t n_rows;
	size_t width[N_COLUMNS]; /* 0: left out */
};

static void table_deinit(struct table *table)
{
	for (size_t i = 0; table->cells && i < table->n_rows * N_COLUMNS; i++)
		free(table->cells[i]);
	free(table->cells);
}

void role_table_time(int64_t expiration_s, int64_t now_s, char out[static ROLE_TABLE_TIME_SIZE])
{
	int64_t left = expiration_s - now_s, amount = left < 0 ? -left : left;
	const char *unit = "s";

	if (expiration_s == 0) {
		snprintf(out, ROLE_TABLE_TIME_SIZE, "-");
		return;
	}
	/* Always rounded down: credentials never seem to last longer than they do. */
	if (amount >= 48 * 3600) {
		amount /= 24 * 3600;
		unit = "d";
	} else if (amount >= 120 * 60) {
		amount /= 3600;
		unit = "h";
	} else if (amount >= 120) {
		amount /= 60;
		unit = "min";
	}
	if (left > 0)
		snprintf(out, ROLE_TABLE_TIME_SIZE, "in %lld %s", (long long)amount, unit);
	else
		snprintf(out, ROLE_TABLE_TIME_SIZE, "expired %lld %s ago", (long long)amount, unit);
}

/* The start of the ARN's account field, or NULL. */
static const char *find_account(const char *arn)
{
	const char *p = arn;

	if (!arn || strncmp(arn, "arn:", 4) != 0)
		return NULL;
	for (int i = 0; i < 4; i++) {
		p = strchr(p, ':');
		if (!p)
			return NULL;
		p++;
	}
	return strchr(p, ':') ? p : NULL;
}

const char *role_table_role(const char *arn)
{
	const char *account = find_account(arn);

	if (!account)
		return arn;
	const char *resource = strchr(account, ':') + 1;
	return strncmp(resource, "role/", 5) == 0 && resource[5] ? resource + 5 : arn;
}

static bool has_several_accounts(const struct role_map *map)
{
	const char *first = NULL;

	for (size_t i = 0; i < map->n_entries; i++) {
		const char *account = find_account(map->entries[i].role_arn);
		if (!account)
			continue;
		size_t n = strcspn(account, ":") + 1; /* with the colon, so that lengths differ */
		if (first && strncmp(first, account, n) != 0)
			return true;
		first = account;
	}
	return false;
}

/* Store an escaped copy of `text` as a cell. */
static bool set_cell(struct table *table, size_t row, enum column column, const char *text)
{
	_cleanup_buf_ struct buf cell = {0};

	terminal_escape(table->terminal, text && text[0] ? text : "-", &cell);
	if (column == LAST_ERROR && terminal_width(cell.data ? cell.data : "") > LAST_ERROR_WIDTH) {
		struct buf cut = {0};
		terminal_cut(table->terminal, cell.data, LAST_ERROR_WIDTH, false, &cut);
		buf_deinit(&cell);
		cell = cut;
	}
	table->cells[row * N_COLUMNS + column] = buf_steal(&cell);
	return table->cells[row * N_COLUMNS + column];
}

static bool set_role(struct table *table, size_t row, const char *arn, bool with_account)
{
	_cleanup_buf_ struct buf text = {0};
	const char *account = with_account ? find_account(arn) : NULL;
	const char *role = role_table_role(arn);

	if (account && role != arn)
		buf_printf(&text, "%.*s:", (int)strcspn(account, ":"), account);
	buf_puts(&text, role ? role : "-");
	return buf_ok(&text) && set_cell(table, row, ROLE, text.data);
}

static bool fill_row(struct table *table, size_t row, const struct role_map_entry *entry,
		     int64_t now_s, bool with_account)
{
	char expires[ROLE_TABLE_TIME_SIZE], requests[32] = "-";

	role_table_time(entry->expiration_s, now_s, expires);
	if (entry->requests >= 0)
		snprintf(requests, sizeof(requests), "%lld", (long long)entry->requests);
	return set_cell(table, row, ID, entry->id) && set_cell(table, row, STATE, entry->state) &&
	       set_role(table, row, entry->role_arn, with_account) &&
	       set_cell(table, row, EXPIRES, expires) && set_cell(table, row, REQUESTS, requests) &&
	       set_cell(table, row, IMAGE, entry->image) &&
	       set_cell(table, row, LAST_ERROR, entry->last_error);
}

static size_t total_width(const struct table *table)
{
	size_t total = 0;

	for (size_t c = 0; c < N_COLUMNS; c++)
		if (table->width[c] > 0)
			total += table->width[c] + (total > 0 ? GAP : 0);
	return total;
}

/* As wide as the widest cell. */
static void set_natural_widths(struct table *table)
{
	for (size_t c = 0; c < N_COLUMNS; c++) {
		bool empty = true;
		table->width[c] = strlen(columns[c].title);
		for (size_t row = 0; row < table->n_rows; row++) {
			const char *cell = table->cells[row * N_COLUMNS + c];
			size_t width = terminal_width(cell);
			if (width > table->width[c])
				table->width[c] = width;
			empty = empty && strcmp(cell, "-") == 0;
		}
		if (empty && columns[c].optional)
			table->width[c] = 0;
	}
}

static void squeeze(struct table *table)
{
	static const enum column first_served[] = {LAST_ERROR, ID, ROLE, IMAGE};
	const size_t available = table->terminal->columns;
	size_t natural[N_COLUMNS];

	memcpy(natural, table->width, sizeof(natural));
	for (size_t i = 0; i < sizeof(squeezes) / sizeof(squeezes[0]); i++) {
		size_t *width = &table->width[squeezes[i].column];
		if (total_width(table) <= available)
			break;
		if (*width > squeezes[i].to)
			*width = squeezes[i].to;
	}
	/* A step may have freed more than was needed. */
	for (size_t i = 0; i < sizeof(first_served) / sizeof(first_served[0]); i++) {
		enum column c = first_served[i];
		size_t total = total_width(table);
		size_t more = total < available ? available - total : 0;
		if (table->width[c] > 0)
			table->width[c] += more < natural[c] - table->width[c]
						   ? more
						   : natural[c] - table->width[c];
	}
}

static const char *state_colour(const char *state)
{
	if (strcmp(state, "ready") == 0)
		return "\033[32m";
	if (strcmp(state, "pending") == 0)
		return "\033[33m";
	return "\033[31m";
}

/* `cells` NULL: the titles. */
static void print_row(const struct table *table, char *const *cells, struct buf *out)
{
	size_t pending = 0; /* spaces before the next cell: none are left at the end of a line */

	for (size_t c = 0; c < N_COLUMNS; c++) {
		_cleanup_buf_ struct buf cell = {0};
		if (table->width[c] == 0)
			continue;
		const char *text = cells ? cells[c] : columns[c].title;
		size_t taken = terminal_cut(table->terminal, text, table->width[c],
					    cells && columns[c].tail, &cell);
		size_t padding = table->width[c] - taken;
		if (columns[c].right)
			pending += padding;
		for (; pending > 0; pending--)
			buf_puts(out, " ");
		const char *colour = !table->terminal->colour ? NULL
				     : !cells		      ? "\033[1m"
				     : c == STATE	      ? state_colour(text)
							      : NULL;
		buf_puts(out, colour ? colour : "");
		buf_puts(out, cell.data ? cell.data : "");
		buf_puts(out, colour ? "\033[0m" : "");
		pending = GAP + (columns[c].right ? 0 : padding);
	}
	buf_puts(out, "\n");
}

static int compare_entries(const void *a, const void *b)
{
	/* web-2 before web-10 */
	return strverscmp(((const struct role_map_entry *)a)->id,
			  ((const struct role_map_entry *)b)->id);
}

void role_table_print(struct role_map *map, int64_t now_s, const struct terminal *terminal,
		      struct buf *out)
{
	_cleanup_(table_deinit) struct table table = {.terminal = terminal};
	bool with_account = has_several_accounts(map);

	if (map->n_entries == 0) {
		buf_puts(out, "no containers are registered\n");
		return;
	}
	qsort(map->entries, map->n_entries, sizeof(*map->entries), compare_entries);
	table.n_rows = map->n_entries;
	table.cells = calloc(table.n_rows * N_COLUMNS, sizeof(*table.cells));
	bool ok = table.cells;
	for (size_t row = 0; ok && row < table.n_rows; row++)
		ok = fill_row(&table, row, &map->entries[row], now_s, with_account);
	if (!ok) {
		out->failed = true;
		return;
	}
	set_natural_widths(&table);
	if (terminal->columns > 0)
		squeeze(&table);
	print_row(&table, NULL, out);
	for (size_t row = 0; row < table.n_rows; row++)
		print_row(&table, table.cells + row * N_COLUMNS, out);
}
