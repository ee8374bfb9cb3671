/* doctor: is this host safe, and if not, why and what to do? Each part looks at one thing and adds
 * findings; verb_doctor.c runs them and prints.
 *
 * Everything is looked at from outside: the daemons' word is taken only for what they alone know
 * (the role map), and what a container or a peer says is escaped before it is printed.
 */
#pragma once

#include <sys/types.h>

#include "rolegate/cli.h"
#include "wire/config.h"
#include "wire/role_map.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL };

struct doctor_finding {
	enum doctor_level level;
	const char *check; /* one word */
	char *text;	   /* what was found; owned */
	const char *todo;  /* what to do about it; NULL for OK */
};

struct doctor {
	struct cli *cli;
	struct config config;
	uid_t user_uid;	      /* of the user rolegate; 0: there is none */
	struct role_map *map; /* NULL: not known; owned */
	struct doctor_finding *findings;
	size_t n_findings;
	bool failed; /* out of memory */
};

/* doctor_add(d, level, check, todo, fmt, …): a finding. `check` and `todo` are constants. */
void doctor_add(struct doctor *d, enum doctor_level level, const char *check, const char *todo,
		const char *fmt, ...) __attribute__((format(printf, 5, 6)));

void doctor_look_at_daemons(struct doctor *d);	  /* user, both daemons, role map */
void doctor_look_at_roles(struct doctor *d);	  /* which containers have credentials */
void doctor_look_at_rules(struct doctor *d);	  /* the host's firewall */
void doctor_look_at_imds(struct doctor *d);	  /* the instance's own metadata service */
void doctor_look_at_sts(struct doctor *d);	  /* can it be reached; the clock */
void doctor_look_at_policy(struct doctor *d);	  /* does it let in anyone for anything */
void doctor_look_at_containers(struct doctor *d); /* from inside; their capabilities */

/* What the probe of one netns found. */
struct doctor_probe {
	int error;	 /* 0, or -errno: it could not be made; `text` says why */
	bool has_rules;	 /* ours are all there, and first */
	unsigned open;	 /* bit per metadata address: port 80 leads somewhere else than to us */
	unsigned served; /* ... leads to us */
	unsigned other;	 /* ... another port of it answers */
	char text[256];
};

/* doctor_probe_netns(path, port, on_host, ret): in a child process, from inside the netns at `path`, try to
 * reach each metadata address. `port` is the one our listener has there, or with
 * `on_host` (bridge mode) in our own netns. */
void doctor_probe_netns(const char *path, uint16_t port, bool on_host, struct doctor_probe *ret);
