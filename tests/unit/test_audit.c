/* audit.c: where a chain is taken up, what a torn line does, and the journal's protocol. Built with
 * a journal socket in the directory that the test makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "rolegated/audit.h"
#include "util/file.h"

static void open_it(struct audit *a)
{
	struct diag diag = {0};

	if (audit_open(a, "audit.log", geteuid(), getegid(), &diag) < 0)
		fail_msg("%s", diag.text);
}

static void append(const char *text)
{
	FILE *f = fopen("audit.log", "a");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static unsigned faults(void)
{
	char *text = NULL, *line, *rest;
	struct audit_chain chain;
	unsigned n = 0;

	audit_chain_init(&chain);
	assert_int_equal(file_read("audit.log", 1 << 20, &text, NULL), 0);
	rest = text;
	while ((line = strsep(&rest, "\n")) && (rest || *line))
		n += audit_chain_follow(&chain, line, strlen(line), NULL) < 0;
	free(text);
	return n;
}

static void test_taken_up(void **state)
{
	struct audit a;

	(void)state;
	unlink("audit.log");
	open_it(&a);
	audit_write(&a, "\"event\":\"one\"");
	audit_write(&a, "\"event\":\"two\"");
	audit_close(&a);
	open_it(&a);
	assert_int_equal(a.chain.seq, 2);
	audit_write(&a, "\"event\":\"three\"");
	audit_close(&a);
	assert_int_equal(faults(), 0);

	/* A crash within a line: it is passed over, and does not spoil the next. */
	append("{\"seq\":4,\"prev\":\"");
	open_it(&a);
	assert_true(a.torn);
	assert_int_equal(a.chain.seq, 3);
	audit_write(&a, "\"event\":\"four\"");
	audit_write(&a, "\"event\":\"five\"");
	audit_close(&a);
	assert_int_equal(faults(), 1);

	/* What is no audit at all. */
	unlink("audit.log");
	append("something\nelse\n");
	open_it(&a);
	assert_int_equal(a.chain.seq, 0);
	audit_close(&a);
}

static void test_refused(void **state)
{
	struct diag diag = {0};
	struct audit a;

	(void)state;
	unlink("audit.log");
	assert_int_equal(symlink("elsewhere", "audit.log"), 0);
	assert_true(audit_open(&a, "audit.log", geteuid(), getegid(), &diag) < 0);
	assert_null(a.path);
	audit_write(&a, "\"event\":\"none\""); /* no audit: nothing happens */
	unlink("audit.log");
	assert_int_equal(mkfifo("audit.log", 0600), 0);
	assert_true(audit_open(&a, "audit.log", geteuid(), getegid(), &diag) < 0);
	assert_non_null(strstr(diag.text, "no regular file"));
	unlink("audit.log");
	/* Of a file that has another name, nothing is given away. */
	append("");
	assert_int_equal(link("audit.log", "other"), 0);
	assert_true(audit_open(&a, "audit.log", geteuid() + 1, getegid(), &diag) < 0);
	assert_non_null(strstr(diag.text, "another name"));
	unlink("other");
	unlink("audit.log");
	audit_close(&a);
}

static void test_reopened(void **state)
{
	struct diag diag = {0};
	struct audit a;

	(void)state;
	open_it(&a);
	audit_write(&a, "\"event\":\"one\"");
	assert_int_equal(rename("audit.log", "audit.old"), 0);
	assert_int_equal(audit_reopen(&a, "audit.log", &diag), 0);
	audit_write(&a, "\"event\":\"two\"");
	assert_int_equal(a.chain.seq, 2);
	/* A target that cannot be had leaves the old one. */
	assert_true(audit_reopen(&a, "none/audit.log", &diag) < 0);
	audit_write(&a, "\"event\":\"three\"");
	assert_int_equal(a.lines, 3);
	assert_int_equal(faults(), 0);
	/* Half a line, as of a full disk, does not spoil what comes after a reload. */
	append("{\"seq\":4");
	a.chain.seq++;
	assert_int_equal(audit_reopen(&a, "audit.log", &diag), 0);
	audit_write(&a, "\"event\":\"five\"");
	audit_write(&a, "\"event\":\"six\"");
	assert_int_equal(faults(), 1);
	assert_int_equal(audit_reopen(&a, NULL, &diag), 0);
	assert_null(a.path);
	audit_close(&a);
	unlink("audit.log");
	unlink("audit.old");
}

static void test_journal(void **state)
{
	static const struct sockaddr_un address = {.sun_family = AF_UNIX,
						   .sun_path = AUDIT_JOURNAL_SOCKET};
	struct diag diag = {0};
	struct audit a;
	char message[4096];

	(void)state;
	assert_true(audit_open(&a, "journal", geteuid(), getegid(), &diag) < 0);
	assert_non_null(strstr(diag.text, "journal"));
	for (int i = 0; i < 2; i++) { /* the second time: journald was restarted */
		int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
		unlink(AUDIT_JOURNAL_SOCKET);
		assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
		if (i == 0)
			assert_int_equal(audit_open(&a, "journal", geteuid(), getegid(), &diag), 0);
		audit_write(&a, "\"event\":\"one\"");
		ssize_t n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT);
		assert_true(n > 0);
		message[n] = '\0';
		assert_non_null(strstr(message, "SYSLOG_IDENTIFIER=rolegate-audit\n"));
		assert_non_null(strstr(message, "\nMESSAGE={\"seq\":"));
		assert_int_equal(message[n - 1], '\n');
		close(fd);
	}
	/* Nobody there: counted, and no harm done. */
	audit_write(&a, "\"event\":\"lost\"");
	assert_int_equal(a.lines, 2);
	assert_int_equal(a.lost, 1);
	audit_close(&a);
	unlink(AUDIT_JOURNAL_SOCKET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_up),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_reopened),
		cmocka_unit_test(test_journal),
	};
	char dir[] = "/tmp/test-audit.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir) < 0)
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink("audit.log");
	rmdir(dir);
	return r;
}
