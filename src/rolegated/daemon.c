#include "rolegated/daemon.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/control_server.h"
#include "net/event_loop.h"
#include "net/fetch.h"
#include "net/host_credentials.h"
#include "net/sts_client.h"
#include "net/upstream.h"
#include "rolegated/control_api.h"
#include "rolegated/privileges.h"
#include "rolegated/registrar.h"
#include "rolegated/sandbox.h"
#include "rolegated/settings.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/notify.h"

#define N_SIGNALS 3
/* For answers on the control socket to leave before we do. */
#define ANSWERS_MS 50

struct daemon {
	char *config_path;
	struct config config;
	struct event_base *base;
	struct event *signals[N_SIGNALS];
	struct event *watchdog; /* NULL: no one wants to hear */
	struct state state;
	struct container_registry registry;
	struct session_pool pool;
	struct fetch_loop *fetch;
	struct host_credentials *base_credentials;
	struct sts_client *sts;
	struct issuer *issuer;
	struct upstream *upstream;
	struct frontend *frontend;
	struct registrar *registrar;
	struct control_server *control;
	struct control_api api;
	struct recorder recorder;
	struct privileges privileges;
	int control_fd, tls_fd;
	int error;	  /* what ends it, if it is no signal: -errno */
	bool replaced;	  /* by another rolegated, which serves already */
	bool has_answers; /* on the control socket, on their way */
};

static void apply_log(const struct config *config)
{
	enum log_level level = LOG_LEVEL_INFO;

	(void)log_level_parse(config->log.level, &level);
	log_setup("rolegated", level, config->log.json);
}

int daemon_check(const char *path, const struct config *config, struct diag *diag)
{
	struct settings settings;

	int r = settings_load(path, config, true, &settings, diag);
	if (r == 0) {
		settings_deinit(&settings);
		r = settings_check_files(path, config, diag);
	}
	return r;
}

static void on_session_changed(struct session *s, const struct issuer_before *before, void *data)
{
	struct daemon *d = data;

	recorder_session(&d->recorder, s, before);
	registrar_session_changed(d->registrar, s);
}

/* What a reload changes: into the log, line by line, and into one record. */
struct changes {
	const char *prefix;
	struct buf all;
};

static void on_change(const char *change, void *data)
{
	struct changes *changes = data;

	log_info(NULL, "reload: %s%s", changes->prefix, change);
	buf_printf(&changes->all, "%s%s%s", changes->all.len > 0 ? "; " : "", changes->prefix,
		   change);
}

static void record_message(struct daemon *d, enum record_type type, const char *message)
{
	const struct record record = {.type = type, .message = message};

	recorder_publish(&d->recorder, &record);
}

/* Take over a valid configuration and policy. */
static void apply_reload(struct daemon *d, const struct config *config,
			 const struct settings *settings)
{
	struct changes changes = {.prefix = ""};
	struct diag diag = {0};

	settings_warn_fixed(&d->config, config);
	config_diff(&d->config, config, on_change, &changes);
	changes.prefix = "policy: ";
	policy_diff(registrar_policy(d->registrar), settings->policy, on_change, &changes);

	struct config old = d->config;
	d->config = *config;
	frontend_set_allow(d->frontend, &settings->allow);
	if (settings->tls)
		control_server_set_tls(d->control, settings->tls);
	if (strcmp(old.aws.imds_endpoint, config->aws.imds_endpoint) != 0) {
		metadata_cache_forget(upstream_cache(d->upstream));
		upstream_prefetch(d->upstream);
	}
	host_credentials_reconfigure(d->base_credentials, &old);
	config_deinit(&old);
	apply_log(&d->config);
	/* Always: the file may have been rotated. */
	if (audit_reopen(&d->recorder.audit, d->config.log.audit, &diag) < 0)
		log_error(NULL, "reload: %s; the audit goes on where it was", diag.text);
	session_pool_configure(&d->pool, (unsigned)d->config.aws.sts_max_in_flight,
			       (unsigned)d->config.aws.sts_max_per_second, clock_now_ms());
	session_pool_retry(&d->pool, clock_now_ms());
	record_message(d, RECORD_RELOADED,
		       changes.all.len > 0 && buf_ok(&changes.all) ? changes.all.data
								   : "nothing has changed");
	buf_deinit(&changes.all);
	registrar_set_policy(d->registrar, settings->policy);
	log_info(NULL, "configuration and policy reloaded");
}

