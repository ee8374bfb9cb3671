/* oci_command: the command lines that Docker, containerd, Podman, CRI-O and people give a runtime.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "launch/oci_command.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void check_text(const char *what, const char *found, const char *expected)
{
	if (!found || !expected ? found != expected : strcmp(found, expected) != 0)
		fail_msg("%s: %s instead of %s", what, found ? found : "none",
			 expected ? expected : "none");
}

static void test_parse(void **state)
{
	static const struct {
		const char *line; /* words between spaces */
		enum oci_verb verb;
		const char *id, *bundle, *config, *log;
		bool json;
	} cases[] = {
		/* containerd's shim */
		{"runc --root /run/r --log /b/log.json --log-format json create --bundle /b "
		 "--pid-file /b/p --console-socket /c c1",
		 OCI_CREATE, "c1", "/b", NULL, "/b/log.json", true},
		{"runc --root /run/r --log /b/log.json --log-format json delete c1", OCI_DELETE,
		 "c1", NULL, NULL, "/b/log.json", true},
		{"runc --root /run/r --log /b/log.json --log-format json --systemd-cgroup delete "
		 "--force c1",
		 OCI_DELETE, "c1", NULL, NULL, "/b/log.json", true},
		/* conmon, for Podman and CRI-O */
		{"runc --systemd-cgroup create --bundle /b --pid-file /p c1", OCI_CREATE, "c1",
		 "/b", NULL, NULL, false},
		{"crun create --no-pivot --preserve-fds 1 -b /b -f other.json c1", OCI_CREATE, "c1",
		 "/b", "other.json", NULL, false},
		{"crun delete -f c1", OCI_DELETE, "c1", NULL, NULL, NULL, false},
		/* people */
		{"runc run c1", OCI_CREATE, "c1", NULL, NULL, NULL, false},
		{"runc run -d c1 --bundle /b", OCI_CREATE, "c1", "/b", NULL, NULL, false},
		{"runc run -bundle=/b c1", OCI_CREATE, "c1", "/b", NULL, NULL, false},
		{"runc --log=/l --log-format=json run --bundle=/b c1", OCI_CREATE, "c1", "/b", NULL,
		 "/l", true},
		{"runc --rootless true run c1", OCI_CREATE, "c1", NULL, NULL, NULL, false},
		{"runc --debug run --keep c1", OCI_CREATE, "c1", NULL, NULL, NULL, false},
		{"runc restore --image-path /i --bundle /b c1", OCI_CREATE, "c1", "/b", NULL, NULL,
		 false},
		{"runc run -- -odd", OCI_CREATE, "-odd", NULL, NULL, NULL, false},
		/* a value that looks like a verb or an option */
		{"runc --root create delete c1", OCI_DELETE, "c1", NULL, NULL, NULL, false},
		{"runc --log --bundle create c1", OCI_CREATE, "c1", NULL, NULL, "--bundle", false},
		{"runc create --pid-file --bundle /x", OCI_CREATE, "/x", NULL, NULL, NULL, false},
		/* not ours */
		{"runc", OCI_OTHER, NULL, NULL, NULL, NULL, false},
		{"runc --version", OCI_OTHER, NULL, NULL, NULL, NULL, false},
		{"runc --root", OCI_OTHER, NULL, NULL, NULL, NULL, false},
		{"runc start c1", OCI_OTHER, NULL, NULL, NULL, NULL, false},
		{"runc exec c1 runc create c2", OCI_OTHER, NULL, NULL, NULL, NULL, false},
		{"runc create --help", OCI_OTHER, NULL, NULL, NULL, NULL, false},
		{"runc create --bundle", OCI_OTHER, NULL, NULL, NULL, NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < N(cases); i++) {
		char line[256], *argv[32], *rest = line;
		struct oci_command command;
		int argc = 0;
		snprintf(line, sizeof(line), "%s", cases[i].line);
		while (rest)
			argv[argc++] = strsep(&rest, " ");
		oci_command_parse(argc, argv, &command);
		if (command.verb != cases[i].verb)
			fail_msg("%s: verb %d", cases[i].line, command.verb);
		check_text(cases[i].line, command.id, cases[i].id);
		check_text(cases[i].line, command.bundle, cases[i].bundle);
		check_text(cases[i].line, command.config, cases[i].config);
		check_text(cases[i].line, command.log, cases[i].log);
		assert_int_equal(command.log_json, cases[i].json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
