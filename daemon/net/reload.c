/*
 * reload: see reload.h. Everything that can fail comes first; then settings, board, access and hosts are swapped in one go.
 */
#include "net/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/daemon.h"
#include "net/notify.h"
#include "net/peer.h"

static void reload_swap(struct daemon *daemon, struct settings *settings, struct access *access)
{
	struct settings *old = (struct settings *)daemon->settings;
	struct conn *conn;

	daemon->settings = settings;
	access_free(daemon->access);
	daemon->access = access;
	TAILQ_FOREACH (conn, &daemon->conns, in_all)
		peer_update(&conn->peer, access);
	log_set_level((enum log_level)settings->daemon.log_level);
	settings_free(old);
}

/* Settings that are ready to be used. */
static int reload_apply(struct daemon *daemon, struct settings *settings, char *ret_why)
{
	struct access *access;
	int r = config_apply_live(settings, daemon->settings, ret_why);

	if (r < 0)
		return r;
	r = access_new(settings, &access, ret_why, CONFIG_WHY_SIZE);
	if (r < 0)
		return r;
	r = board_reload(daemon->board, settings, daemon->cores);
	if (r < 0) {
		(void)snprintf(ret_why, CONFIG_WHY_SIZE, "out of memory");
		access_free(access);
		return r;
	}
	reload_swap(daemon, settings, access);
	return 0;
}

int reload_run(struct daemon *daemon, bool dry,
	int (*on_change)(void *user, const struct config_change *change), void *user,
	char ret_why[CONFIG_WHY_SIZE])
{
	struct settings *settings;
	int r = config_load(daemon->config_path, &settings, ret_why);

	if (r < 0)
		return r;
	(void)snprintf(ret_why, CONFIG_WHY_SIZE, "out of memory");
	r = config_diff(daemon->settings, settings, on_change, user);
	if (r == 0 && !dry)
		r = reload_apply(daemon, settings, ret_why);
	if (r < 0 || dry)
		settings_free(settings);
	return r;
}

static int log_change(void *user, const struct config_change *change)
{
	static const char *const effects[] = {[CHANGE_LIVE] = "",
		[CHANGE_RESTART] = " after a restart",
		[CHANGE_POOL_NEW] = "",
		[CHANGE_POOL_GONE] = ", its tasks run first"};

	(void)user;
	log_info("reload_change", "[%s]%s%s: %s -> %s%s", change->section,
		*change->key != '\0' ? " " : "", change->key, change->before, change->after,
		effects[change->kind]);
	return 0;
}

void reload_by_signal(struct daemon *daemon)
{
	char why[CONFIG_WHY_SIZE];
	int r;

	if (daemon->board->stop != STOP_RUNNING)
		return;
	daemon->now_us = clock_now_us();
	notify_reloading(daemon->notify);
	r = reload_run(daemon, false, log_change, NULL, why);
	if (r < 0)
		log_error("reload", "the configuration stays as it is: %s", why);
	else
		log_notice("reload", "the configuration was read again");
	notify_reloaded(daemon->notify);
}
