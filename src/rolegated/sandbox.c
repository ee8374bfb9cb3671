#include "rolegated/sandbox.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/sanitized.h"

/* Landlock: since Linux 5.13; see Documentation/userspace-api/landlock.rst. */
#define READ_ACCESS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_ACCESS                                                                               \
	(READ_ACCESS | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |            \
	 LANDLOCK_ACCESS_FS_MAKE_REG)
#define ALL_ACCESS                                                                                 \
	(WRITE_ACCESS | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |               \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                              \
	 LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                             \
	 LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* A rule for everything beneath a path; a path that does not exist needs none. */
static int allow_beneath(int ruleset, const char *path, uint64_t access)
{
	_cleanup_fd_ int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0)
		return 0;
	if (errno != EINVAL) /* what only a directory can have, on a file */
		return -errno;
	rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0
		       ? 0
		       : -errno;
}

/* The directory of a file that is read again later: by then it may be another file of that name. So
 * may be the one that a symbolic link leads to. */
static int allow_directory_of(int ruleset, const char *file, uint64_t access)
{
	char copy[PATH_MAX], target[PATH_MAX];

	if (!file)
		return 0;
	snprintf(copy, sizeof(copy), "%s", file);
	int r = allow_beneath(ruleset, dirname(copy), access);
	if (r == 0 && realpath(file, target))
		r = allow_beneath(ruleset, dirname(target), access);
	return r;
}

static int add_rules(int ruleset, const char *config_path, const struct config *config)
{
	/* The resolver, TLS, the C library's own plugins; /proc to watch containers' processes. */
	static const char *const readable[] = {"/etc",
					       "/usr",
					       "/lib",
					       "/lib64",
					       "/proc",
					       "/run/systemd/resolve",
					       "/run/resolvconf",
					       "/var/run/nscd"};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(readable) / sizeof(readable[0]); i++)
		r = allow_beneath(ruleset, readable[i], READ_ACCESS);
	const char *const files[] = {config_path,
				     config->policy.file,
				     config->aws.ca_file,
				     config->aws.base_file,
				     config->control.tls_cert,
				     config->control.tls_key,
				     config->control.tls_client_ca};
	for (size_t i = 0; r == 0 && i < sizeof(files) / sizeof(files[0]); i++)
		r = allow_directory_of(ruleset, files[i], READ_ACCESS);
	if (r == 0)
		r = allow_beneath(ruleset, config->state.dir, WRITE_ACCESS);
	if (r == 0 && config->log.audit && config->log.audit[0] == '/') /* else the journal */
		r = allow_directory_of(ruleset, config->log.audit, WRITE_ACCESS);
	return r;
}

static int restrict_files(const char *config_path, const struct config *config, struct diag *diag)
{
	struct landlock_ruleset_attr attr = {.handled_access_fs = ALL_ACCESS};

	_cleanup_fd_ int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) {
		log_warning(NULL, "this kernel has no Landlock: the view of the file system is "
				  "restricted by ownership alone");
		return 0;
	}
	if (ruleset < 0)
		return diag_fail(errno, diag, NULL, "cannot make a Landlock ruleset: %s",
				 strerror(errno));
	int r = add_rules(ruleset, config_path, config);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	return r < 0 ? diag_fail(-r, diag, NULL, "cannot restrict file access: %s", strerror(-r))
		     : 0;
}

/* By what they are for. */
static const int calls[] = {
	/* memory, threads, signals */
	SCMP_SYS(brk),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(tgkill),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(membarrier),
	/* the event loop and time */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(pipe2),
	SCMP_SYS(time), /* OpenSSL, on certificates; where there is no vDSO */
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(getrandom),
	/* sockets that exist or are made below */
	SCMP_SYS(connect),
	SCMP_SYS(accept4),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(socketpair),
	SCMP_SYS(bind),
	/* files */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(memfd_create),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(fstat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(ftruncate),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(rename),
	SCMP_SYS(unlinkat),
	SCMP_SYS(unlink),
	SCMP_SYS(fcntl),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(umask),
	SCMP_SYS(flock),
	/* who and what we are, and containers' processes */
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrlimit),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(pidfd_open),
};

static int add_calls(scmp_filter_ctx filter)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6};
	static const unsigned long ioctls[] = {FIONBIO, FIONREAD, FIOCLEX};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; r == 0 && i < sizeof(families) / sizeof(families[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
	/* For the resolver: which addresses does this host have? */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				     SCMP_A0(SCMP_CMP_EQ, AF_NETLINK),
				     SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE));
	if (r == 0) /* its own limits */
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
				     SCMP_A0(SCMP_CMP_EQ, 0));
	for (size_t i = 0; r == 0 && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)ioctls[i]));
	/* Threads, for libcurl's name resolution, but no processes. clone3 keeps its flags in
	 * memory, where a filter cannot look; told it does not exist, the C library uses clone. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

static int restrict_calls(struct diag *diag)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	int r = filter ? add_calls(filter) : -ENOMEM;
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? diag_fail(-r, diag, NULL, "cannot install the system call filter: %s",
				 strerror(-r))
		     : 0;
}

int sandbox_enter(const char *config_path, const struct config *config, struct diag *diag)
{
	if (SANITIZED) {
		log_warning(NULL, "built with a sanitizer: no sandbox");
		return 0;
	}
	int r = restrict_files(config_path, config, diag);
	return r == 0 ? restrict_calls(diag) : r;
}
