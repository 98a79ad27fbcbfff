/*
 * check_slot: workers come up, leave and come back; a busy one is never lost and never given twice.
 */
#include "core/slot.h"

#include "core_fixture.h"

static struct slots slots;
static struct task tasks[16]; /* only their addresses matter */
static char old_host, new_host;

static void setup(void)
{
	slots_init(&slots);
	ck_assert_int_eq(slots_resize(&slots, 4), 0);
}

static void teardown(void)
{
	slots_done(&slots);
}

static struct slot *take_for(unsigned i)
{
	struct slot *slot = slot_take(&slots, &tasks[i], 1, false);

	ck_assert_ptr_nonnull(slot);
	ck_assert_ptr_eq(slot->task, &tasks[i]);
	ck_assert_int_eq(slot->state, SLOT_BUSY);
	return slot;
}

static void expect(uint32_t n_free, uint32_t n_busy, uint32_t n_leaving)
{
	fixture_check_slots(&slots, n_busy);
	ck_assert_uint_eq(slots.n_free, n_free);
	ck_assert_uint_eq(slots.n_leaving, n_leaving);
}

START_TEST(test_slots_without_a_host_are_gone)
{
	expect(0, 0, 0);
	ck_assert_ptr_null(slot_take(&slots, &tasks[0], 1, false));
	ck_assert_ptr_null(slots_busy_of(&slots, &old_host));
}
END_TEST

