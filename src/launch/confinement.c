#include "launch/confinement.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"

/* rolegated's: rolegate-netd looks it up likewise. */
#define USER "rolegate"

/* With one of these over the host's own user namespace, root in the container is root. */
static const char *const privileges[] = {"CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
					 "CAP_DAC_READ_SEARCH", "CAP_BPF"};

static bool leads_to_host(const char *path)
{
	static const char *const hosts[] = {"/proc/self/ns/net", "/proc/1/ns/net"};
	struct stat st, host;

	if (stat(path, &st) < 0)
		return false; /* the runtime will say so */
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		if (stat(hosts[i], &host) == 0 && host.st_ino == st.st_ino &&
		    host.st_dev == st.st_dev)
			return true;
	return false;
}

bool confinement_is_host_netns(const struct oci_config *oci)
{
	return oci->netns == OCI_NETNS_HOST ||
	       (oci->netns == OCI_NETNS_PATH && leads_to_host(oci->netns_path));
}

/* [intercept] protect_host goes by whose a packet is, in the host's OUTPUT. */
static int check_protected(const struct oci_config *oci, struct diag *diag)
{
	static const char *const ways[] = {"CAP_SETUID", "CAP_NET_ADMIN", "CAP_NET_RAW"};
	const struct passwd *user = getpwnam(USER);
	const char *way = oci->uid == (user ? user->pw_uid : 0) ? "it runs as that user" : NULL;

	if (!way && !oci->no_new_privileges)
		way = "without noNewPrivileges, a setuid file makes it that user";
	for (size_t i = 0; !way && i < sizeof(ways) / sizeof(ways[0]); i++)
		if (oci_config_has_capability(oci, ways[i]))
			way = ways[i];
	return way ? diag_fail(EPERM, diag, NULL,
			       "it is in the host's network namespace, where the instance metadata "
			       "is for the user " USER " alone, and can get there: %s",
			       way)
		   : 0;
}

static int check_netns(const struct oci_config *oci, const struct config *config, struct diag *diag)
{
	if (!confinement_is_host_netns(oci))
		return 0;
	if (config->intercept.protect_host)
		return oci->has_user_namespace ? 0 : check_protected(oci, diag);
	return diag_fail(EPERM, diag, NULL,
			 "it is in the host's network namespace, where the host's instance "
			 "metadata is");
}

static int check_privileges(const struct oci_config *oci, struct diag *diag)
{
	for (size_t i = 0; i < sizeof(privileges) / sizeof(privileges[0]); i++)
		if (oci_config_has_capability(oci, privileges[i]))
			return diag_fail(EPERM, diag, NULL,
					 "it is privileged (it has %s outside of a user namespace)",
					 privileges[i]);
	if (!oci->has_pid_namespace && oci_config_has_capability(oci, "CAP_SYS_PTRACE"))
		return diag_fail(EPERM, diag, NULL,
				 "it is privileged (it may trace the host's processes)");
	return 0;
}

/* Is `path` the directory `dir`, or in it? */
static bool is_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The real path; of something that is not there (yet), the path as it is written. NULL: no memory. */
static char *resolve(const char *directory, const char *path)
{
	char *joined = NULL;

	if (asprintf(&joined, "%s%s%s", path[0] == '/' ? "" : directory, path[0] == '/' ? "" : "/",
		     path) < 0)
		return NULL;
	char *real = realpath(joined, NULL);
	if (!real)
		return joined;
	free(joined);
	return real;
}

/* Is `own` in what is at `seen`? By inode, too: a bind mount (a Docker volume, a pod's subPath) has
 * another path. Changes `own`. */
static bool leads_to(const char *seen, char *own)
{
	struct stat st, at;

	if (is_below(own, seen))
		return true;
	if (stat(seen, &st) < 0)
		return false;
	for (;;) {
		if (stat(own[0] ? own : "/", &at) == 0 && at.st_ino == st.st_ino &&
		    at.st_dev == st.st_dev)
			return true;
		char *slash = strrchr(own, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
}

static int check_host_path(const char *path, const char *bundle, const struct config *config,
			   struct diag *diag)
{
	const struct {
		const char *path, *what;
	} ours[] = {
		{config->control.socket, "socket"},
		{config->netd.socket, "socket"},
		{config->state.dir, "state"},
	};
	_cleanup_free_ char *seen = resolve(bundle, path);

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		_cleanup_free_ char *own = resolve("/", ours[i].path);
		if (!seen || !own)
			return diag_fail(ENOMEM, diag, NULL, "out of memory");
		/* Nor may it have a part of the state. */
		if (is_below(seen, own) || leads_to(seen, own))
			return diag_fail(EPERM, diag, NULL,
					 "it has %.200s of the host mounted, where rolegate's own "
					 "%s is (%.200s)",
					 path, ours[i].what, ours[i].path);
	}
	return 0;
}

int confinement_check(const struct oci_config *oci, const char *bundle, const struct config *config,
		      struct diag *diag)
{
	int r = check_netns(oci, config, diag);

	/* Root of another user namespace is nobody to the host's kernel, and to the control socket.
	 */
	if (r == 0 && !oci->has_user_namespace)
		r = check_privileges(oci, diag);
	/* But of its root's files it may be the owner: rolegate launch maps them. */
	for (size_t i = 0; r == 0 && i < oci->n_host_paths; i++)
		if (!oci->has_user_namespace || oci->host_paths[i] == oci->root_path)
			r = check_host_path(oci->host_paths[i], bundle, config, diag);
	return r;
}
