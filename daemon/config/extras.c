/*
 * extras: see extras.h. Called by build.c, rules.c, reload.c, config_show.c and config_write.c.
 * Invariants: no name twice; in the order in which they were said first.
 */
#include "config/extras.h"

#include <errno.h>
#include <string.h>

size_t extras_count(const struct extras *extras)
{
	return extras == NULL ? 0 : extras->n;
}

const struct extra *extras_find(const struct extras *extras, const char *name)
{
	for (size_t i = 0; i < extras_count(extras); i++) {
		if (strcmp(extras->at[i].name, name) == 0)
			return &extras->at[i];
	}
	return NULL;
}

static int add(struct extras *extras, const char *name, const char *value, struct origin origin)
{
	struct extra extra = {.name = strdup(name), .value = strdup(value), .origin = origin};

	if (extra.name == NULL || extra.value == NULL) {
		free(extra.name);
		free(extra.value);
		return -ENOMEM;
	}
	extras->at[extras->n++] = extra;
	return 0;
}

int extras_set(struct extras **extras, const char *name, const char *value, struct origin origin)
{
	struct extra *known = (struct extra *)(uintptr_t)extras_find(*extras, name);
	char *copy;

	if (*extras == NULL)
		*extras = calloc(1, sizeof(**extras));
	if (*extras == NULL)
		return -ENOMEM;
	if (known == NULL)
		return (*extras)->n < EXTRAS_MAX ? add(*extras, name, value, origin) : -E2BIG;
	copy = strdup(value);
	if (copy == NULL)
		return -ENOMEM;
	free(known->value);
	known->value = copy;
	known->origin = origin;
	return 0;
}

void extras_remove(struct extras *extras, size_t at)
{
	free(extras->at[at].name);
	free(extras->at[at].value);
	extras->n--;
	memmove(&extras->at[at], &extras->at[at + 1], (extras->n - at) * sizeof(extras->at[0]));
}

void extras_free(struct extras *extras)
{
	while (extras_count(extras) > 0)
		extras_remove(extras, extras->n - 1);
	free(extras);
}

int extras_adopt(struct extras **ret_extras, struct origins *origins, const struct extras *from,
	const struct origins *from_origins)
{
	struct extras *extras = NULL;
	int r = 0;

	for (size_t i = 0; i < extras_count(from) && r == 0; i++) {
		struct origin origin;

		r = origins_adopt(origins, from_origins, from->at[i].origin, &origin);
		if (r == 0)
			r = extras_set(&extras, from->at[i].name, from->at[i].value, origin);
	}
	if (r == 0)
		*ret_extras = extras;
	else
		extras_free(extras);
	return r;
}

int extras_write_lines(const struct extras *extras, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < extras_count(extras) && r == 0; i++)
		r = buf_printf(out, "%s=%s\n", extras->at[i].name, extras->at[i].value);
	return r;
}
