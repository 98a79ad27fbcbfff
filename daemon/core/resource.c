/*
 * resource: see resource.h. All lanes that wait are woken together when there is something to give: each looks again and
 * steps aside again if it is not for it, so that priorities decide and not the order of waiting. There are at most as many
 * as handlers times pools.
 */
#include "core/resource.h"

#include "base/clock.h"
#include "core/board.h"
#include "core/queue.h"

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_SEC UINT64_C(1000000000)
#define PAUSE_MAX_US                                                                               \
	(60 * US_PER_SEC) /* a pause doubles up to this, unless it is configured longer */

static void resource_on_wake(struct deadline *wake, uint64_t now_us)
{
	(void)now_us;
	resource_wake(container_of(wake, struct resource, wake));
}

void resource_init(
	struct resource *resource, struct board *board, const char *name, enum resource_kind kind)
{
	*resource = (struct resource){.board = board, .name = name, .kind = kind};
	resource->limits.burst = 1;
	deadline_init(&resource->wake, resource_on_wake);
	TAILQ_INIT(&resource->waiting);
}

static void breaker_close(struct resource *resource)
{
	if (resource->breaker != BREAKER_CLOSED)
		board_notice(resource->board,
			&(struct notice){.kind = NOTICE_BREAKER_CLOSED, .resource = resource});
	resource->breaker = BREAKER_CLOSED;
	resource->failures = 0;
	resource->pause_us = 0;
	resource_wake(resource);
}

static void breaker_open(struct resource *resource, uint64_t now_us)
{
	uint64_t first_us = resource->limits.breaker_pause_us;
	uint64_t most_us = first_us > PAUSE_MAX_US ? first_us : PAUSE_MAX_US;
	uint64_t pause_us = resource->pause_us > 0 ? 2 * resource->pause_us : first_us;

	if (resource->breaker == BREAKER_CLOSED)
		board_notice(resource->board,
			&(struct notice){.kind = NOTICE_BREAKER_OPEN, .resource = resource});
	resource->breaker = BREAKER_OPEN;
	resource->failures = 0;
	resource->pause_us = pause_us < most_us ? pause_us : most_us;
	resource->trial_at_us = now_us + resource->pause_us;
}

void resource_set_limits(struct resource *resource, const struct resource_limits *limits)
{
	uint64_t rate = resource->limits.rate;

	resource->limits = *limits;
	if (rate != limits->rate)
		resource->full_at_ns = 0;
	if (limits->breaker_failures == 0)
		breaker_close(resource);
	resource_wake(resource);
}

static uint64_t interval_ns(const struct resource *resource)
{
	return NS_PER_SEC / resource->limits.rate;
}

/* When the bucket has a token again. */
static uint64_t token_at_us(const struct resource *resource)
{
	uint64_t slack_ns = (resource->limits.burst - 1) * interval_ns(resource);

	if (resource->full_at_ns <= slack_ns)
		return 0;
	return (resource->full_at_ns - slack_ns + NS_PER_US - 1) / NS_PER_US;
}

enum hold resource_check(
	const struct resource *resource, uint64_t weight, uint64_t now_us, uint64_t *ret_until_us)
{
	const struct resource_limits *limits = &resource->limits;

	*ret_until_us = UINT64_MAX;
	if (resource->breaker == BREAKER_HALF_OPEN)
		return HOLD_BREAKER;
	if (resource->breaker == BREAKER_OPEN && now_us < resource->trial_at_us) {
		*ret_until_us = resource->trial_at_us;
		return HOLD_BREAKER;
	}
	if (limits->max_active > 0 && resource->active + weight > limits->max_active)
		return HOLD_CAP;
	if (limits->rate > 0 && token_at_us(resource) > now_us) {
		*ret_until_us = token_at_us(resource);
		return HOLD_RATE;
	}
	return HOLD_NOT;
}

void resource_take(struct resource *resource, uint64_t id, uint64_t weight, uint64_t now_us)
{
	uint64_t now_ns = now_us * NS_PER_US;

	resource->active += weight;
	if (resource->limits.rate > 0)
		resource->full_at_ns =
			(resource->full_at_ns > now_ns ? resource->full_at_ns : now_ns) +
			interval_ns(resource);
	if (resource->breaker == BREAKER_OPEN) {
		resource->breaker = BREAKER_HALF_OPEN;
		resource->trial = id;
	}
}

bool resource_is_trial(const struct resource *resource, uint64_t id)
{
	return resource->breaker == BREAKER_HALF_OPEN && resource->trial == id;
}

/* A trial that told nothing: the next task may try at once. */
static void breaker_end_trial(struct resource *resource, uint64_t id)
{
	if (resource_is_trial(resource, id))
		resource->breaker = BREAKER_OPEN;
}

void resource_give_back(struct resource *resource, uint64_t id, uint64_t weight)
{
	breaker_end_trial(resource, id);
	resource->active -= weight;
	resource_wake(resource);
}

void resource_take_back(struct resource *resource, uint64_t id, uint64_t weight)
{
	if (resource->limits.rate > 0 && resource->full_at_ns >= interval_ns(resource))
		resource->full_at_ns -= interval_ns(resource);
	resource_give_back(resource, id, weight);
}

bool resource_note(struct resource *resource, uint64_t id, bool is_ok, uint64_t now_us)
{
	bool is_trial = resource_is_trial(resource, id);
	bool was_closed = resource->breaker == BREAKER_CLOSED;

	if (resource->limits.breaker_failures == 0)
		return false;
	if (is_ok) {
		if (was_closed || is_trial)
			breaker_close(resource);
		return false;
	}
	if (is_trial || (was_closed && ++resource->failures >= resource->limits.breaker_failures))
		breaker_open(resource, now_us);
	return !was_closed;
}

int resource_wake_at(struct resource *resource, uint64_t until_us)
{
	if (until_us == UINT64_MAX ||
		(deadline_is_set(&resource->wake) && deadline_at(&resource->wake) <= until_us))
		return 0;
	return deadline_set(&resource->board->deadlines, &resource->wake, until_us);
}

void resource_wake(struct resource *resource)
{
	struct lane *lane;

	while ((lane = TAILQ_FIRST(&resource->waiting)) != NULL) {
		TAILQ_REMOVE(&resource->waiting, lane, in_waiting);
		lane_release(lane);
	}
}
