#include "launch/enrolment.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "rolegate/client.h"
#include "util/clock.h"
#include "util/fd.h"
#include "util/process.h"
#include "wire/registration.h"
#include "wire/role_map.h"

#define RETRY_MS 50
/* A daemon that is restarted is back within this. */
#define RESTART_MS 3000
/* The end of a process is told to the daemon by the kernel, so nearly at once. */
#define STALE_MS 2000
/* Above wait_s: the client's own patience, and ours. */
#define MARGIN_S 30

enum step {
	AGAIN = 1, /* above 0, which is done, and -errno */
};

struct attempt {
	const struct enrolment *e;
	struct rolegate_client *client;
	struct rolegate_registration *registration;
	struct rolegate_error error; /* of the last call */
	int64_t began_ms, deadline_ms;
	enum enrolment_outcome outcome;
	struct diag *diag;
};

static void pause_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

static int wait_s_of(const struct identity *identity)
{
	for (size_t i = 0; i < identity->n_fields; i++)
		if (strcmp(identity->fields[i].name, "wait_s") == 0) {
			long n = strtol(identity->fields[i].value, NULL, 10);
			return n >= 0 && n <= REGISTRATION_WAIT_MAX_S ? (int)n
								      : REGISTRATION_WAIT_MAX_S;
		}
	return REGISTRATION_WAIT_DEFAULT_S;
}

int enrolment_time_s(const struct identity *identity)
{
	return wait_s_of(identity) + MARGIN_S;
}

static int set_fields(struct attempt *a)
{
	const struct identity *identity = a->e->identity;
	struct rolegate_error error = {0};
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)a->e->pid);
	int r = rolegate_registration_set(a->registration, "role_arn", identity->role_arn, &error);
	if (r < 0)
		return diag_fail(-r, a->diag, NULL, "%s: %s", identity->role_source, error.message);
	if (a->e->pid > 0)
		r = rolegate_registration_set(a->registration, "pid", pid, &error);
	if (r == 0 && a->e->netns)
		r = rolegate_registration_set(a->registration, "netns", a->e->netns, &error);
	if (r < 0)
		return diag_fail(-r, a->diag, error.field, "%s: %s", error.field, error.message);
	for (size_t i = 0; i < identity->n_fields; i++) {
		const struct identity_field *field = &identity->fields[i];
		r = rolegate_registration_set(a->registration, field->name, field->value, &error);
		if (r < 0)
			return diag_fail(-r, a->diag, field->name, "%s: %s", field->source,
					 error.message);
	}
	return 0;
}

