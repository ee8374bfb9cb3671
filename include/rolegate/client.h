/* rolegate/client.h: register containers with rolegated, and ask it what it knows.
 *
 * A blocking client for the control socket, for agents that launch containers. Link with
 * -lrolegate-client (pkg-config rolegate-client). Each call opens its own connection, so one client
 * may be used by one thread at a time, and several clients side by side. No call raises SIGPIPE,
 * changes signal handlers or writes to standard output or error.
 *
 *	struct rolegate_client *client;
 *	struct rolegate_registration *reg = rolegate_registration_new();
 *	struct rolegate_error error;
 *
 *	if (!reg || rolegate_client_new(NULL, &client) < 0)
 *		return -1;
 *	if (rolegate_registration_set(reg, "role_arn", arn, &error) < 0 ||
 *	    rolegate_registration_set(reg, "netns", "/proc/4242/ns/net", &error) < 0 ||
 *	    rolegate_register(client, "web-1", reg, NULL, &error) < 0)
 *		fprintf(stderr, "%s: %s\n", error.field, error.message);
 *	rolegate_registration_free(reg);
 *	rolegate_client_free(client);
 *
 * Every call that can fail returns 0 or a negative errno:
 *	-EINVAL     an argument cannot be sent; nothing was
 *	-ENOTCONN   no daemon is reachable at the socket; nothing was sent
 *	-ETIMEDOUT  no whole answer came in time; what was asked may still come to pass
 *	-EBADMSG    the answer is cut or malformed; what was asked may have been done
 *	-EMSGSIZE   the answer is too large
 *	-EREMOTEIO  the daemon refused: error.status is its HTTP status (403: the policy does not
 *	            allow it; 409: the id exists with another definition; 422: error.field is
 *	            invalid; 504: not ready within wait_s), error.code, error.field and
 *	            error.message its reason
 *	-ENOMEM     out of memory
 * and fills `error`, which may be NULL.
 */
#ifndef ROLEGATE_CLIENT_H
#define ROLEGATE_CLIENT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rolegate_client;
struct rolegate_registration;

struct rolegate_error {
	int status;	   /* HTTP status of the refusal; 0 if the daemon did not answer with one */
	char code[64];	   /* the daemon's name for the error, or "" */
	char field[96];	   /* the field at fault, or "" */
	char message[512]; /* one line for a person, without control bytes; may come from the daemon
			    */
};

/* What the daemon answered. */
struct rolegate_reply {
	int status; /* HTTP status, 200 to 299 */
	char *body; /* NUL-terminated, "" if there is none; rolegate_reply_clear() frees it */
	size_t len; /* of the body */
};

/* Forget the body. Fine for a reply that is zeroed or already cleared. */
void rolegate_reply_clear(struct rolegate_reply *reply);

/* Make a client for the control socket at `socket_path`. NULL: $ROLEGATE_SOCKET if that is set,
 * else what [control] socket of /etc/rolegate/rolegate.conf says, else /run/rolegate/control.sock.
 * Nothing is connected yet. 0, -EINVAL for a path that fits no socket address, or -ENOMEM. */
int rolegate_client_new(const char *socket_path, struct rolegate_client **ret);
void rolegate_client_free(struct rolegate_client *client); /* NULL is fine */

/* The socket's path. It lives as long as the client. */
const char *rolegate_client_socket(const struct rolegate_client *client);

/* How long a call may take, connecting included. 0, the default: 5 s to connect, then 15 s for the
 * answer, and for rolegate_register() its wait_s and 15 s. */
void rolegate_client_set_timeout(struct rolegate_client *client, int timeout_ms);

/* A registration, built field by field. NULL when out of memory. */
struct rolegate_registration *rolegate_registration_new(void);
void rolegate_registration_free(struct rolegate_registration *registration); /* NULL is fine */

/* Set a field, named as in the body of PUT /v1/containers/{id}; numbers as decimal text.
 *	once:                role_arn, netns (absolute path), pid, intercept (netns, bridge),
 *	                     session_name, external_id, duration_s, source_identity, session_policy
 *	                     (a JSON object's text), tokens (required, optional, disabled),
 *	                     hop_limit, image.ref, image.digest, wait_s
 *	an item a call:      transitive_tag_keys, policy_arns, allow
 *	a "KEY=VALUE" a call: session_tags, labels, metadata (a key that comes again makes a list)
 * role_arn and one of netns and pid are needed, the rest have defaults. -EINVAL for an unknown
 * field, a malformed or a repeated value; the daemon checks what it means. */
int rolegate_registration_set(struct rolegate_registration *registration, const char *field,
			      const char *value, struct rolegate_error *error);

/* Register the container `id` ([A-Za-z0-9][A-Za-z0-9_.-]{0,127}). On success interception stands
 * and credentials are there; status 201: new, 200: it was registered just so before. `ret`, here
 * and below, may be NULL. */
int rolegate_register(struct rolegate_client *client, const char *id,
		      const struct rolegate_registration *registration, struct rolegate_reply *ret,
		      struct rolegate_error *error);

/* Unregister it: rules, sockets and credentials are gone on return. Twice is no error. */
int rolegate_unregister(struct rolegate_client *client, const char *id,
			struct rolegate_error *error);

/* Ask for new credentials before their time. On return the daemon has taken note. */
int rolegate_refresh(struct rolegate_client *client, const char *id, struct rolegate_error *error);

/* The role map as JSON: of all containers, {"containers":[…]}, or of one. */
int rolegate_roles(struct rolegate_client *client, struct rolegate_reply *ret,
		   struct rolegate_error *error);
int rolegate_show(struct rolegate_client *client, const char *id, struct rolegate_reply *ret,
		  struct rolegate_error *error);

/* The daemon's version as JSON. */
int rolegate_version(struct rolegate_client *client, struct rolegate_reply *ret,
		     struct rolegate_error *error);

/* Follow the daemon's events: `on_event` gets each, one JSON object in one NUL-terminated line,
 * until it returns something else than 0, which is then returned, or the daemon ends the stream: 0.
 * Waits for events without limit of time. */
typedef int (*rolegate_event_fn)(const char *line, size_t len, void *user);
int rolegate_events(struct rolegate_client *client, rolegate_event_fn on_event, void *user,
		    struct rolegate_error *error);

#ifdef __cplusplus
}
#endif

#endif