static void reload(struct daemon *d)
{
	struct config config;
	struct settings settings;
	struct diag diag = {0};

	notify_reloading();
	int r = config_load(d->config_path, &config, &diag);
	if (r == 0) {
		r = settings_load(d->config_path, &config, true, &settings, &diag);
		if (r < 0)
			config_deinit(&config);
	}
	if (r < 0) {
		log_error(NULL, "reload: %s; the old configuration stays in force%s", diag.text,
			  r == -EACCES ? "; a running rolegated reads the directories it knew at "
					 "its start only: a file elsewhere needs a restart"
				       : "");
		record_message(d, RECORD_RELOAD_FAILED, diag.text);
	} else {
		apply_reload(d, &config, &settings);
	}
	notify_ready();
}

static void on_drained(void *data)
{
	struct daemon *d = data;
	if (!d->replaced)
		registrar_leave(d->registrar);
	struct timeval tv = {.tv_usec = d->has_answers ? ANSWERS_MS * 1000 : 0};

	event_base_loopexit(d->base, &tv);
}

/* Answer what has been asked, then end. `accepting`: no other rolegated is serving yet. */
static void stop(struct daemon *d, bool accepting)
{
	record_message(d, RECORD_STOPPED, NULL);
	log_info(NULL, "stopping; rules and listeners stay with rolegate-netd");
	notify_stopping();
	d->api.stopping = true;
	d->has_answers = registrar_stop(d->registrar);
	if (!accepting)
		control_server_leave_tls(d->control);
	frontend_drain(d->frontend, accepting, on_drained, d);
}

static void on_replaced(void *data)
{
	struct daemon *d = data;

	if (d->api.stopping)
		return;
	log_info(NULL, "another rolegated serves now");
	registrar_leave(d->registrar); /* it waits for this */
	d->replaced = true;
	stop(d, false);
}

static void on_refused(const char *text, void *data)
{
	struct daemon *d = data;

	log_error(NULL, "rolegate-netd does not serve us: %s", text);
	d->error = -EBUSY;
	event_base_loopbreak(d->base);
}

static void on_signal(evutil_socket_t number, short what, void *data)
{
	struct daemon *d = data;

	(void)what;
	if (number == SIGHUP) {
		reload(d);
		return;
	}
	if (d->api.stopping) { /* a second time: now */
		event_base_loopbreak(d->base);
		return;
	}
	stop(d, true);
}

/* What libevent has to say, which under a shortage of descriptors is the same line without end. */
static void on_libevent_log(int severity, const char *message)
{
	static int64_t last_ms;
	int64_t now_ms = clock_now_ms();

	if (severity < EVENT_LOG_WARN || (last_ms != 0 && now_ms - last_ms < 1000))
		return;
	last_ms = now_ms;
	log_warning(NULL, "libevent: %s", message);
}

