/* check_heap: order, removal anywhere, and random commands against a plain list. */
#include <check.h>
#include <stdlib.h>

#include "base/heap.h"

#define MANY 600

static uint32_t random_state = 12345;

/* The same numbers in every run: a failure can be seen again. */
static uint32_t next_random(uint32_t below)
{
	random_state = random_state * 1664525u + 1013904223u;
	return (random_state >> 8) % below;
}

static void check_invariants(const struct heap *heap)
{
	for (size_t i = 0; i < heap->len; i++) {
		const struct heap_node *node = heap->nodes[i];
		const struct heap_node *parent = heap->nodes[i ? (i - 1) / 2 : 0];
		ck_assert_uint_eq(node->at, i + 1);
		ck_assert(parent->key < node->key ||
			  (parent->key == node->key && parent->seq <= node->seq));
	}
}

START_TEST(test_heap_new_one_has_no_min)
{
	struct heap heap;

	heap_init(&heap);
	ck_assert_ptr_null(heap_min(&heap));
	heap_done(&heap);
	heap_done(&heap);
}
END_TEST

START_TEST(test_heap_pops_equal_keys_in_order_of_seq)
{
	struct heap_node nodes[MANY] = {0};
	struct heap heap;

	heap_init(&heap);
	/* 7 is no divisor of MANY - 1: all numbers once, well mixed. */
	for (uint64_t i = 0; i < MANY; i++)
		ck_assert_int_eq(heap_insert(&heap, &nodes[i], 5, i * 7 % MANY), 0);
	for (uint64_t seq = 0; heap.len > 0; seq++) {
		if (seq >= MANY)
			ck_abort_msg("more nodes than were inserted");
		ck_assert_uint_eq(heap_min(&heap)->seq, seq);
		heap_remove(&heap, heap_min(&heap));
	}
	heap_done(&heap);
}
END_TEST

START_TEST(test_heap_pops_keys_from_zero_to_the_largest)
{
	static const uint64_t keys[] = {UINT64_MAX, 0, 1, UINT64_MAX - 1, UINT64_C(1) << 63};
	static const uint64_t sorted[] = {0, 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
	struct heap_node nodes[ARRAY_SIZE(keys)] = {0};
	struct heap heap;

	heap_init(&heap);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ck_assert_int_eq(heap_insert(&heap, &nodes[i], keys[i], i), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++) {
		ck_assert_uint_eq(heap_min(&heap)->key, sorted[i]);
		heap_remove(&heap, heap_min(&heap));
	}
	ck_assert_ptr_null(heap_min(&heap));
	heap_done(&heap);
}
END_TEST

START_TEST(test_heap_remove_of_a_stranger_does_nothing)
{
	struct heap_node in = {0}, out = {0};
	struct heap heap;

	heap_init(&heap);
	ck_assert_int_eq(heap_insert(&heap, &in, 1, 1), 0);
	heap_remove(&heap, &out);
	ck_assert_uint_eq(heap.len, 1);
	heap_remove(&heap, &in);
	heap_remove(&heap, &in);
	ck_assert_uint_eq(heap.len, 0);
	heap_done(&heap);
}
END_TEST

START_TEST(test_heap_member_knows_that_it_is_one)
{
	struct heap_node node = {0};
	struct heap heap;

	heap_init(&heap);
	ck_assert(!heap_is_member(&node));
	ck_assert_int_eq(heap_insert(&heap, &node, 1, 1), 0);
	ck_assert(heap_is_member(&node));
	heap_remove(&heap, &node);
	ck_assert(!heap_is_member(&node));
	heap_done(&heap);
}
END_TEST

START_TEST(test_heap_done_lets_its_nodes_go)
{
	struct heap_node nodes[3] = {0};
	struct heap heap;

	heap_init(&heap);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(heap_insert(&heap, &nodes[i], i, i), 0);
	heap_done(&heap);
	for (size_t i = 0; i < 3; i++)
		ck_assert(!heap_is_member(&nodes[i]));
}
END_TEST

/* The least member of a plain array: what heap_min() has to say. */
static const struct heap_node *least_of(const struct heap_node *nodes, size_t n)
{
	const struct heap_node *least = NULL;

	for (size_t i = 0; i < n; i++) {
		if (!heap_is_member(&nodes[i]))
			continue;
		if (!least || nodes[i].key < least->key ||
			(nodes[i].key == least->key && nodes[i].seq < least->seq))
			least = &nodes[i];
	}
	return least;
}

START_TEST(test_heap_agrees_with_a_plain_list_for_random_commands)
{
	struct heap_node nodes[MANY] = {0};
	size_t members = 0;
	struct heap heap;

	heap_init(&heap);
	for (uint64_t step = 0; step < 20000; step++) {
		struct heap_node *node = &nodes[next_random(MANY)];
		if (next_random(8) == 0)
			node = heap_min(&heap) ? heap_min(&heap) : node;
		if (heap_is_member(node)) {
			heap_remove(&heap, node);
			members--;
		} else {
			ck_assert_int_eq(heap_insert(&heap, node, next_random(50), step), 0);
			members++;
		}
		ck_assert_uint_eq(heap.len, members);
		ck_assert_ptr_eq(heap_min(&heap), least_of(nodes, MANY));
		if (step % 64 == 0)
			check_invariants(&heap);
	}
	heap_done(&heap);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("heap");
	TCase *tcase = tcase_create("heap");

	tcase_add_test(tcase, test_heap_new_one_has_no_min);
	tcase_add_test(tcase, test_heap_pops_equal_keys_in_order_of_seq);
	tcase_add_test(tcase, test_heap_pops_keys_from_zero_to_the_largest);
	tcase_add_test(tcase, test_heap_remove_of_a_stranger_does_nothing);
	tcase_add_test(tcase, test_heap_member_knows_that_it_is_one);
	tcase_add_test(tcase, test_heap_done_lets_its_nodes_go);
	tcase_add_test(tcase, test_heap_agrees_with_a_plain_list_for_random_commands);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
