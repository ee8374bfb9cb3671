/* rolegated: the metadata proxy. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "core/policy.h"
#include "rolegated/daemon.h"
#include "util/log.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static void print_help(void)
{
	printf("Usage: rolegated [--config FILE] [--check]\n"
	       "\n"
	       "Serves each registered container the instance metadata service, with the\n"
	       "credentials of that container's own IAM role. Needs rolegate-netd beside it.\n"
	       "\n"
	       "  --config FILE  configuration (default " CONFIG_DEFAULT_PATH ")\n"
	       "  --check        check configuration and policy, then exit\n"
	       "  --version      print the version\n"
	       "  --help         print this\n"
	       "\n"
	       "Signals: SIGHUP reloads configuration and policy; SIGTERM and SIGINT stop.\n"
	       "See rolegated(8), rolegate.conf(5), rolegate-policy(5).\n");
}

/* --check: what starting would read. */
static int check(const char *path)
{
	struct config config;
	struct diag diag = {0};

	int r = config_load(path, &config, &diag);
	if (r == 0) {
		r = daemon_check(path, &config, &diag);
		config_deinit(&config);
	}
	if (r < 0) {
		fprintf(stderr, "rolegated: %s\n", diag.text);
		return EXIT_FAILED;
	}
	printf("%s: configuration and policy are valid\n", path);
	return EXIT_DONE;
}

static int run(const char *path)
{
	struct config config;
	struct daemon *daemon = NULL;
	struct diag diag = {0};

	log_setup("rolegated", LOG_LEVEL_INFO, false);
	int r = config_load(path, &config, &diag);
	if (r == 0) {
		r = daemon_new(path, &config, &daemon, &diag);
		config_deinit(&config);
	}
	if (r < 0) {
		log_error(NULL, "%s", diag.text);
		return EXIT_FAILED;
	}
	r = daemon_run(daemon);
	daemon_free(daemon);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"check", no_argument, NULL, 'k'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *path = CONFIG_DEFAULT_PATH;
	bool check_only = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			check_only = true;
			break;
		case 'v':
			printf("rolegated %s\n", ROLEGATE_VERSION);
			return EXIT_DONE;
		case 'h':
			print_help();
			return EXIT_DONE;
		default:
			fprintf(stderr, "Try rolegated --help.\n");
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "rolegated: unexpected argument \"%s\"\nTry rolegated --help.\n",
			argv[optind]);
		return EXIT_USAGE;
	}
	return check_only ? check(path) : run(path);
}
