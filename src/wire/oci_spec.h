/* oci_spec: writes a hardened config.json for a container that rolegate launches itself.
 *
 * It starts from nothing: no capability, no new privileges, every namespace, an allow-list of system
 * calls, masked paths, no device but the usual ones. What a caller, or a bundle, asks for is added by
 * name; a bundle's own security settings are not taken over. Source: OCI runtime-spec 1.0.2.
 *
 * Errors stick: oci_spec_print() reports them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/diag.h"

struct oci_spec;

/* NULL when out of memory. `syscalls`: those that are allowed, between spaces and newlines. */
struct oci_spec *oci_spec_new(const char *syscalls);
struct oci_spec *oci_spec_free(struct oci_spec *spec);
DEFINE_CLEANUP(struct oci_spec *, oci_spec_free)
#define _cleanup_oci_spec_ _cleanup_(oci_spec_freep)

/* oci_spec_take_bundle(spec, directory, text, len, diag): what the config.json of the bundle in
 * `directory` (an absolute path) says of its process (arguments, environment, directory, user, terminal,
 * limits), its host name, its bind and tmpfs mounts and whether its root is read-only. 0, -EINVAL or
 * -ENOMEM. */
int oci_spec_take_bundle(struct oci_spec *spec, const char *directory, const char *text, size_t len,
			 struct diag *diag);

void oci_spec_set_args(struct oci_spec *spec, char *const *args, size_t n);
bool oci_spec_has_args(const struct oci_spec *spec);
void oci_spec_add_env(struct oci_spec *spec, const char *variable); /* NAME=VALUE; replaces NAME */
void oci_spec_set_cwd(struct oci_spec *spec, const char *cwd);
void oci_spec_set_user(struct oci_spec *spec, uint32_t uid, uint32_t gid);
void oci_spec_set_terminal(struct oci_spec *spec, bool terminal);
void oci_spec_set_hostname(struct oci_spec *spec, const char *name);
void oci_spec_add_capability(struct oci_spec *spec, const char *name); /* CAP_… */
void oci_spec_set_rlimit(struct oci_spec *spec, const char *type, int64_t soft, int64_t hard);
void oci_spec_set_root(struct oci_spec *spec, const char *path);
void oci_spec_set_read_only(struct oci_spec *spec);
bool oci_spec_is_read_only(const struct oci_spec *spec);

/* `options`: between commas. One for the same destination is replaced. */
void oci_spec_add_mount(struct oci_spec *spec, const char *source, const char *destination,
			const char *type, const char *options);

/* Bytes, number, percent of one CPU; 0: no bound. */
void oci_spec_set_limits(struct oci_spec *spec, int64_t memory, int64_t pids, int64_t cpu_percent);
void oci_spec_set_netns(struct oci_spec *spec, const char *path);
/* Container ids 0 to size - 1 are the host's base to base + size - 1. */
void oci_spec_set_user_namespace(struct oci_spec *spec, uint32_t base, uint32_t size);
void oci_spec_set_cgroup(struct oci_spec *spec, const char *path);
void oci_spec_set_apparmor(struct oci_spec *spec, const char *profile);
void oci_spec_set_selinux(struct oci_spec *spec, const char *label);

/* oci_spec_print(spec, out): 0, or -ENOMEM if anything failed. */
int oci_spec_print(const struct oci_spec *spec, struct buf *out);
