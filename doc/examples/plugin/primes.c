/*
 * primes: a plugin for workpoold that counts the primes below a number: {"below": 1000000} gives {"primes": 78498}.
 * It tells how far it is, ends soon when it is asked to, and takes one setting: the largest number that it works on.
 */
#include <stdlib.h>

#include "workpool-plugin.h"

#define BELOW_MAX 1000000000 /* what a client may ask for, whatever the setting is */
#define STEP      10000      /* numbers between two looks at the world */

struct primes {
	int64_t below_max;
};

static int start(const struct workpool_settings *settings, void **ret_state, char *ret_why)
{
	const char *text = workpool_setting(settings, "below_max");
	struct primes *primes = calloc(1, sizeof(*primes));

	if (primes == NULL)
		return -1;
	primes->below_max = text == NULL ? BELOW_MAX : atoll(text);
	if (primes->below_max < 2) {
		snprintf(ret_why, WORKPOOL_WHY_SIZE, "below_max is a number from 2 to %d", BELOW_MAX);
		free(primes);
		return -1;
	}
	*ret_state = primes;
	return 0;
}

static void stop(void *state)
{
	free(state);
}

static bool is_prime(int64_t n)
{
	for (int64_t d = 2; d * d <= n; d++) {
		if (n % d == 0)
			return false;
	}
	return n >= 2;
}

static void run(struct workpool_task *task)
{
	const struct primes *primes = workpool_task_state(task);
	int64_t below = 0, found = 0;

	workpool_task_int(task, "below", &below); /* required, and checked: it is there */
	if (below > primes->below_max) {
		workpool_task_failf(task, "too_large", "below is more than %lld, as below_max says",
			(long long)primes->below_max);
		return;
	}
	for (int64_t n = 0; n < below; n++) {
		if (n % STEP == 0) {
			if (workpool_task_cancelled(task))
				return; /* without a result: the task is cancelled */
			workpool_task_progress(task, (unsigned)(n * 1000 / below), NULL);
		}
		found += is_prime(n);
	}
	workpool_task_resultf(task, "{\"primes\":%lld}", (long long)found);
}

static const struct workpool_param params[] = {
	{
		.name = "below",
		.type = WORKPOOL_INT,
		.flags = WORKPOOL_REQUIRED,
		.min = 0,
		.max = BELOW_MAX,
		.text = "primes below this number are counted",
	},
};

const struct workpool_handler workpool_handler = {
	.abi = WORKPOOL_PLUGIN_ABI,
	.name = "primes",
	.text = "counts primes",
	.params = params,
	.n_params = sizeof(params) / sizeof(params[0]),
	.settings = "below_max",
	.start = start,
	.run = run,
	.stop = stop,
};
