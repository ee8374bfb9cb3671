#include "launch/network.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch/cni_plugin.h"
#include "launch/report.h"
#include "util/buf.h"
#include "util/fd.h"
#include "util/file.h"
#include "wire/cni_config.h"
#include "wire/cni_list.h"

#define NETWORKS_DIR "/etc/cni/net.d"
#define NETWORKS_MAX 16
#define RESULT_MAX ((size_t)1024 * 1024)

static void allow_low_ports(void)
{
	_cleanup_fd_ int fd =
		open("/proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "0", 1) < 0)
		return; /* an old kernel: then it needs the capability */
}

/* In the child. */
static void keep(int ready_fd, pid_t parent)
{
	sigset_t all;
	char byte = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "rolegate-netns");
	if (getppid() != parent)
		_exit(1);
	if (unshare(CLONE_NEWNET) < 0)
		byte = (char)errno;
	else
		allow_low_ports();
	if (write(ready_fd, &byte, 1) != 1 || byte != 0)
		_exit(1);
	(void)fd_close(ready_fd);
	/* Signals of the terminal are the launcher's to see. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
}

int network_open(struct network *ret, struct diag *diag)
{
	int fds[2];
	char byte;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return diag_fail(errno, diag, NULL, "cannot make a pipe: %s", strerror(errno));
	_cleanup_fd_ int read_fd = fds[0], write_fd = fds[1];
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		keep(write_fd, parent);
	if (pid < 0)
		return diag_fail(errno, diag, NULL, "cannot fork: %s", strerror(errno));
	*ret = (struct network){.keeper = pid};
	snprintf(ret->path, sizeof(ret->path), "/proc/%d/ns/net", (int)pid);
	write_fd = fd_close(write_fd);
	if (read(read_fd, &byte, 1) != 1)
		byte = EIO;
	if (byte == 0)
		return 0;
	network_close(ret);
	return diag_fail(byte, diag, NULL, "cannot make a network namespace: %s", strerror(byte));
}

void network_close(struct network *network)
{
	if (network->keeper <= 0)
		return;
	(void)kill(network->keeper, SIGKILL);
	(void)waitpid(network->keeper, NULL, 0);
	*network = (struct network){0};
}

/* The file that a list's name stands for; its text. */
static int read_list(const char *list, char **ret_text, size_t *ret_len, struct diag *diag)
{
	static const char *const endings[] = {"conflist", "conf"};
	char path[512];
	int r = -ENOENT;

	if (list[0] == '/')
		r = file_read(list, CNI_CONFIG_MAX, ret_text, ret_len);
	for (size_t i = 0; list[0] != '/' && !strchr(list, '/') && r == -ENOENT && i < 2; i++) {
		snprintf(path, sizeof(path), NETWORKS_DIR "/%.256s.%s", list, endings[i]);
		r = file_read(path, CNI_CONFIG_MAX, ret_text, ret_len);
	}
	return r < 0 ? diag_fail(-r, diag, "network", "network %.128s: %s", list, strerror(-r)) : 0;
}

static int load_list(const char *list, struct cni_list **ret, char **ret_text, size_t *ret_len,
		     struct diag *diag)
{
	struct diag why = {0};

	int r = read_list(list, ret_text, ret_len, diag);
	if (r < 0)
		return r;
	r = cni_list_parse(*ret_text, *ret_len, ret, &why);
	return r < 0 ? diag_fail(-r, diag, "network", "network %.128s: %s", list, why.text) : 0;
}

static int call(const char *command, const char *id, const char *netns, size_t n,
		const struct cni_list *list, size_t i, const char *prev_result, struct buf *out,
		struct diag *diag)
{
	_cleanup_buf_ struct buf input = {0};
	char interface[16];

	snprintf(interface, sizeof(interface), "eth%zu", n);
	int r = cni_list_print(list, i, prev_result, &input);
	if (r < 0)
		return diag_fail(-r, diag, "network", "the answer of the plugin before %s is none",
				 cni_list_type(list, i));
	const struct cni_plugin_call plugin = {
		.command = command,
		.type = cni_list_type(list, i),
		.id = id,
		.netns = netns,
		.interface = interface,
		.input = &input,
	};
	return cni_plugin_run(&plugin, out, diag);
}

/* DEL of the plugins [0, n), backwards. */
static void undo(const char *id, const char *netns, size_t index, const struct cni_list *list,
		 size_t n, const char *result)
{
	while (n-- > 0) {
		_cleanup_buf_ struct buf out = {0};
		struct diag diag = {0};
		if (call("DEL", id, netns, index, list, n, result, &out, &diag) < 0)
			report_warning("container %s: network %s: %s", id, cni_list_name(list),
				       diag.text);
	}
}

int network_connect(struct network *network, const char *id, const char *name,
		    const struct launch_state *state, struct diag *diag)
{
	_cleanup_cni_list_ struct cni_list *list = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_buf_ struct buf result = {0};
	char file[32];
	size_t len, i;

	if (network->n_networks >= NETWORKS_MAX)
		return diag_fail(E2BIG, diag, "network", "more than %d networks", NETWORKS_MAX);
	int r = load_list(name, &list, &text, &len, diag);
	if (r < 0)
		return r;
	/* Before anything is done: so that a reaper knows what to undo. */
	snprintf(file, sizeof(file), "cni-%zu", network->n_networks);
	r = file_write_atomic(state->dir_fd, file, text, len, 0600);
	if (r < 0)
		return diag_fail(-r, diag, NULL, "%s/%s: %s", state->dir, file, strerror(-r));
	for (i = 0; r == 0 && i < cni_list_size(list); i++) {
		_cleanup_buf_ struct buf out = {0};
		r = call("ADD", id, network->path, network->n_networks, list, i, result.data, &out,
			 diag);
		if (r < 0)
			break;
		buf_reset(&result);
		buf_puts(&result, out.data ? out.data : "");
	}
	if (r == 0) {
		snprintf(file, sizeof(file), "cni-%zu.result", network->n_networks);
		r = file_write_atomic(state->dir_fd, file, result.data, result.len, 0600);
		network->n_networks++;
		return r < 0 ? diag_fail(-r, diag, NULL, "%s/%s: %s", state->dir, file,
					 strerror(-r))
			     : 0;
	}
	undo(id, network->path, network->n_networks, list, i + 1, NULL);
	return r;
}

void network_disconnect(const char *id, const char *netns, const struct launch_state *state)
{
	for (size_t n = NETWORKS_MAX; n-- > 0;) {
		_cleanup_cni_list_ struct cni_list *list = NULL;
		_cleanup_free_ char *text = NULL, *result = NULL;
		char file[32];
		size_t len;
		snprintf(file, sizeof(file), "cni-%zu", n);
		if (file_read_at(state->dir_fd, file, CNI_CONFIG_MAX, &text, &len) < 0 ||
		    cni_list_parse(text, len, &list, NULL) < 0)
			continue;
		snprintf(file, sizeof(file), "cni-%zu.result", n);
		(void)file_read_at(state->dir_fd, file, RESULT_MAX, &result, NULL);
		undo(id, netns, n, list, cni_list_size(list), result);
		(void)unlinkat(state->dir_fd, file, 0);
		snprintf(file, sizeof(file), "cni-%zu", n);
		(void)unlinkat(state->dir_fd, file, 0);
	}
}
