#include "rolegated/audit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "util/log.h"

#define COMPLAIN_INTERVAL_MS 10000

static bool is_journal(const char *target)
{
	return strcmp(target, "journal") == 0;
}

static int open_journal(struct diag *diag)
{
	static const struct sockaddr_un address = {.sun_family = AF_UNIX,
						   .sun_path = AUDIT_JOURNAL_SOCKET};

	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return diag_fail(errno, diag, "audit", "cannot reach the journal at %s: %s",
				 AUDIT_JOURNAL_SOCKET, strerror(errno));
	int taken = fd;
	fd = -1;
	return taken;
}

/* Read where the chain of an existing file ends. */
static int find_end(struct audit *a, int fd, const char *path, struct diag *diag)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return diag_fail(errno, diag, "audit", "cannot read %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return diag_fail(EINVAL, diag, "audit", "%s is no regular file", path);
	if (st.st_size == 0)
		return 0;
	size_t len = st.st_size > AUDIT_LINE_MAX ? AUDIT_LINE_MAX : (size_t)st.st_size;
	_cleanup_free_ char *tail = malloc(len + 1);
	if (!tail)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	ssize_t n = pread(fd, tail, len, st.st_size - (off_t)len);
	if (n < 0)
		return diag_fail(errno, diag, "audit", "cannot read %s: %s", path, strerror(errno));
	tail[n] = '\0';
	size_t end = (size_t)n;
	a->torn = end > 0 && tail[end - 1] != '\n';
	/* From the last line backwards: one that was cut by a crash is passed over. */
	while (end > 0) {
		if (tail[end - 1] == '\n')
			tail[--end] = '\0';
		char *lf = memrchr(tail, '\n', end);
		char *line = lf ? lf + 1 : tail;
		if (audit_line_read(line, end - (size_t)(line - tail), &a->chain, NULL, NULL) == 0)
			return 0;
		end = lf ? (size_t)(lf - tail) + 1 : 0;
	}
	log_error(NULL, "%s does not end in a line of an audit: a new chain begins", path);
	audit_chain_init(&a->chain);
	return 0;
}

/* Half a line at the end: of ours, if it is the same file as before. */
static bool ends_torn(int fd)
{
	struct stat st;
	char last;

	return fstat(fd, &st) == 0 && st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) == 1 &&
	       last != '\n';
}

static int open_file(struct audit *a, const char *path, bool fresh, struct diag *diag)
{
	_cleanup_fd_ int fd =
		open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return diag_fail(errno, diag, "audit", "cannot open %s: %s", path, strerror(errno));
	int r = fresh ? find_end(a, fd, path, diag) : 0;
	if (r < 0)
		return r;
	int taken = fd;
	fd = -1;
	return taken;
}

/* To rolegated's user, whose directory this may be: no file of another's that is linked there. */
static int give_away(int fd, const char *path, uid_t uid, gid_t gid, struct diag *diag)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return diag_fail(errno, diag, "audit", "cannot read %s: %s", path, strerror(errno));
	if (st.st_uid != uid && st.st_nlink != 1)
		return diag_fail(EMLINK, diag, "audit",
				 "%s has another name, too, and is not given to uid %u", path, uid);
	if (fchown(fd, uid, gid) < 0)
		return diag_fail(errno, diag, "audit", "cannot give %s to uid %u: %s", path, uid,
				 strerror(errno));
	return 0;
}

int audit_open(struct audit *a, const char *target, uid_t uid, gid_t gid, struct diag *diag)
{
	*a = (struct audit){.fd = -1};
	audit_chain_init(&a->chain);
	if (!target)
		return 0;
	a->path = strdup(target);
	if (!a->path)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	int fd = is_journal(target) ? open_journal(diag) : open_file(a, target, true, diag);
	if (fd >= 0 && !is_journal(target)) {
		int r = give_away(fd, target, uid, gid, diag);
		if (r < 0)
			fd_close(fd);
		fd = r < 0 ? r : fd;
	}
	if (fd < 0) {
		free(a->path);
		a->path = NULL;
		return fd;
	}
	a->fd = fd;
	return 0;
}

int audit_reopen(struct audit *a, const char *target, struct diag *diag)
{
	_cleanup_free_ char *path = target ? strdup(target) : NULL;
	int fd = -1;

	if (target && !path)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (target)
		fd = is_journal(target) ? open_journal(diag) : open_file(a, target, !a->path, diag);
	if (target && fd < 0)
		return fd;
	if (a->fd >= 0 && !is_journal(a->path))
		(void)fdatasync(a->fd);
	fd_close(a->fd);
	a->fd = fd;
	a->torn = target && !is_journal(target) && ends_torn(fd);
	free(a->path);
	a->path = TAKE(path);
	return 0;
}

void audit_close(struct audit *a)
{
	if (a->path && !is_journal(a->path))
		(void)fdatasync(a->fd);
	if (a->path)
		a->fd = fd_close(a->fd);
	free(a->path);
	a->path = NULL;
}

/* The journal's native protocol: a field a line; ours holds no LF but its last byte. */
static bool send_to_journal(struct audit *a, const struct buf *line)
{
	_cleanup_buf_ struct buf message = {0};

	buf_puts(&message, "PRIORITY=5\nSYSLOG_IDENTIFIER=rolegate-audit\nMESSAGE=");
	buf_put(&message, line->data, line->len);
	if (!buf_ok(&message))
		return false;
	ssize_t n = send(a->fd, message.data, message.len, MSG_NOSIGNAL);
	if (n < 0 && (errno == ECONNREFUSED || errno == ENOTCONN)) { /* it was restarted */
		int fd = open_journal(NULL);
		if (fd < 0)
			return false;
		fd_close(a->fd);
		a->fd = fd;
		n = send(a->fd, message.data, message.len, MSG_NOSIGNAL);
	}
	return n == (ssize_t)message.len;
}

static bool write_line(struct audit *a, const struct buf *line)
{
	if (is_journal(a->path))
		return send_to_journal(a, line);
	/* After half a line, a new one: the fault must not spoil what follows. */
	if (a->torn && write(a->fd, "\n", 1) != 1)
		return false;
	a->torn = false;
	ssize_t n = write(a->fd, line->data, line->len);
	if (n > 0 && n < (ssize_t)line->len)
		a->torn = true;
	return n == (ssize_t)line->len;
}

void audit_write(struct audit *a, const char *members)
{
	_cleanup_buf_ struct buf line = {0};
	struct audit_chain next = a->chain;
	int64_t now_ms = clock_now_ms();

	if (!a->path)
		return;
	audit_line_print(&next, members, &line);
	if (buf_ok(&line) && write_line(a, &line)) {
		a->chain = next;
		a->lines++;
		return;
	}
	a->chain.seq++; /* the gap in the numbers shows */
	a->lost++;
	if (a->complained_ms && now_ms - a->complained_ms < COMPLAIN_INTERVAL_MS)
		return;
	a->complained_ms = now_ms;
	log_error(NULL, "audit %s cannot be written: %s; %llu lines lost so far", a->path,
		  strerror(errno), (unsigned long long)a->lost);
}
