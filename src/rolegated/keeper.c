#include "rolegated/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/log.h"

/* Between one time and the next; a burst of renewals has two, its first and its last. */
#define PERIOD_MS 1000
/* Written in pieces, so that a thousand containers cost no megabytes here. */
#define PIECE_SIZE (64 * 1024)
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct keeper {
	struct keeper_deps deps;
	struct event *timer;
	int64_t saved_ms;
};

static int flush(int fd, struct buf *piece)
{
	for (size_t done = 0; done < piece->len;) {
		ssize_t n = write(fd, piece->data + done, piece->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	buf_reset(piece);
	return 0;
}

static int write_all(struct keeper *k, int fd)
{
	_cleanup_buf_ struct buf piece = {0};
	_cleanup_(handover_deinit) struct handover h = {0};
	int64_t now_ms = clock_now_ms();
	struct session *s;

	int r = handover_seal(&h, k->deps.master_key, &piece);
	TAILQ_FOREACH (s, &k->deps.pool->sessions, link) {
		if (r == 0 && s->refs > 0)
			r = handover_put(&h, s, now_ms, &piece);
		if (r == 0 && piece.len >= PIECE_SIZE)
			r = flush(fd, &piece);
	}
	if (r == 0)
		r = buf_ok(&piece) ? flush(fd, &piece) : -ENOMEM;
	return r;
}

void keeper_save(struct keeper *k)
{
	evtimer_del(k->timer);
	if (!interception_ready(k->deps.interception))
		return; /* again when it is */
	k->saved_ms = clock_now_ms();
	_cleanup_fd_ int fd = memfd_create("rolegate-handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : write_all(k, fd);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		r = -errno;
	/* Rather nothing than what is out of date. */
	if (r < 0)
		log_warning(NULL, "cannot leave the credentials for a restart: %s", strerror(-r));
	r = interception_keep(k->deps.interception, r < 0 ? -1 : fd);
	if (r < 0)
		log_warning(NULL, "cannot ask rolegate-netd to keep the credentials: %s",
			    strerror(-r));
}

static void on_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	keeper_save(data);
}

void keeper_changed(struct keeper *k)
{
	int64_t wait_ms = k->saved_ms + PERIOD_MS - clock_now_ms();

	if (k->saved_ms == 0 || wait_ms < 0)
		wait_ms = 0;
	struct timeval tv = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
	/* Not moved if it is set: a burst that never ends must not put it off for ever. */
	if (!evtimer_pending(k->timer, NULL))
		evtimer_add(k->timer, &tv);
}

static ssize_t read_all(int fd, void *data, size_t len, off_t at)
{
	ssize_t n;

	do {
		n = pread(fd, data, len, at);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* How many sessions were given credentials, or -errno. */
static int read_records(struct keeper *k, int fd, uint8_t *record)
{
	_cleanup_(handover_deinit) struct handover h = {0};
	uint8_t header[HANDOVER_HEADER_SIZE];
	off_t at = sizeof(header);
	int64_t now_ms = clock_now_ms();
	uint32_t len;
	int given = 0;

	if (read_all(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
		return -EBADMSG;
	int r = handover_open(&h, k->deps.master_key, header);
	while (r >= 0) {
		ssize_t n = read_all(fd, &len, sizeof(len), at);
		if (n == 0)
			return given;
		if (n != (ssize_t)sizeof(len) || len > HANDOVER_RECORD_MAX ||
		    read_all(fd, record, len, at + (off_t)sizeof(len)) != (ssize_t)len)
			return -EBADMSG;
		at += (off_t)sizeof(len) + (off_t)len;
		r = handover_take(&h, record, len, k->deps.pool, now_ms);
		given += r > 0;
	}
	return r;
}

void keeper_restore(struct keeper *k, int fd)
{
	_cleanup_fd_ int owned = fd;

	if (fd < 0)
		return;
	_cleanup_free_ uint8_t *record = malloc(HANDOVER_RECORD_MAX);
	int r = record ? read_records(k, owned, record) : -ENOMEM;
	if (r == -EBADMSG)
		log_warning(NULL, "the credentials left before this start cannot be read (another "
				  "token key or version); asking STS");
	else if (r < 0)
		log_warning(NULL, "cannot take up the credentials left before this start: %s",
			    strerror(-r));
	else
		log_info(NULL, "took up the credentials of %d sessions", r);
}

int keeper_new(const struct keeper_deps *deps, struct keeper **ret)
{
	struct keeper *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->deps = *deps;
	k->timer = evtimer_new(deps->base, on_timer, k);
	if (!k->timer) {
		free(k);
		return -ENOMEM;
	}
	*ret = k;
	return 0;
}

struct keeper *keeper_free(struct keeper *k)
{
	if (!k)
		return NULL;
	event_free(k->timer);
	free(k);
	return NULL;
}
