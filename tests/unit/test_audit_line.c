/* The audit's chain: what a reader of the file sees when lines were cut, edited or replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/audit_line.h"
#include "wire/record.h"

#define N_LINES 5
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static char lines[N_LINES][1024]; /* without LF */

static void make_lines(const char *extra)
{
	struct audit_chain chain;

	audit_chain_init(&chain);
	for (int i = 0; i < N_LINES; i++) {
		struct buf out = {0};
		char members[256];
		snprintf(members, sizeof(members), "\"event\":\"e%d\"%s", i, extra);
		audit_line_print(&chain, members, &out);
		assert_true(buf_ok(&out) && out.data[out.len - 1] == '\n');
		snprintf(lines[i], sizeof(lines[i]), "%.*s", (int)out.len - 1, out.data);
		buf_deinit(&out);
	}
	assert_int_equal(chain.seq, N_LINES);
}

/* Follow the lines given by their numbers; the faults as "INDEX:WORDS;". */
static void follow(const int *order, size_t n, struct buf *faults)
{
	struct audit_chain chain;

	audit_chain_init(&chain);
	buf_puts(faults, "");
	for (size_t i = 0; i < n; i++) {
		struct diag diag = {0};
		const char *line = lines[order[i]];
		if (audit_chain_follow(&chain, line, strlen(line), &diag) < 0)
			buf_printf(faults, "%zu:%s;", i, diag.text);
	}
}

static void test_whole(void **state)
{
	struct buf faults = {0};

	(void)state;
	make_lines("");
	assert_non_null(strstr(lines[0], "{\"seq\":1,\"prev\":\"" ZEROS "\",\"event\":\"e0\""));
	follow((int[]){0, 1, 2, 3, 4}, 5, &faults);
	assert_string_equal(faults.data, "");
	/* A file that was rotated begins anywhere. */
	buf_reset(&faults);
	follow((int[]){2, 3, 4}, 3, &faults);
	assert_string_equal(faults.data, "");
	buf_deinit(&faults);
}

static void test_cut_and_swapped(void **state)
{
	static const struct {
		int order[5];
		size_t n;
		const char *says[3];
	} cases[] = {
		{{0, 1, 3, 4}, 4, {"2:is number 4 where 3 should be"}},
		{{0, 1, 1, 2, 3}, 5, {"2:is number 2 where 3"}},
		{{0, 2, 1, 3, 4},
		 5,
		 {"1:is number 3 where 2", "2:is number 2 where 4", "3:is number 4"}},
	};

	(void)state;
	make_lines("");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf faults = {0};
		follow(cases[i].order, cases[i].n, &faults);
		for (size_t k = 0; k < 3 && cases[i].says[k]; k++)
			if (!strstr(faults.data, cases[i].says[k]))
				fail_msg("case %zu: %s", i, faults.data);
		buf_deinit(&faults);
	}
}

/* Every single byte of a line that becomes another one. */
static void test_edited(void **state)
{
	(void)state;
	make_lines(",\"role_arn\":\"arn\"");
	size_t len = strlen(lines[2]);
	for (size_t i = 0; i < len; i++) {
		struct buf faults = {0};
		char was = lines[2][i];
		lines[2][i] = was == '1' ? '2' : '1';
		follow((int[]){0, 1, 2, 3, 4}, 5, &faults);
		if (strncmp(faults.data, "2:", 2) != 0 || strstr(faults.data, ";3:"))
			fail_msg("byte %zu: %s", i, faults.data);
		lines[2][i] = was;
		buf_deinit(&faults);
	}
	/* And every length that it may be cut to. */
	char whole[1024];
	memcpy(whole, lines[2], sizeof(whole));
	for (size_t i = 0; i < len; i++) {
		struct buf faults = {0};
		lines[2][i] = '\0';
		follow((int[]){0, 1, 2, 3, 4}, 5, &faults);
		assert_non_null(strstr(faults.data, "2:is no line of an audit, or is cut"));
		memcpy(lines[2], whole, sizeof(whole));
		buf_deinit(&faults);
	}
}

/* A forger who knows how hashes are made still has to make all lines that follow anew. */
static void test_replaced(void **state)
{
	struct audit_chain chain;
	struct buf out = {0}, faults = {0};

	(void)state;
	make_lines("");
	audit_chain_init(&chain);
	assert_int_equal(audit_line_read(lines[1], strlen(lines[1]), &chain, NULL, NULL), 0);
	audit_line_print(&chain, "\"event\":\"forged\"", &out);
	snprintf(lines[2], sizeof(lines[2]), "%.*s", (int)out.len - 1, out.data);
	follow((int[]){0, 1, 2, 3, 4}, 5, &faults);
	assert_string_equal(faults.data,
			    "3:does not follow from the line before it: lines were replaced;");
	buf_deinit(&out);
	buf_deinit(&faults);
}

static void test_nonsense(void **state)
{
	static const char *const nonsense[] = {
		"",
		"{}",
		"{\"seq\":",
		"{\"seq\":1,\"prev\":\"",
		"x",
		"{\"seq\":0,\"prev\":\"" ZEROS "\",\"hash\":\"" ZEROS "\"}",
		"{\"seq\":99999999999999999999999,\"prev\":\"" ZEROS "\",\"hash\":\"" ZEROS "\"}",
		"{\"seq\":1,\"hash\":\"" ZEROS "\"}",
	};
	struct audit_chain chain;

	(void)state;
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		audit_chain_init(&chain);
		assert_int_equal(
			audit_line_read(nonsense[i], strlen(nonsense[i]), &chain, NULL, NULL),
			-EBADMSG);
	}
}

static void test_record(void **state)
{
	struct buf out = {0};
	const struct record record = {
		.type = RECORD_ASSUMED,
		.container = "c",
		.role_arn = "arn\"\n",
		.access_key_id = "ASIA",
		.expiration_s = 1800000000,
		.count = 3,
		.has_peer = true,
		.uid = 1000,
		.pid = 7,
		.loginuid = -1,
	};

	(void)state;
	record_print(&record, 1700000000, &out);
	assert_string_equal(
		out.data,
		"\"time\":\"2023-11-14T22:13:20Z\",\"event\":\"assumed\",\"container\":\"c\","
		"\"role_arn\":\"arn\\\"\\u000a\",\"access_key_id\":\"ASIA\","
		"\"expiration\":\"2027-01-15T08:00:00Z\",\"count\":3,\"uid\":1000,"
		"\"pid\":7,\"loginuid\":null");
	for (int t = 0; t < N_RECORD_TYPES; t++) {
		assert_non_null(record_name((enum record_type)t));
		assert_true(record_is_event((enum record_type)t) ||
			    record_is_audited((enum record_type)t));
	}
	buf_deinit(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	 cmocka_unit_test(test_cut_and_swapped),
		cmocka_unit_test(test_edited),	 cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_nonsense), cmocka_unit_test(test_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
