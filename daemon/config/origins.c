/*
 * origins: see origins.h.
 */
#include "config/origins.h"

#include <errno.h>
#include <string.h>

struct origins *origins_new(void)
{
	return calloc(1, sizeof(struct origins));
}

void origins_free(struct origins *origins)
{
	if (origins == NULL)
		return;
	for (uint32_t i = 0; i < origins->n_files; i++)
		free(origins->files[i]);
	free(origins->files);
	free(origins->sections);
	free(origins);
}

int origins_add_file(struct origins *origins, const char *name, uint32_t *ret_file)
{
	auto_free char *copy = strdup(name);
	char **files;

	if (copy == NULL)
		return -ENOMEM;
	files = reallocarray(origins->files, origins->n_files + 1, sizeof(*files));
	if (files == NULL)
		return -ENOMEM;
	origins->files = files;
	files[origins->n_files++] = take(copy);
	*ret_file = origins->n_files;
	return 0;
}

struct origin_section *origins_find(
	const struct origins *origins, enum config_scope scope, size_t at)
{
	for (size_t i = 0; origins != NULL && i < origins->n_sections; i++) {
		struct origin_section *section = &origins->sections[i];

		if (section->scope == scope && section->at == at)
			return section;
	}
	return NULL;
}

int origins_enter(struct origins *origins, enum config_scope scope, size_t at,
	struct origin_section **ret_section)
{
	struct origin_section *sections = origins->sections;
	struct origin_section *found = origins_find(origins, scope, at);

	if (found != NULL) {
		*ret_section = found;
		return 0;
	}
	if (origins->n_sections == origins->cap_sections) {
		size_t cap = origins->cap_sections > 0 ? origins->cap_sections * 2 : 8;

		sections = reallocarray(sections, cap, sizeof(*sections));
		if (sections == NULL)
			return -ENOMEM;
		origins->sections = sections;
		origins->cap_sections = cap;
	}
	sections[origins->n_sections] = (struct origin_section){.scope = scope, .at = at};
	*ret_section = &sections[origins->n_sections++];
	return 0;
}

int origins_adopt(struct origins *origins, const struct origins *from, struct origin origin,
	struct origin *ret_origin)
{
	int r = 0;

	if (origin.file != 0) {
		const char *name = from->files[origin.file - 1];
		uint32_t i = 0;

		while (i < origins->n_files && strcmp(origins->files[i], name) != 0)
			i++;
		origin.file = i + 1;
		if (i == origins->n_files)
			r = origins_add_file(origins, name, &origin.file);
	}
	if (r == 0)
		*ret_origin = origin;
	return r;
}

int origins_write(const struct origins *origins, struct origin origin, struct buf *out)
{
	if (origin.file == 0)
		return buf_printf(out, "default");
	if (origin.line == 0)
		return buf_printf(out, "%s", origins->files[origin.file - 1]);
	return buf_printf(out, "%s:%u", origins->files[origin.file - 1], (unsigned)origin.line);
}
