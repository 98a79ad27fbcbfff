/*
 * signals: see signals.h. libevent hands them to the loop, so the handlers below are ordinary callbacks.
 */
#include "net/signals.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/daemon.h"
#include "net/hostlink.h"
#include "net/reload.h"
#include "net/stop.h"

static void on_stop(evutil_socket_t signal, short what, void *arg)
{
	(void)what;
	stop_by_signal(arg, signal);
}

static void on_reload(evutil_socket_t signal, short what, void *arg)
{
	(void)signal;
	(void)what;
	reload_by_signal(arg);
}

static void take_stop(struct daemon *daemon, pid_t pid)
{
	siginfo_t info = {0};

	if (waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == pid)
		hostlink_on_stop(daemon, pid); /* else it goes on already, or has ended */
}

static void take_end(struct daemon *daemon, pid_t pid)
{
	int status;

	hostlink_on_end(pid);
	if (waitpid(pid, &status, 0) == pid && !hostlink_on_exit(daemon, pid, status))
		log_debug("child", "a process that is no host ended: pid %d", (int)pid);
}

static void on_child(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *daemon = arg;
	siginfo_t info = {0};

	(void)signal;
	(void)what;
	daemon->now_us = clock_now_us();
	/* Looked at first: when it has been waited for, its number may be somebody else's. */
	while (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
		info.si_pid > 0) {
		if (info.si_code == CLD_STOPPED)
			take_stop(daemon, info.si_pid);
		else
			take_end(daemon, info.si_pid);
		info.si_pid = 0;
	}
}

static const struct {
	int signal;
	event_callback_fn fire;
} rows[] = {
	{SIGTERM, on_stop},
	{SIGINT, on_stop},
	{SIGHUP, on_reload},
	{SIGCHLD, on_child},
};

struct signals {
	struct event *events[ARRAY_SIZE(rows)]; /* owns */
};

int signals_new(struct daemon *daemon, struct signals **ret_signals)
{
	struct signals *signals = calloc(1, sizeof *signals);

	if (signals == NULL)
		return -ENOMEM;
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		signals->events[i] =
			evsignal_new(daemon->base, rows[i].signal, rows[i].fire, daemon);
		if (signals->events[i] == NULL || event_add(signals->events[i], NULL) < 0) {
			signals_free(signals);
			return -ENOMEM;
		}
	}
	*ret_signals = signals;
	return 0;
}

void signals_free(struct signals *signals)
{
	if (signals == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (signals->events[i] != NULL)
			event_free(signals->events[i]);
	free(signals);
}
