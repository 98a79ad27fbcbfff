/*
 * main: options, configuration, one struct daemon, turns until it is done. net/turn.c is the function to read next.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>

#include "base/cell.h"
#include "base/log.h"
#include "config/config.h"
#include "net/daemon.h"
#include "net/peer.h"
#include "net/turn.h"
#include "root/offline.h"
#include "root/root.h"

struct options {
	const char *config; /* NULL: none */
	const char *socket; /* NULL: what the configuration says */
	bool check_only;
	enum offline_act act; /* with the store's file, instead of running */
	const char *file;     /* that one; NULL: the configuration's */
};

enum option_value {
	OPTION_CONFIG = 'c',
	OPTION_SOCKET = 's',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_CHECK = 256,
	OPTION_STORE /* and those behind it, by enum offline_act */
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"check-config", no_argument, NULL, OPTION_CHECK},
	{"store-check", no_argument, NULL, OPTION_STORE + OFFLINE_CHECK},
	{"store-export", no_argument, NULL, OPTION_STORE + OFFLINE_EXPORT},
	{"store-import", no_argument, NULL, OPTION_STORE + OFFLINE_IMPORT},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

static const char help[] =
	"Usage: workpoold [OPTION]... [FILE]\n"
	"Runs tasks in pools with a bounded number of workers; wpctl(1) talks to it.\n"
	"\n"
	"  -c, --config FILE   read FILE and FILE's conf.d/*.conf; without it every default holds\n"
	"  -s, --socket PATH   listen there, whatever the configuration says\n"
	"      --check-config  only read the configuration; exit status 78 if it is wrong\n"
	"      --store-check   only look at the store's file, while no daemon has it, and tell\n"
	"                      what is in it or what is wrong; exit status 65 if it is damaged\n"
	"      --store-export  only write all of it to standard output, as JSON lines\n"
	"      --store-import  only read such lines from standard input into it, all or none\n"
	"                      FILE behind one of these: that one, not the configuration's\n"
	"  -h, --help          this text\n"
	"  -V, --version       the version\n"
	"\n"
	"It stays in the foreground. SIGTERM and SIGINT stop it in order, a second one at once.\n"
	"See workpoold(8), workpoold.conf(5).\n";

/* -1: go on, else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:s:hV", long_options, NULL)) != -1) {
		if (c == OPTION_CONFIG)
			options->config = optarg;
		else if (c == OPTION_SOCKET)
			options->socket = optarg;
		else if (c == OPTION_CHECK)
			options->check_only = true;
		else if (c > OPTION_STORE)
			options->act = (enum offline_act)(c - OPTION_STORE);
		else if (c == OPTION_HELP)
			return fputs(help, stdout) < 0 ? EX_IOERR : 0;
		else if (c == OPTION_VERSION)
			return printf("workpoold %s\n", PACKAGE_VERSION) < 0 ? EX_IOERR : 0;
		else
			return EX_USAGE;
	}
	if (options->act != OFFLINE_NONE && optind < argc)
		options->file = argv[optind++];
	if (optind < argc) {
		(void)fprintf(stderr,
			"workpoold: \"%s\": no argument is expected (--help tells the options)\n",
			argv[optind]);
		return EX_USAGE;
	}
	return -1;
}

/* The file was read; what is left to check are the users and groups that it names. */
static int check_config(struct settings *settings)
{
	char why[CONFIG_WHY_SIZE];
	struct access *access;
	int r = access_new(settings, &access, why, sizeof why);

	if (r == 0)
		access_free(access);
	else
		(void)fprintf(stderr, "workpoold: %s\n", why);
	settings_free(settings);
	return r == 0 ? 0 : EX_CONFIG;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct settings *settings;
	struct store *store = NULL;
	struct daemon daemon = {0};
	char why[CONFIG_WHY_SIZE + STORE_WHY_SIZE];
	int r = parse_options(argc, argv, &options);

	/* Before the first secret: programs of tasks may be of the same user, and memory is not for them to see. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (r >= 0)
		return r;
	if (config_load(options.config, &settings, why) < 0) {
		(void)fprintf(stderr, "workpoold: %s\n", why);
		return EX_CONFIG;
	}
	/* Before the first tree: whoever took a block gives it back. */
	json_set_alloc_funcs(cell_alloc, cell_free);
	if (options.check_only)
		return check_config(settings);
	if (options.act != OFFLINE_NONE) {
		r = offline_run(options.act, settings, options.file);
		settings_free(settings);
		return r;
	}
	log_open((enum log_target)settings->daemon.log, "workpoold");
	log_set_level((enum log_level)settings->daemon.log_level);
	daemon.settings = settings; /* root_close() frees them, whatever comes */
	r = store_open(settings, &store, why);
	if (r == 0)
		r = root_open(&daemon, settings, store, options.socket, why, sizeof why);
	if (r < 0) {
		log_error("start", "%s", r == -ENOMEM ? "out of memory" : why);
		daemon.exit_code = r == -ESRCH                      ? EX_CONFIG
				   : r == -EUCLEAN || r == -ENOTSUP ? EX_DATAERR
								    : EX_UNAVAILABLE;
		daemon.done = true;
	}
	daemon.config_path = options.config;
	while (!daemon.done)
		turn_once(&daemon);
	root_close(&daemon);
	return daemon.exit_code;
}
