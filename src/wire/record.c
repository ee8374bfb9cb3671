#include "wire/record.h"

#include <inttypes.h>

#include "util/clock.h"
#include "wire/json_text.h"

static const struct {
	const char *name;
	bool event, audited;
} types[N_RECORD_TYPES] = {
	[RECORD_STARTED] = {"started", true, true},
	[RECORD_STOPPED] = {"stopped", true, true},
	[RECORD_RELOADED] = {"reloaded", true, true},
	[RECORD_RELOAD_FAILED] = {"reload_failed", true, true},
	[RECORD_REGISTERED] = {"registered", true, true},
	[RECORD_UNREGISTERED] = {"unregistered", true, true},
	[RECORD_REFUSED] = {"refused", true, true},
	[RECORD_ASSUMED] = {"assumed", true, true},
	[RECORD_HEALED] = {"healed", true, false},
	[RECORD_DENIED] = {"denied", true, true},
	[RECORD_ASSUME_FAILED] = {"assume_failed", true, true},
	[RECORD_RENEWAL_FAILED] = {"renewal_failed", true, true},
	[RECORD_CREDENTIALS_SERVED] = {"credentials_served", false, true},
	[RECORD_PATH_REFUSED] = {"path_refused", false, true},
	[RECORD_OPERATOR_CALL] = {"operator_call", false, true},
};

const char *record_name(enum record_type type)
{
	return types[type].name;
}

bool record_is_event(enum record_type type)
{
	return types[type].event;
}

bool record_is_audited(enum record_type type)
{
	return types[type].audited;
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	if (!value)
		return;
	buf_printf(out, ",\"%s\":", key);
	json_text_quote(value, out);
}

static void put_number(struct buf *out, const char *key, int64_t value)
{
	buf_printf(out, ",\"%s\":%" PRId64, key, value);
}

void record_print(const struct record *record, int64_t time_s, struct buf *out)
{
	char time[CLOCK_ISO8601_SIZE];

	clock_format_iso8601(time_s, time);
	buf_printf(out, "\"time\":\"%s\",\"event\":\"%s\"", time, record_name(record->type));
	put_text(out, "container", record->container);
	put_text(out, "role_arn", record->role_arn);
	put_text(out, "session_name", record->session_name);
	put_text(out, "source_identity", record->source_identity);
	put_text(out, "image", record->image);
	put_text(out, "policy_rule", record->policy_rule);
	put_text(out, "access_key_id", record->access_key_id);
	if (record->expiration_s) {
		clock_format_iso8601(record->expiration_s, time);
		put_text(out, "expiration", time);
	}
	put_text(out, "sts_request_id", record->sts_request_id);
	put_text(out, "code", record->code);
	put_text(out, "field", record->field);
	put_text(out, "message", record->message);
	put_text(out, "method", record->method);
	put_text(out, "path", record->path);
	if (record->status)
		put_number(out, "status", record->status);
	if (record->count)
		put_number(out, "count", (int64_t)record->count);
	if (record->has_peer) {
		put_number(out, "uid", record->uid);
		put_number(out, "pid", record->pid);
		if (record->loginuid >= 0)
			put_number(out, "loginuid", record->loginuid);
		else
			buf_puts(out, ",\"loginuid\":null");
	}
	put_text(out, "tls_subject", record->tls_subject);
	put_text(out, "tls_address", record->tls_address);
}
