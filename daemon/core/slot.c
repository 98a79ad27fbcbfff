/*
 * slot: see slot.h.
 */
#include "core/slot.h"

#include <assert.h>
#include <errno.h>

void slots_init(struct slots *slots)
{
	*slots = (struct slots){0};
	TAILQ_INIT(&slots->free);
}

void slots_done(struct slots *slots)
{
	for (uint32_t i = 0; i < slots->len; i++)
		free(slots->all[i]);
	free(slots->all);
	slots_init(slots);
}

static void slot_come_up(struct slots *slots, struct slot *slot)
{
	if (slot->state != SLOT_GONE || slots->host == NULL || slot->id >= slots->workers)
		return;
	slot->state = SLOT_FREE;
	slot->host = slots->host;
	slots->n_free++;
	TAILQ_INSERT_TAIL(&slots->free, slot, link);
}

static void slot_go_free(struct slots *slots, struct slot *slot)
{
	TAILQ_REMOVE(&slots->free, slot, link);
	slots->n_free--;
	slot->state = SLOT_GONE;
	slot->host = NULL;
}

int slots_reserve(struct slots *slots, uint32_t len)
{
	struct slot **all;

	if (len <= slots->len)
		return 0;
	all = realloc(slots->all, len * sizeof *all);
	if (all == NULL)
		return -ENOMEM;
	slots->all = all;
	while (slots->len < len) {
		struct slot *slot = calloc(1, sizeof *slot);

		if (slot == NULL)
			return -ENOMEM; /* those that were made stay, gone: harmless */
		slot->id = slots->len;
		slots->all[slots->len++] = slot;
	}
	return 0;
}

int slots_resize(struct slots *slots, uint32_t workers)
{
	int r = slots_reserve(slots, workers);

	if (r < 0)
		return r;
	slots->workers = workers;
	slots->n_leaving = 0;
	for (uint32_t i = 0; i < slots->len; i++) {
		struct slot *slot = slots->all[i];

		if (slot->state == SLOT_FREE && i >= workers)
			slot_go_free(slots, slot);
		else if (slot->state == SLOT_BUSY && i >= workers)
			slots->n_leaving++;
		else
			slot_come_up(slots, slot);
	}
	return 0;
}

void slots_up(struct slots *slots, void *host)
{
	slots->host = host;
	for (uint32_t i = 0; i < slots->len; i++)
		slot_come_up(slots, slots->all[i]);
}

void slots_alone_up(struct slots *slots, void *host)
{
	slots->alone = host;
}

void slots_down(struct slots *slots, void *host)
{
	if (slots->host == host)
		slots->host = NULL;
	if (slots->alone == host)
		slots->alone = NULL;
	for (uint32_t i = 0; i < slots->len; i++)
		if (slots->all[i]->state == SLOT_FREE && slots->all[i]->host == host)
			slot_go_free(slots, slots->all[i]);
}

struct slot *slots_busy_of(const struct slots *slots, const void *host)
{
	for (uint32_t i = 0; i < slots->len; i++)
		if (slots->all[i]->state == SLOT_BUSY && slots->all[i]->host == host)
			return slots->all[i];
	return NULL;
}

uint32_t slots_count_of(const struct slots *slots, const void *host)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < slots->len; i++)
		n += slots->all[i]->state == SLOT_BUSY && slots->all[i]->host == host;
	return n;
}

bool slots_can_run_alone(const struct slots *slots)
{
	return slots->alone != NULL && slots->alone_busy == 0;
}

struct slot *slot_take(struct slots *slots, struct task *task, void *host)
{
	struct slot *slot = TAILQ_FIRST(&slots->free);

	if (slot == NULL)
		return NULL;
	TAILQ_REMOVE(&slots->free, slot, link);
	slots->n_free--;
	slots->n_busy++;
	slot->state = SLOT_BUSY;
	slot->task = task;
	slot->host = host;
	slot->is_alone = host == slots->alone;
	slots->alone_busy += slot->is_alone;
	return slot;
}

void slot_release(struct slots *slots, struct slot *slot)
{
	bool stays = slot->id < slots->workers && slot->host == slots->host;

	assert(slot->state == SLOT_BUSY);
	slots->n_busy--;
	slots->alone_busy -= slot->is_alone;
	slot->is_alone = false;
	if (slot->id >= slots->workers)
		slots->n_leaving--;
	slot->task = NULL;
	slot->state = SLOT_GONE;
	if (!stays)
		slot->host = NULL;
	slot_come_up(slots, slot); /* with the present host, if it has one */
	if (slot->state == SLOT_FREE && stays) {
		/* Last in, first out: the thread that was busy a moment ago is the warm one. */
		TAILQ_REMOVE(&slots->free, slot, link);
		TAILQ_INSERT_HEAD(&slots->free, slot, link);
	}
}
