/* rolegate-netd: the one privileged program of rolegate. See rolegate-netd(8). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "privileged/isolate.h"
#include "rolegate-netd/host_guard.h"
#include "rolegate-netd/server.h"
#include "util/log.h"

#define PROGRAM "rolegate-netd"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage[] =
	"usage: " PROGRAM " [--config FILE] [--check]\n"
	"\n"
	"  --config FILE  read the configuration from FILE (" CONFIG_DEFAULT_PATH ")\n"
	"  --check        check the configuration and exit\n"
	"  --version      print the version and exit\n"
	"  --help         print this and exit\n";

struct arguments {
	const char *config_path;
	bool check;
};

/* Returns an exit status, or -1 to go on. */
static int parse_arguments(int argc, char *argv[], struct arguments *ret)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'C'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int option;

	*ret = (struct arguments){.config_path = CONFIG_DEFAULT_PATH};
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->config_path = optarg;
			break;
		case 'C':
			ret->check = true;
			break;
		case 'v':
			puts(PROGRAM " " ROLEGATE_VERSION);
			return EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, PROGRAM ": unexpected argument: %s\n%s", argv[optind], usage);
		return EXIT_USAGE;
	}
	return -1;
}

/* A program started with one of these closed would write its log into a container's socket. */
static void open_standard_streams(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

static void find_user(struct netd *netd)
{
	const struct passwd *user = getpwnam(NETD_USER);

	if (!user) {
		log_warning(NULL, "there is no user %s: only root is served", NETD_USER);
		return;
	}
	netd->user_uid = user->pw_uid;
	netd->user_gid = user->pw_gid;
}

/* From here on, in the order that the comment in privileged/isolate.h explains. */
static int start(struct netd *netd, struct diag *diag)
{
	int r = isolate_start(diag);
	if (r == 0)
		r = isolate_check(diag);
	if (r == 0)
		r = netns_hosts_init(&netd->hosts, diag);
	if (r == 0)
		r = loop_init(&netd->loop);
	if (r < 0)
		return r;
	find_user(netd);
	/* Before anybody can ask for anything: fail closed. */
	r = host_guard_apply(netd, diag);
	if (r == 0)
		r = server_open(netd, diag);
	if (r == 0)
		r = isolate_serve(diag);
	return r;
}

int main(int argc, char *argv[])
{
	struct netd netd = {.listen_fd = -1,
			    .signal_fd = -1,
			    .kept_fd = -1,
			    .guard.nft_fd = -1,
			    .loop.epoll_fd = -1};
	enum log_level level = LOG_LEVEL_INFO;
	struct arguments arguments;
	struct diag diag = {0};

	open_standard_streams();
	log_setup(PROGRAM, level, false);
	int status = parse_arguments(argc, argv, &arguments);
	if (status >= 0)
		return status;
	netd.config_path = arguments.config_path;
	if (config_load(netd.config_path, &netd.config, &diag) < 0) {
		log_error(NULL, "%s", diag.text);
		return EXIT_FAILED;
	}
	if (arguments.check) {
		printf("%s: the configuration is valid\n", arguments.config_path);
		config_deinit(&netd.config);
		return EXIT_OK;
	}
	(void)log_level_parse(netd.config.log.level, &level);
	log_setup(PROGRAM, level, netd.config.log.json);

	int r = start(&netd, &diag);
	if (r < 0)
		log_error(NULL, "cannot start: %s", diag.text[0] ? diag.text : strerror(-r));
	else
		r = server_run(&netd);
	server_close(&netd);
	config_deinit(&netd.config);
	return r < 0 ? EXIT_FAILED : EXIT_OK;
}
