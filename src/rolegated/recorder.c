#include "rolegated/recorder.h"

#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "wire/metadata_path.h"

#define REFUSED_INTERVAL_MS 1000
#define PATH_MAX_LEN 256

void recorder_publish(struct recorder *r, const struct record *record)
{
	_cleanup_buf_ struct buf members = {0}, line = {0};
	bool event = record_is_event(record->type) && r->events.n_clients > 0;

	if (!event && !(record_is_audited(record->type) && r->audit.path))
		return;
	record_print(record, clock_wall_s(), &members);
	if (!buf_ok(&members))
		return;
	/* The audit first: what is told has been written. */
	if (record_is_audited(record->type))
		audit_write(&r->audit, members.data);
	if (!event)
		return;
	buf_printf(&line, "{%s}\n", members.data);
	if (buf_ok(&line))
		events_publish(&r->events, line.data);
}

static struct record about(enum record_type type, const struct container *c)
{
	const struct registration *registration = c->registration;

	return (struct record){
		.type = type,
		.container = c->id,
		.role_arn = registration->role.role_arn,
		.session_name = registration->role.session_name,
	};
}

void recorder_container(struct recorder *r, enum record_type type, const struct container *c,
			const char *message)
{
	struct record record = about(type, c);

	record.source_identity = c->registration->role.source_identity;
	record.image = c->registration->image_ref;
	record.policy_rule = c->registration->policy_rule;
	record.message = message;
	recorder_publish(r, &record);
}

static enum record_type failure_type(const struct session *s)
{
	if (session_valid(s, clock_now_ms()))
		return RECORD_RENEWAL_FAILED;
	return s->last_class == STS_DENIED ? RECORD_DENIED : RECORD_ASSUME_FAILED;
}

static bool was_unwell(enum session_state state)
{
	return state == SESSION_STALE || state == SESSION_FAILING || state == SESSION_DENIED;
}

static void tell(struct recorder *r, const struct container *c, const struct session *s,
		 const struct issuer_before *before)
{
	bool ok = s->last_class == STS_OK;
	struct record record = about(ok ? RECORD_ASSUMED : failure_type(s), c);

	record.sts_request_id = s->last_request_id[0] ? s->last_request_id : NULL;
	if (!ok) {
		record.code = s->last_code;
		record.message = session_message(s);
		recorder_publish(r, &record);
		return;
	}
	record.source_identity = c->registration->role.source_identity;
	record.access_key_id = s->credentials->access_key_id;
	record.expiration_s = s->credentials->expiration_s;
	recorder_publish(r, &record);
	if (was_unwell(before->state)) {
		record.type = RECORD_HEALED;
		record.code = before->code;
		recorder_publish(r, &record);
	}
}

void recorder_session(struct recorder *r, const struct session *s,
		      const struct issuer_before *before)
{
	const struct container *c;

	/* The same failure again is no news; the role map shows when it was tried last. */
	if (s->last_class != STS_OK && was_unwell(before->state) &&
	    strcmp(before->code, s->last_code) == 0 &&
	    (before->state == SESSION_STALE) == session_valid(s, clock_now_ms()))
		return;
	TAILQ_FOREACH (c, &r->registry->containers, link)
		if (c->session == s || c->successor == s)
			tell(r, c, s, before);
}

void recorder_departed(struct recorder *r, struct container *c)
{
	struct record record = about(RECORD_CREDENTIALS_SERVED, c);

	if (c->served_count > 1) {
		record.access_key_id = c->served_key;
		record.count = c->served_count;
		record.message = "in all";
		recorder_publish(r, &record);
	}
	c->served_count = 0;
	c->served_serial = 0;
}

static void on_served(struct container *c, void *data)
{
	struct recorder *r = data;
	struct record record = about(RECORD_CREDENTIALS_SERVED, c);

	recorder_departed(r, c);
	c->served_serial = c->session->serial;
	snprintf(c->served_key, sizeof(c->served_key), "%s",
		 c->session->credentials->access_key_id);
	record.access_key_id = c->served_key;
	record.expiration_s = c->session->credentials->expiration_s;
	recorder_publish(r, &record);
}

/* The id in an ECS path is a secret, however it is spelt and whosever it is. */
static bool has_secret(const struct container *c, struct http_slice target)
{
	struct metadata_path path;

	if (memmem(target.at, target.len, c->ecs_id, strlen(c->ecs_id)))
		return true;
	return metadata_path_parse(target.at, target.len, &path) == 0 &&
	       strncmp(path.text, "v2/credentials/", 15) == 0;
}

static void on_refused(struct container *c, struct http_slice target, int status, void *data)
{
	struct recorder *r = data;
	struct record record = about(RECORD_PATH_REFUSED, c);
	int64_t now_ms = clock_now_ms();
	char path[PATH_MAX_LEN + 1];

	if (c->refused_ms && now_ms - c->refused_ms < REFUSED_INTERVAL_MS) {
		c->refused_unrecorded++;
		return;
	}
	if (has_secret(c, target))
		snprintf(path, sizeof(path), "(with the credentials id)");
	else
		snprintf(path, sizeof(path), "%.*s",
			 target.len > PATH_MAX_LEN ? PATH_MAX_LEN : (int)target.len, target.at);
	record.path = path;
	record.status = status;
	record.count = c->refused_unrecorded + 1;
	c->refused_ms = now_ms;
	c->refused_unrecorded = 0;
	recorder_publish(r, &record);
}

void recorder_init(struct recorder *r, struct container_registry *registry)
{
	*r = (struct recorder){
		.registry = registry,
		.audit = {.fd = -1},
		.metrics = {.served = on_served, .refused = on_refused, .data = r},
	};
	events_init(&r->events);
	registry->metrics = &r->metrics;
}

void recorder_deinit(struct recorder *r)
{
	events_deinit(&r->events);
	audit_close(&r->audit);
}
