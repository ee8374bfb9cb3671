/* What a rolegated that someone else has taken over may still do. Each attempt is a call that fails
 * with the error it should, made in a child that has entered the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/landlock.h>
#include <linux/netlink.h>

#include "rolegated/sandbox.h"

struct bed {
	char state[64], elsewhere[64], state_file[128], secret[128], config[128];
};

static long try_open(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600);
}

static long read_secret(const struct bed *bed)
{
	return try_open(bed->secret, O_RDONLY);
}

static long list_elsewhere(const struct bed *bed)
{
	return try_open(bed->elsewhere, O_RDONLY | O_DIRECTORY);
}

static long write_elsewhere(const struct bed *bed)
{
	return try_open(bed->secret, O_WRONLY);
}

static long write_etc(const struct bed *bed)
{
	(void)bed;
	return try_open("/etc/rolegate-test-sandbox", O_WRONLY | O_CREAT);
}

static long write_configuration(const struct bed *bed)
{
	return try_open(bed->config, O_WRONLY);
}

static long read_configuration(const struct bed *bed)
{
	return try_open(bed->config, O_RDONLY);
}

static long write_state(const struct bed *bed)
{
	return try_open(bed->state_file, O_WRONLY | O_CREAT);
}

static long take_state_elsewhere(const struct bed *bed)
{
	return rename(bed->secret, bed->state_file);
}

static long link_state(const struct bed *bed)
{
	return symlink("/etc/shadow", bed->state_file);
}

static long run_program(const struct bed *bed)
{
	char *argv[] = {(char *)"true", NULL};

	(void)bed;
	return execve("/bin/true", argv, argv + 1);
}

static long listen_anew(const struct bed *bed)
{
	(void)bed;
	return listen(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 1);
}

static long packets(const struct bed *bed)
{
	(void)bed;
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long netfilter(const struct bed *bed)
{
	(void)bed;
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
}

static long resolver(const struct bed *bed)
{
	(void)bed;
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static long limits_of_another(const struct bed *bed)
{
	struct rlimit limit;

	(void)bed;
	return syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, &limit);
}

static long own_limits(const struct bed *bed)
{
	struct rlimit limit;

	(void)bed;
	return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
}

static long raw_call(const struct bed *bed, long number)
{
	(void)bed;
	return syscall(number, 0, 0, 0, 0, 0);
}

#define RAW(name)                                                                                  \
	static long do_##name(const struct bed *bed)                                               \
	{                                                                                          \
		return raw_call(bed, SYS_##name);                                                  \
	}
RAW(fork)
RAW(vfork)
RAW(ptrace)
RAW(process_vm_readv)
RAW(setns)
RAW(unshare)
RAW(mount)
RAW(chroot)
RAW(bpf)
RAW(init_module)
RAW(kexec_load)
RAW(io_uring_setup)
RAW(userfaultfd)
RAW(keyctl)
RAW(perf_event_open)
RAW(setuid)
RAW(capset)
RAW(pidfd_getfd)
RAW(kill)
RAW(link)
RAW(mknod)
RAW(chmod)
RAW(chown)

static const struct {
	const char *what;
	long (*attempt)(const struct bed *bed);
	int error; /* 0: it is allowed */
	bool files;
} rows[] = {
	{"read its configuration", read_configuration, 0, true},
	{"write its state", write_state, 0, true},
	{"read another file", read_secret, EACCES, true},
	{"list another directory", list_elsewhere, EACCES, true},
	{"write another file", write_elsewhere, EACCES, true},
	{"write in /etc", write_etc, EACCES, true},
	{"write its configuration", write_configuration, EACCES, true},
	{"take a file from elsewhere", take_state_elsewhere, EACCES, true},
	{"make a symbolic link", link_state, EPERM, false},
	{"run a program", run_program, EPERM, false},
	{"listen on a new socket", listen_anew, EPERM, false},
	{"open a packet socket", packets, EPERM, false},
	{"speak with netfilter", netfilter, EPERM, false},
	{"ask for the host's addresses", resolver, 0, false},
	{"another's limits", limits_of_another, EPERM, false},
	{"its own limits", own_limits, 0, false},
	{"fork", do_fork, EPERM, false},
	{"vfork", do_vfork, EPERM, false},
	{"ptrace", do_ptrace, EPERM, false},
	{"process_vm_readv", do_process_vm_readv, EPERM, false},
	{"setns", do_setns, EPERM, false},
	{"unshare", do_unshare, EPERM, false},
	{"mount", do_mount, EPERM, false},
	{"chroot", do_chroot, EPERM, false},
	{"bpf", do_bpf, EPERM, false},
	{"init_module", do_init_module, EPERM, false},
	{"kexec_load", do_kexec_load, EPERM, false},
	{"io_uring_setup", do_io_uring_setup, EPERM, false},
	{"userfaultfd", do_userfaultfd, EPERM, false},
	{"keyctl", do_keyctl, EPERM, false},
	{"perf_event_open", do_perf_event_open, EPERM, false},
	{"setuid", do_setuid, EPERM, false},
	{"capset", do_capset, EPERM, false},
	{"pidfd_getfd", do_pidfd_getfd, EPERM, false},
	{"kill", do_kill, EPERM, false},
	{"link", do_link, EPERM, false},
	{"mknod", do_mknod, EPERM, false},
	{"chmod", do_chmod, EPERM, false},
	{"chown", do_chown, EPERM, false},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void make_bed(struct bed *bed)
{
	*bed = (struct bed){.state = "/tmp/rolegate-state-XXXXXX",
			    .elsewhere = "/var/tmp/rolegate-else-XXXXXX"};
	assert_non_null(mkdtemp(bed->state));
	assert_non_null(mkdtemp(bed->elsewhere));
	snprintf(bed->state_file, sizeof(bed->state_file), "%s/new", bed->state);
	snprintf(bed->secret, sizeof(bed->secret), "%s/secret", bed->elsewhere);
	snprintf(bed->config, sizeof(bed->config), "/tmp/rolegate-conf-%d/rolegate.conf",
		 (int)getpid());
	char *slash = strrchr(bed->config, '/');
	*slash = '\0';
	assert_int_equal(mkdir(bed->config, 0700), 0);
	*slash = '/';
	make_file(bed->secret);
	make_file(bed->config);
}

static void clear_bed(struct bed *bed)
{
	(void)unlink(bed->state_file);
	(void)unlink(bed->secret);
	(void)unlink(bed->config);
	*strrchr(bed->config, '/') = '\0';
	assert_int_equal(rmdir(bed->config), 0);
	assert_int_equal(rmdir(bed->state), 0);
	assert_int_equal(rmdir(bed->elsewhere), 0);
}

/* In the child: what each attempt came to, to the parent. */
static void attempt_all(const struct bed *bed, int out)
{
	struct config config = {.policy.file = (char *)bed->config,
				.state.dir = (char *)bed->state};
	int errors[N_ROWS];
	struct diag diag = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    sandbox_enter(bed->config, &config, &diag) < 0)
		_exit(1);
	for (size_t i = 0; i < N_ROWS; i++)
		errors[i] = rows[i].attempt(bed) < 0 ? errno : 0;
	_exit(write(out, errors, sizeof(errors)) == sizeof(errors) ? 0 : 1);
}

static void test_what_is_refused(void **state)
{
	int pipe_fds[2], errors[N_ROWS], status, failures = 0;
	struct bed bed;

	(void)state;
	bool landlock =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
	make_bed(&bed);
	assert_int_equal(pipe(pipe_fds), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		attempt_all(&bed, pipe_fds[1]);
	close(pipe_fds[1]);
	ssize_t n = read(pipe_fds[0], errors, sizeof(errors));
	close(pipe_fds[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	clear_bed(&bed);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(n, sizeof(errors));
	for (size_t i = 0; i < N_ROWS; i++) {
		if (errors[i] == rows[i].error || (rows[i].files && !landlock))
			continue;
		print_error("%s: %s, not %s\n", rows[i].what, strerror(errors[i]),
			    strerror(rows[i].error));
		failures++;
	}
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
