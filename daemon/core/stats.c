/*
 * stats: see stats.h.
 */
#include "core/stats.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

const struct counter_row stats_counters[] = {
#define COUNTER(name, unit, help) {#name, unit, help, offsetof(struct counters, name)},
#include "core/counters.def"
#undef COUNTER
};
const size_t stats_n_counters = ARRAY_SIZE(stats_counters);

void stats_mark(struct stats *stats, uint64_t queued, uint64_t active)
{
	if (queued > stats->max_queued)
		stats->max_queued = queued;
	if (active > stats->max_active)
		stats->max_active = active;
}

void times_attempt(struct times *times, uint64_t queued_us, uint64_t started_us, uint64_t ended_us)
{
	hist_add(&times->wait, started_us - queued_us);
	hist_add(&times->run, ended_us - started_us);
}

void times_clear(struct times *times)
{
	hist_clear(&times->wait);
	hist_clear(&times->run);
	hist_clear(&times->total);
}

void stats_reset_marks(struct stats *stats, uint64_t queued, uint64_t active)
{
	stats->max_queued = queued;
	stats->max_active = active;
	times_clear(&stats->times);
}

/* Moves on to the second of now_us; the cells of the seconds between are emptied. */
static void rate_move(struct rate *rate, uint64_t second)
{
	if (second <= rate->second)
		return;
	if (second - rate->second > STATS_RATE_SECONDS)
		memset(rate->cells, 0, sizeof rate->cells);
	else
		for (uint64_t s = rate->second + 1; s <= second; s++)
			rate->cells[s % ARRAY_SIZE(rate->cells)] = 0;
	rate->second = second;
}

void rate_add(struct rate *rate, uint64_t now_us)
{
	rate_move(rate, now_us / US_PER_SEC);
	rate->cells[rate->second % ARRAY_SIZE(rate->cells)]++;
}

double rate_over(const struct rate *rate, uint64_t now_us, unsigned seconds)
{
	uint64_t now_s = now_us / US_PER_SEC, sum = 0;

	for (unsigned back = 1; back <= seconds && back <= now_s; back++) {
		uint64_t s = now_s - back;

		if (s <= rate->second && rate->second - s <= STATS_RATE_SECONDS)
			sum += rate->cells[s % ARRAY_SIZE(rate->cells)];
	}
	return (double)sum / seconds;
}
