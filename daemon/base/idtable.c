/*
 * idtable: see idtable.h. Called by core/, for the tasks. Invariants: the pages are in order and each is in by_number; a page
 * counts its values; the last page may be empty, so that one task after another does not make and free it.
 */
#include "base/idtable.h"

#include <assert.h>
#include <errno.h>

#define PAGE_IDS 64u

struct idtable_page {
	TAILQ_ENTRY(idtable_page) link; /* in: table->pages */
	uint64_t number;                /* id / PAGE_IDS */
	size_t len;                     /* values that are not NULL */
	void *values[PAGE_IDS];         /* borrows */
};

TAILQ_HEAD(page_list, idtable_page);

/* by_number has no place for 0. */
static uint64_t key_of(uint64_t number)
{
	return number + 1;
}

static struct idtable_page *page_of(const struct idtable *table, uint64_t id)
{
	struct idtable_page *last = TAILQ_LAST(&table->pages, page_list);

	if (last != NULL && last->number == id / PAGE_IDS)
		return last;
	return idmap_find(&table->by_number, key_of(id / PAGE_IDS));
}

static void page_free(struct idtable *table, struct idtable_page *page)
{
	(void)idmap_remove(&table->by_number, key_of(page->number));
	TAILQ_REMOVE(&table->pages, page, link);
	free(page);
}

void idtable_init(struct idtable *table)
{
	*table = (struct idtable){.len = 0};
	idmap_init(&table->by_number);
	TAILQ_INIT(&table->pages);
}

void idtable_done(struct idtable *table)
{
	struct idtable_page *page;

	while ((page = TAILQ_FIRST(&table->pages)) != NULL)
		page_free(table, page);
	idmap_done(&table->by_number);
	idtable_init(table);
}

/* Behind the last one, which goes if it is empty. NULL: no memory. */
static struct idtable_page *page_new(struct idtable *table, uint64_t number)
{
	struct idtable_page *last = TAILQ_LAST(&table->pages, page_list);
	auto_free struct idtable_page *page = calloc(1, sizeof *page);

	if (page == NULL || idmap_add(&table->by_number, key_of(number), page) < 0)
		return NULL;
	page->number = number;
	if (last != NULL && last->len == 0)
		page_free(table, last);
	TAILQ_INSERT_TAIL(&table->pages, page, link);
	return take(page);
}

int idtable_add(struct idtable *table, uint64_t id, void *value)
{
	struct idtable_page *page = TAILQ_LAST(&table->pages, page_list);

	assert(value != NULL);
	if (id <= table->last)
		return -EEXIST;
	if (page == NULL || page->number != id / PAGE_IDS)
		page = page_new(table, id / PAGE_IDS);
	if (page == NULL)
		return -ENOMEM;
	page->values[id % PAGE_IDS] = value;
	page->len++;
	table->len++;
	table->last = id;
	return 0;
}

void *idtable_find(const struct idtable *table, uint64_t id)
{
	const struct idtable_page *page = page_of(table, id);

	return page != NULL ? page->values[id % PAGE_IDS] : NULL;
}

void *idtable_remove(struct idtable *table, uint64_t id)
{
	struct idtable_page *page = page_of(table, id);
	void *value = page != NULL ? page->values[id % PAGE_IDS] : NULL;

	if (value == NULL)
		return NULL;
	page->values[id % PAGE_IDS] = NULL;
	table->len--;
	if (--page->len == 0 && TAILQ_NEXT(page, link) != NULL)
		page_free(table, page);
	return value;
}

void *idtable_above(const struct idtable *table, uint64_t id)
{
	struct idtable_page *page = page_of(table, id), *first = TAILQ_FIRST(&table->pages);
	uint64_t from = id % PAGE_IDS + 1;

	/* Its page is gone: it was before all others, or the next one is looked for from the end, where most walks begin. */
	if (page == NULL && first != NULL && first->number > id / PAGE_IDS) {
		page = first;
		from = 0;
	} else if (page == NULL) {
		struct idtable_page *last = TAILQ_LAST(&table->pages, page_list);

		while (last != NULL && last->number > id / PAGE_IDS) {
			page = last;
			last = TAILQ_PREV(last, page_list, link);
		}
		from = 0;
	}
	for (; page != NULL; page = TAILQ_NEXT(page, link), from = 0)
		for (uint64_t i = from; page->len > 0 && i < PAGE_IDS; i++)
			if (page->values[i] != NULL)
				return page->values[i];
	return NULL;
}

void *idtable_below(const struct idtable *table, uint64_t id)
{
	struct idtable_page *page = page_of(table, id);
	uint64_t end = id % PAGE_IDS;

	if (page == NULL) {
		page = TAILQ_LAST(&table->pages, page_list);
		while (page != NULL && page->number > id / PAGE_IDS)
			page = TAILQ_PREV(page, page_list, link);
		end = PAGE_IDS;
	}
	for (; page != NULL; page = TAILQ_PREV(page, page_list, link), end = PAGE_IDS)
		for (uint64_t i = end; page->len > 0 && i-- > 0;)
			if (page->values[i] != NULL)
				return page->values[i];
	return NULL;
}