static int watch_signals(struct daemon *d)
{
	static const int numbers[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_libevent_log);
	for (size_t i = 0; i < N_SIGNALS; i++) {
		d->signals[i] = evsignal_new(d->base, numbers[i], on_signal, d);
		if (!d->signals[i] || evsignal_add(d->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void on_watchdog(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	(void)data;
	notify_watchdog();
}

static int start_watchdog(struct daemon *d)
{
	int64_t ms = notify_watchdog_ms();
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (ms == 0)
		return 0;
	d->watchdog = event_new(d->base, -1, EV_PERSIST, on_watchdog, NULL);
	return d->watchdog && event_add(d->watchdog, &tv) == 0 ? 0 : -ENOMEM;
}

static int make_parent(const char *path, struct diag *diag)
{
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", path);
	const char *dir = dirname(copy);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return diag_fail(errno, diag, "socket", "cannot make the directory %s: %s", dir,
				 strerror(errno));
	return 0;
}

/* Who to be from now on: the user that still reaches what is read or written again later. */
static void choose_user(struct daemon *d)
{
	char netd_dir[256], audit_dir[256];
	const struct config *config = &d->config;

	snprintf(netd_dir, sizeof(netd_dir), "%s", config->netd.socket);
	snprintf(audit_dir, sizeof(audit_dir), "%s", config->log.audit ? config->log.audit : "");
	const struct privileges_need needs[] = {
		{d->config_path, R_OK},
		{config->policy.file, R_OK},
		{config->aws.ca_file, R_OK},
		{config->aws.base_file, R_OK},
		{config->control.tls_cert, R_OK},
		{config->control.tls_key, R_OK},
		{config->control.tls_client_ca, R_OK},
		{dirname(netd_dir), X_OK},
		{config->state.dir, X_OK},
		{audit_dir[0] == '/' ? dirname(audit_dir) : NULL, W_OK | X_OK},
	};
	privileges_choose(needs, sizeof(needs) / sizeof(needs[0]), &d->privileges);
}

/* What may need root. */
static int open_privileged(struct daemon *d, uint8_t key[static TOKEN_KEY_SIZE], struct diag *diag)
{
	int r = state_open(d->config.state.dir, &d->state, diag);
	if (r == 0)
		r = state_token_key(&d->state, key, diag);
	if (r == 0)
		r = make_parent(d->config.control.socket, diag);
	if (r == 0)
		r = control_socket_listen(d->config.control.socket, d->config.control.group,
					  &d->control_fd, diag);
	if (r == 0 && d->config.control.tls_listen)
		r = control_socket_listen_tcp(d->config.control.tls_listen, &d->tls_fd, diag);
	if (r < 0)
		return r;
	choose_user(d);
	if (d->privileges.change)
		r = state_chown(&d->state, d->privileges.uid, d->privileges.gid);
	return r < 0 ? diag_fail(-r, diag, "dir", "cannot give %s to uid %u: %s",
				 d->config.state.dir, d->privileges.uid, strerror(-r))
		     : 0;
}

/* The parts, each needing those before it. */
static int make_parts(struct daemon *d, struct diag *diag)
{
	int r = fetch_loop_new(d->base, &d->fetch);
	if (r == 0)
		r = host_credentials_new(d->base, d->fetch, &d->config, &d->base_credentials, diag);
	if (r == 0)
		r = sts_client_new(d->fetch, d->base_credentials, &d->config, &d->sts, diag);
	if (r == 0)
		r = upstream_new(d->fetch, &d->config, &d->upstream);
	if (r == 0)
		r = frontend_new(d->base, d->upstream, &d->frontend);
	struct registrar_deps deps = {
		.base = d->base,
		.config = &d->config,
		.registry = &d->registry,
		.pool = &d->pool,
		.frontend = d->frontend,
		.state = &d->state,
		.recorder = &d->recorder,
		.replaced = on_replaced,
		.refused = on_refused,
		.replaced_data = d,
	};
	if (r == 0)
		r = registrar_new(&deps, &d->registrar);
	if (r == 0)
		r = issuer_new(d->base, &d->pool, d->sts, on_session_changed, d, &d->issuer);
	if (r == 0)
		r = watch_signals(d);
	if (r == 0)
		r = start_watchdog(d);
	if (r < 0)
		return r;
	registrar_set_issuer(d->registrar, d->issuer);
	d->api = (struct control_api){.registrar = d->registrar,
				      .registry = &d->registry,
				      .pool = &d->pool,
				      .config = &d->config,
				      .base_credentials = d->base_credentials,
				      .recorder = &d->recorder};
	r = control_server_new(d->base, d->control_fd, d->config.control.group, control_api_handle,
			       &d->api, &d->control);
	if (r == 0)
		d->control_fd = -1; /* the server's now */
	return r;
}

static int add_tls(struct daemon *d, struct settings *settings)
{
	if (!settings->tls)
		return 0;
	int r = control_server_add_tls(d->control, d->tls_fd, settings->tls);
	if (r == 0) {
		d->tls_fd = -1;
		settings->tls = NULL;
		log_info(NULL, "control calls are taken by TLS at %s",
			 d->config.control.tls_listen);
	}
	return r;
}

static int start(struct daemon *d, struct diag *diag)
{
	uint8_t key[TOKEN_KEY_SIZE];
	struct settings settings = {0};

	settings_warn_idle(&d->config);
	int r = privileges_prepare(diag);
	if (r == 0)
		r = settings_load(d->config_path, &d->config, false, &settings, diag);
	if (r == 0)
		r = open_privileged(d, key, diag);
	if (r == 0) {
		container_registry_init(&d->registry, key);
		recorder_init(&d->recorder, &d->registry);
		session_pool_init(&d->pool, (unsigned)d->config.aws.sts_max_in_flight,
				  (unsigned)d->config.aws.sts_max_per_second, clock_now_ms());
	}
	explicit_bzero(key, sizeof(key));
	if (r == 0)
		r = audit_open(&d->recorder.audit, d->config.log.audit, d->privileges.uid,
			       d->privileges.gid, diag);
	if (r == 0)
		r = make_parts(d, diag);
	if (r == 0)
		r = add_tls(d, &settings);
	if (r == 0)
		r = privileges_drop(&d->privileges, diag);
	if (r == 0)
		r = sandbox_enter(d->config_path, &d->config, diag);
	if (r < 0) {
		settings_deinit(&settings);
		return r;
	}
	record_message(d, RECORD_STARTED, "rolegated " ROLEGATE_VERSION);
	frontend_set_allow(d->frontend, &settings.allow);
	upstream_prefetch(d->upstream);
	registrar_set_policy(d->registrar, settings.policy);
	registrar_restore(d->registrar);
	return 0;
}

int daemon_new(const char *config_path, struct config *config, struct daemon **ret,
	       struct diag *diag)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (!d)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	d->control_fd = d->tls_fd = -1;
	d->state = (struct state){.dir_fd = -1, .containers_fd = -1};
	TAILQ_INIT(&d->registry.containers);
	TAILQ_INIT(&d->registry.departing);
	TAILQ_INIT(&d->pool.sessions);
	d->config = *config;
	apply_log(&d->config);
	d->config_path = strdup(config_path);
	d->base = event_loop_new();
	int r = d->config_path && d->base ? start(d, diag) : -ENOMEM;
	if (r < 0) {
		if (diag->text[0] == '\0')
			diag_set(diag, NULL, "cannot start: %s", strerror(-r));
		d->config = (struct config){0}; /* still the caller's */
		daemon_free(d);
		return r;
	}
	*config = (struct config){0};
	*ret = d;
	return 0;
}

struct daemon *daemon_free(struct daemon *d)
{
	if (!d)
		return NULL;
	control_server_free(d->control);
	fd_close(d->control_fd);
	fd_close(d->tls_fd);
	registrar_free(d->registrar);
	issuer_free(d->issuer);
	frontend_free(d->frontend);
	upstream_free(d->upstream);
	sts_client_free(d->sts);
	host_credentials_free(d->base_credentials);
	fetch_loop_free(d->fetch);
	recorder_deinit(&d->recorder);
	container_registry_deinit(&d->registry, &d->pool);
	session_pool_deinit(&d->pool);
	for (size_t i = 0; i < N_SIGNALS; i++)
		if (d->signals[i])
			event_free(d->signals[i]);
	if (d->watchdog)
		event_free(d->watchdog);
	if (d->base)
		event_base_free(d->base);
	state_close(&d->state);
	config_deinit(&d->config);
	free(d->config_path);
	free(d);
	libevent_global_shutdown();
	return NULL;
}

int daemon_run(struct daemon *d)
{
	log_info(NULL, "rolegated %s serves, control socket %s", ROLEGATE_VERSION,
		 d->config.control.socket);
	notify_ready();
	if (event_base_dispatch(d->base) < 0)
		return -EIO;
	return d->error;
}
