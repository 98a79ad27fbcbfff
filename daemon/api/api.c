/*
 * api: see api.h.
 */
#include "api/api.h"

#include <errno.h>

#include "api/call.h"
#include "api/hdef.h"
#include "api/takeback.h"
#include "api/tasklog.h"
#include "net/daemon.h"
#include "net/hostlink.h"

int api_open(struct daemon *daemon)
{
	struct api *api = calloc(1, sizeof *api);

	if (api == NULL)
		return -ENOMEM;
	TAILQ_INIT(&api->dead);
	TAILQ_INIT(&api->follows);
	api->hdefs = calloc(daemon->settings->n_handlers, sizeof *api->hdefs);
	if (api->hdefs == NULL) {
		free(api);
		return -ENOMEM;
	}
	scan_init(&api->scan);
	daemon->api = api;
	daemon->hooks = (struct hooks){
		.on_message = call_on_message,
		.on_take_back = takeback_on_take_back,
		.on_conn_gone = call_on_conn_gone,
		.on_hello = hdef_on_hello,
		.on_host_gone = hdef_forget,
		.on_log = tasklog_on_log,
		.on_sweep = call_sweep,
	};
	return 0;
}

void api_close(struct daemon *daemon)
{
	struct api *api = daemon->api;

	if (api == NULL)
		return;
	call_sweep(daemon);
	tasklog_close(api);
	for (size_t i = 0; i < daemon->settings->n_handlers; i++)
		hdef_done(&api->hdefs[i]);
	free(api->hdefs);
	scan_done(&api->scan);
	free(api->sandbox.on);
	free(api->sandbox.off);
	free(api);
	daemon->api = NULL;
}
