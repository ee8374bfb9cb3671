/* config: rolegate.conf, text to struct. One table (config.c) names every key with its type and
 * bounds; unknown sections and keys, bad values and repeated keys are errors with file and line.
 *
 * See man rolegate.conf(5) for what the keys mean.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/diag.h"

#define CONFIG_DEFAULT_PATH "/etc/rolegate/rolegate.conf"

enum config_base_credentials { BASE_IMDS, BASE_ENVIRONMENT, BASE_FILE };
enum config_not_ready { NOT_READY_FAIL, NOT_READY_START };

struct config {
	struct {
		char *region;	    /* NULL: from the instance's own metadata */
		char *partition;    /* NULL: from the region */
		char *sts_endpoint; /* NULL: https://sts.REGION.SUFFIX */
		char *ec2_endpoint;
		char *imds_endpoint; /* http://169.254.169.254 */
		char *ca_file;	     /* NULL: the system's */
		enum config_base_credentials base_credentials;
		char *base_file;    /* BASE_FILE: absolute path */
		char *base_profile; /* BASE_FILE: "default" */
		int64_t session_duration_s;
		int64_t sts_max_per_second;
		int64_t sts_max_in_flight;
	} aws;
	struct {
		int64_t port;
		int64_t bridge_port;
		bool protect_host;
	} intercept;
	struct {
		bool tokens_required;
		int64_t hop_limit;
		char *allow; /* whitespace- or comma-separated extra pass-through paths, or NULL */
	} imds;
	struct {
		char *socket;
		char *group;
		char *tls_listen; /* HOST:PORT, or NULL: no TLS listener */
		char *tls_cert;
		char *tls_key;
		char *tls_client_ca;
	} control;
	struct {
		char *socket;
	} netd;
	struct {
		char *path;
		enum config_not_ready on_not_ready;
		bool refuse_unconfined;
		char *account;
		char *role_annotations;
		char *role_env;
		bool trust_env;	  /* may a variable, which may be the image's, say anything? */
		char *image_keys; /* NULL: images need no signature */
		char *image_signatures; /* directory */
	} runtime;
	struct {
		char *dir;
	} state;
	struct {
		char *file;
	} policy;
	struct {
		char *level;
		bool json;
		char *audit; /* absolute path, "journal", or NULL: none */
	} log;
};

/* config_parse(text, name, ret, diag): parse the text of the file called `name` (for messages).
 * `ret` is initialised here; on success it is the caller's to config_deinit(). 0, -EINVAL with
 * `diag` naming file, line and key, or -ENOMEM. An empty text gives the defaults. */
int config_parse(const char *text, const char *name, struct config *ret, struct diag *diag);

/* config_load(path, ret, diag): read and parse a file. */
int config_load(const char *path, struct config *ret, struct diag *diag);

/* config_diff(old, new, cb, data): call cb for each key that differs ("[aws] region: a -> b"). */
typedef void config_diff_cb(const char *change, void *data);
void config_diff(const struct config *old, const struct config *new, config_diff_cb *cb,
		 void *data);

void config_deinit(struct config *config);