START_TEST(test_slots_come_up_with_their_host)
{
	slots_up(&slots, &old_host);
	expect(4, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(take_for(i)->id, i);
	expect(0, 4, 0);
	ck_assert_ptr_null(slot_take(&slots, &tasks[4], 1, false));
}
END_TEST

START_TEST(test_slot_that_was_busy_last_is_taken_first)
{
	struct slot *slot;

	slots_up(&slots, &old_host);
	(void)take_for(0);
	slot = take_for(1);
	slot_release(&slots, slot);
	ck_assert_ptr_eq(take_for(2), slot);
	expect(2, 2, 0);
}
END_TEST

START_TEST(test_slots_shrink_takes_free_ones_at_once_and_busy_ones_when_they_end)
{
	struct slot *busy[4];

	slots_up(&slots, &old_host);
	for (unsigned i = 0; i < 4; i++)
		busy[i] = take_for(i);
	slot_release(&slots, busy[1]);
	ck_assert_int_eq(slots_resize(&slots, 1), 0);
	expect(0, 3, 2);
	slot_release(&slots, busy[3]);
	expect(0, 2, 1);
	ck_assert_ptr_null(slot_take(&slots, &tasks[4], 1, false));
	slot_release(&slots, busy[0]);
	expect(1, 1, 1);
	slot_release(&slots, busy[2]);
	expect(1, 0, 0);
}
END_TEST

START_TEST(test_slots_regrow_while_leaving_keeps_the_busy_one)
{
	struct slot *busy[4];

	slots_up(&slots, &old_host);
	for (unsigned i = 0; i < 4; i++)
		busy[i] = take_for(i);
	ck_assert_int_eq(slots_resize(&slots, 2), 0);
	expect(0, 4, 2);
	ck_assert_int_eq(slots_resize(&slots, 3), 0);
	expect(0, 4, 1);
	slot_release(&slots, busy[2]); /* stays after all */
	expect(1, 3, 1);
	ck_assert_int_eq(slots_resize(&slots, 6), 0);
	expect(3, 3, 0);
	ck_assert_ptr_eq(busy[3]->task, &tasks[3]);
	slot_release(&slots, busy[3]);
	expect(4, 2, 0);
}
END_TEST

START_TEST(test_slots_resize_to_the_limits)
{
	slots_up(&slots, &old_host);
	ck_assert_int_eq(slots_resize(&slots, SETTINGS_WORKERS_MAX), 0);
	expect(SETTINGS_WORKERS_MAX, 0, 0);
	ck_assert_int_eq(slots_resize(&slots, 1), 0);
	expect(1, 0, 0);
	ck_assert_uint_eq(take_for(0)->id, 0);
	ck_assert_int_eq(slots_resize(&slots, SETTINGS_WORKERS_MAX), 0);
	expect(SETTINGS_WORKERS_MAX - 1, 1, 0);
}
END_TEST

START_TEST(test_slots_down_leaves_busy_ones_to_be_ended)
{
	struct slot *slot;

	slots_up(&slots, &old_host);
	(void)take_for(0);
	(void)take_for(1);
	slots_down(&slots, &old_host);
	expect(0, 2, 0);
	for (unsigned n = 0; n < 2; n++) {
		slot = slots_busy_of(&slots, &old_host);
		ck_assert_ptr_nonnull(slot);
		slot_release(&slots, slot);
	}
	ck_assert_ptr_null(slots_busy_of(&slots, &old_host));
	expect(0, 0, 0);
	slots_up(&slots, &new_host);
	expect(4, 0, 0);
}
END_TEST

START_TEST(test_slots_a_new_host_takes_over_when_the_old_ones_tasks_end)
{
	struct slot *slow, *other;

	slots_up(&slots, &old_host);
	slow = take_for(0);
	slots_down(&slots, &old_host); /* condemned: no new tasks */
	slots_up(&slots, &new_host);
	expect(3, 1, 0);
	ck_assert_ptr_eq(slow->host, &old_host);
	other = take_for(1);
	ck_assert_ptr_eq(other->host, &new_host);
	ck_assert_ptr_eq(slots_busy_of(&slots, &old_host), slow);
	ck_assert_ptr_eq(slots_busy_of(&slots, &new_host), other);
	slot_release(&slots, slow);
	ck_assert_ptr_eq(slow->host, &new_host);
	expect(3, 1, 0);
	slots_down(&slots, &old_host); /* the old one dies: nothing is its any more */
	expect(3, 1, 0);
}
END_TEST

START_TEST(test_slots_down_of_a_stranger_changes_nothing)
{
	slots_up(&slots, &old_host);
	(void)take_for(0);
	slots_down(&slots, &new_host);
	expect(3, 1, 0);
	ck_assert_ptr_eq(slots.host, &old_host);
}
END_TEST

START_TEST(test_slot_released_without_a_host_is_gone)
{
	struct slot *slot;

	slots_up(&slots, &old_host);
	slot = take_for(0);
	slots_down(&slots, &old_host);
	slot_release(&slots, slot);
	ck_assert_int_eq(slot->state, SLOT_GONE);
	expect(0, 0, 0);
	ck_assert_int_eq(slots_resize(&slots, 2), 0);
	slots_up(&slots, &new_host);
	expect(2, 0, 0);
}
END_TEST

START_TEST(test_slots_each_with_a_host_of_its_own)
{
	char hosts[6];
	struct slot *slot;

	ck_assert(!slots_has_host(&slots));
	slot_up(&slots, 2, &hosts[2]);
	expect(1, 0, 0);
	ck_assert(slots_has_host(&slots));
	slot = take_for(0);
	ck_assert_uint_eq(slot->id, 2);
	ck_assert_ptr_eq(slot->host, &hosts[2]);
	ck_assert_ptr_null(slot_take(&slots, &tasks[1], 1, false));
	slot_up(&slots, 0, &hosts[0]);
	slots_down(&slots, &hosts[2]); /* its task stays */
	expect(1, 1, 0);
	slot_release(&slots, slot);
	expect(1, 0, 0);
	slot_up(&slots, 2, &hosts[2]);
	expect(2, 0, 0);
	/* Workers that are new have no host. */
	ck_assert_int_eq(slots_resize(&slots, 6), 0);
	expect(2, 0, 0);
	slot_up(&slots, 5, &hosts[5]);
	expect(3, 0, 0);
	ck_assert_int_eq(slots_resize(&slots, 1), 0);
	expect(1, 0, 0);
	slots_down(&slots, &hosts[0]);
	expect(0, 0, 0);
	ck_assert(!slots_has_host(&slots)); /* those that left do not count */
}
END_TEST

START_TEST(test_slots_down_all_leaves_busy_ones_and_the_host_for_suspects)
{
	struct slot *own, *alone;

	slots_up(&slots, &old_host);
	slots_alone_up(&slots, &new_host);
	alone = slot_take(&slots, &tasks[0], 1, true);
	ck_assert_ptr_eq(alone->host, &new_host);
	own = take_for(1);
	slots_down_all(&slots);
	expect(0, 2, 0);
	ck_assert_ptr_eq(slots.alone, &new_host);
	slot_up(&slots, own->id, &new_host);
	slot_release(&slots, own);
	slot_release(&slots, alone);
	expect(1, 0, 0);
	ck_assert_ptr_eq(own->host, &new_host);
}
END_TEST

int main(void)
{
	TCase *tcase = tcase_create("slot");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_slots_without_a_host_are_gone);
	tcase_add_test(tcase, test_slots_come_up_with_their_host);
	tcase_add_test(tcase, test_slot_that_was_busy_last_is_taken_first);
	tcase_add_test(
		tcase, test_slots_shrink_takes_free_ones_at_once_and_busy_ones_when_they_end);
	tcase_add_test(tcase, test_slots_regrow_while_leaving_keeps_the_busy_one);
	tcase_add_test(tcase, test_slots_resize_to_the_limits);
	tcase_add_test(tcase, test_slots_down_leaves_busy_ones_to_be_ended);
	tcase_add_test(tcase, test_slots_a_new_host_takes_over_when_the_old_ones_tasks_end);
	tcase_add_test(tcase, test_slots_down_of_a_stranger_changes_nothing);
	tcase_add_test(tcase, test_slot_released_without_a_host_is_gone);
	tcase_add_test(tcase, test_slots_each_with_a_host_of_its_own);
	tcase_add_test(tcase, test_slots_down_all_leaves_busy_ones_and_the_host_for_suspects);
	return fixture_run("slot", tcase);
}
