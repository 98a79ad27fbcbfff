/*
 * fuzz_config: any bytes as a configuration file. Either they are refused with one clean line that
 * names the file, or the settings that come out keep their promises: no NULL strings, pools that
 * exist, host lines one a key.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static void check_why(const char why[CONFIG_WHY_SIZE])
{
	must(strncmp(why, "fuzz:", 5) == 0);
	for (const char *c = why; *c != '\0'; c++)
		must(isprint((unsigned char)*c));
}

/* One line a key, though values come from outside. */
static void check_host_lines(
	const struct settings *settings, const struct settings_handler *handler)
{
	struct buf out;
	struct view lines;

	buf_init(&out, 65536);
	must(config_write_host_lines(settings, handler, &out) == 0);
	lines = buf_view(&out);
	must(lines.len > 0 && lines.data[lines.len - 1] == '\n');
	while (lines.len > 0) {
		size_t n =
			(size_t)((const char *)memchr(lines.data, '\n', lines.len) - lines.data) +
			1;

		must(memchr(lines.data, '=', n) != NULL && memchr(lines.data, '\0', n) == NULL);
		lines = (struct view){lines.data + n, lines.len - n};
	}
	buf_done(&out);
}

/* What a value is written as, is read as the same. */
static void check_values(const struct settings_handler *handler)
{
	size_t n;
	const struct config_key *keys = keys_table(&n);
	struct settings_handler copy = {0};

	for (size_t i = 0; i < n; i++) {
		struct buf one, two;

		if (keys[i].scope != CONFIG_HANDLER)
			continue;
		buf_init(&one, 65536);
		buf_init(&two, 65536);
		must(value_write_text(&keys[i], handler, &one) == 0 &&
			buf_append(&one, "", 1) == 0);
		must(value_set(&keys[i], &copy, buf_view(&one).data) == 0);
		must(value_write_text(&keys[i], &copy, &two) == 0 && buf_append(&two, "", 1) == 0);
		must(strcmp(buf_view(&one).data, buf_view(&two).data) == 0);
		value_unset(&keys[i], &copy);
		buf_done(&one);
		buf_done(&two);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[CONFIG_WHY_SIZE];
	struct settings *settings = NULL;

	if (config_load_text((struct view){(const char *)data, size}, "fuzz", &settings, why) < 0) {
		must(settings == NULL);
		check_why(why);
		return 0;
	}
	must(settings_find_pool(settings, "default") != NULL);
	for (size_t i = 0; i < settings->n_handlers; i++) {
		must(settings_find_pool(settings, settings->handlers[i].pool) != NULL);
		check_host_lines(settings, &settings->handlers[i]);
		if (i < 16)
			check_values(&settings->handlers[i]);
	}
	settings_free(settings);
	return 0;
}