/* The inode of the netns that this is about. */
static int netns_inode(const struct attempt *a, uint64_t *ret)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)a->e->pid);
	if (stat(a->e->netns ? a->e->netns : path, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

/* Who has the netns? It may be on its way in, or out: then nobody is found, and it is tried again.
 */
static int share(struct attempt *a, const struct role_map *map, uint64_t inode)
{
	const char *wanted = a->e->identity->role_arn;

	for (size_t i = 0; i < map->n_entries; i++) {
		const struct role_map_entry *entry = &map->entries[i];
		if (entry->netns_inode != inode || !entry->role_arn || !entry->state)
			continue;
		if (strcmp(entry->role_arn, wanted) != 0)
			return diag_fail(EEXIST, a->diag, "netns",
					 "role %.128s: its network namespace is that of %s, whose "
					 "role is %.128s: containers that share one share the role",
					 wanted, entry->id, entry->role_arn);
		if (strcmp(entry->state, "pending") == 0)
			return AGAIN;
		a->outcome = ENROLMENT_SHARED;
		return 0;
	}
	return AGAIN;
}

static int find_holder(struct attempt *a)
{
	_cleanup_role_map_ struct role_map *map = NULL;
	struct rolegate_reply reply = {0};
	uint64_t inode;

	int r = netns_inode(a, &inode);
	if (r < 0)
		return diag_fail(-r, a->diag, "netns", "its network namespace: %s", strerror(-r));
	r = rolegate_roles(a->client, &reply, &a->error);
	if (r < 0)
		return diag_fail(-r, a->diag, NULL, "%s", a->error.message);
	r = role_map_parse(reply.body, reply.len, &map, a->diag);
	rolegate_reply_clear(&reply);
	return r < 0 ? r : share(a, map, inode);
}

static int refused(struct attempt *a, int error)
{
	return diag_fail(error, a->diag, a->error.field, "role %s: %s%s%s",
			 a->e->identity->role_arn, a->error.field, a->error.field[0] ? ": " : "",
			 a->error.message);
}

static bool is_alive(pid_t pid)
{
	int pidfd = -1;
	uint64_t started;

	if (process_open(pid, &pidfd, &started) < 0)
		return false;
	struct pollfd p = {.fd = pidfd, .events = POLLIN}; /* readable when it is a zombie, too */
	bool alive = poll(&p, 1, 0) == 0;
	(void)fd_close(pidfd);
	return alive;
}

/* Unregister `id` unless its process lives and is not `own` (0: none is). Ids are unique within an
 * engine only: a second container of the same id fails, and its end must not be the first one's. */
static int drop(struct rolegate_client *client, const char *id, pid_t own,
		struct rolegate_error *error)
{
	_cleanup_role_map_ struct role_map *map = NULL;
	struct rolegate_reply reply = {0};

	int r = rolegate_show(client, id, &reply, error);
	if (r == -EREMOTEIO && error->status == 404)
		return 0;
	if (r < 0)
		return r;
	r = role_map_parse(reply.body, reply.len, &map, NULL);
	rolegate_reply_clear(&reply);
	pid_t pid = r == 0 && map->n_entries == 1 ? (pid_t)map->entries[0].pid : 0;
	if (pid > 0 && pid != own && is_alive(pid))
		return 0;
	return rolegate_unregister(client, id, error);
}

/* It stays registered after a 504, and goes on trying. */
static int not_ready(struct attempt *a)
{
	bool denied = strcmp(a->error.code, "role_denied") == 0;

	(void)refused(a, ETIMEDOUT);
	if (a->e->may_lag) {
		a->outcome = ENROLMENT_LAGGING;
		return 0;
	}
	(void)drop(a->client, a->e->id, a->e->pid, &a->error);
	return denied ? -EACCES : -ETIMEDOUT;
}

static int handle_refusal(struct attempt *a)
{
	int64_t now = clock_now_ms();

	/* Another container's netns; or this one's, registered by other means (CNI, say). */
	if (a->error.status == 409) {
		bool taken = strcmp(a->error.code, "netns_taken") == 0;
		const struct rolegate_error error = a->error;
		int r = find_holder(a);
		if (r != AGAIN || now < (taken ? a->deadline_ms : a->began_ms + STALE_MS))
			return r;
		a->error = error;
		return refused(a, EEXIST);
	}
	if (a->error.status == 504)
		return not_ready(a);
	return refused(a, a->error.status == 403 ? EACCES : EINVAL);
}

static int try_once(struct attempt *a)
{
	struct rolegate_reply reply = {0};
	int r = rolegate_register(a->client, a->e->id, a->registration, &reply, &a->error);

	switch (r) {
	case 0:
		if (a->e->reply)
			buf_put(a->e->reply, reply.body, reply.len);
		rolegate_reply_clear(&reply);
		a->outcome = ENROLMENT_READY;
		return 0;
	case -ENOTCONN:
		if (clock_now_ms() < a->began_ms + RESTART_MS)
			return AGAIN;
		return refused(a, ENOTCONN);
	case -EBADMSG: /* the daemon went down meanwhile: the call may be repeated */
		return clock_now_ms() < a->deadline_ms ? AGAIN : refused(a, EBADMSG);
	case -EREMOTEIO:
		return handle_refusal(a);
	case -ETIMEDOUT: /* it may come to pass yet, so take it back */
		r = refused(a, ETIMEDOUT);
		(void)drop(a->client, a->e->id, a->e->pid, &a->error);
		return r;
	default:
		return refused(a, -r);
	}
}

static int attempt(struct attempt *a)
{
	int r = set_fields(a);

	while (r == 0) {
		r = try_once(a);
		if (r != AGAIN)
			return r;
		r = 0;
		pause_ms(RETRY_MS);
	}
	return r;
}

static int connect_to(const char *socket, struct rolegate_client **ret, struct diag *diag)
{
	int r = rolegate_client_new(socket, ret);

	return r < 0 ? diag_fail(-r, diag, NULL, "%s: %s", socket, strerror(-r)) : 0;
}

int enrolment_register(const struct enrolment *e, enum enrolment_outcome *ret, struct diag *diag)
{
	struct attempt a = {.e = e, .diag = diag, .began_ms = clock_now_ms()};

	a.deadline_ms = a.began_ms + (int64_t)wait_s_of(e->identity) * 1000;
	int r = connect_to(e->socket, &a.client, diag);
	if (r < 0)
		return r;
	a.registration = rolegate_registration_new();
	r = a.registration ? attempt(&a) : diag_fail(ENOMEM, diag, NULL, "out of memory");
	rolegate_registration_free(a.registration);
	rolegate_client_free(a.client);
	if (r == 0)
		*ret = a.outcome;
	return r;
}

int enrolment_unregister(const char *socket, const char *id, pid_t own, struct diag *diag)
{
	struct rolegate_client *client = NULL;
	struct rolegate_error error;

	int r = connect_to(socket, &client, diag);
	if (r < 0)
		return r;
	r = drop(client, id, own, &error);
	rolegate_client_free(client);
	return r < 0 ? diag_fail(-r, diag, NULL, "%s", error.message) : 0;
}

int enrolment_check(const struct enrolment *e, struct diag *diag)
{
	struct attempt a = {.e = e, .diag = diag};

	int r = connect_to(e->socket, &a.client, diag);
	if (r < 0)
		return r;
	r = find_holder(&a);
	rolegate_client_free(a.client);
	return r == AGAIN ? diag_fail(ENOENT, diag, NULL,
				      "role %s: the container has no credentials: it is not "
				      "registered, or just being registered",
				      e->identity->role_arn)
			  : r;
}
