/*
 * fuzz_params: whatever object comes, fields are within the table's ranges after 0 and there is
 * a reason after -EINVAL. The first byte chooses what the table of a (hostile) host would say:
 * type, flags, range; the rest is JSON.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "wire/json.h"
#include "wire/param.h"

struct values {
	bool flag;
	int64_t count;
	const char *name;
	const char *mode;
	json_t *list;
	json_t *args;
	json_t *any;
};

static const struct param table[] = {
	{"flag", PARAM_BOOL, 0, offsetof(struct values, flag), 0, 0, NULL, ""},
	{"count", PARAM_INT, 0, offsetof(struct values, count), -5, 1024, NULL, ""},
	{"name", PARAM_STRING, 0, offsetof(struct values, name), 1, 8, NULL, ""},
	{"mode", PARAM_ENUM, 0, offsetof(struct values, mode), 0, 0, "drain finish now", ""},
	{"list", PARAM_STRINGS, 0, offsetof(struct values, list), 0, 3, NULL, ""},
	{"args", PARAM_OBJECT, 0, offsetof(struct values, args), 0, 0, NULL, ""},
	{"any", PARAM_ANY, PARAM_REQUIRED, offsetof(struct values, any), 0, 0, NULL, ""},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_reason(int r, const char *name, const char *why)
{
	must(r == 0 || r == -EINVAL);
	must((r == 0) == (name == NULL));
	must((r == 0) == (why[0] == '\0'));
	must(strnlen(why, PARAM_WHY_SIZE) < PARAM_WHY_SIZE && str_is_utf8(view_of(why)));
}

static void check_values(const struct values *values)
{
	must(values->count >= -5 && values->count <= 1024);
	must(strlen(values->name) >= 1 && strlen(values->name) <= 8);
	must(strcmp(values->mode, "drain") == 0 || strcmp(values->mode, "finish") == 0 ||
		strcmp(values->mode, "now") == 0);
	must(!values->list || (json_is_array(values->list) && json_array_size(values->list) <= 3));
	must(!values->args || json_is_object(values->args));
	must(values->any && !json_is_null(values->any));
}

static void check_fixed_table(const json_t *object)
{
	struct values values = {.count = 1, .name = "d", .mode = "now"};
	char why[PARAM_WHY_SIZE] = "", again_why[PARAM_WHY_SIZE] = "";
	const char *name = NULL, *again = NULL;

	int r = param_read(object, table, ARRAY_SIZE(table), &values, &name, why);
	check_reason(r, name, why);
	if (r == 0)
		check_values(&values);
	/* Only to check, it comes to the same. */
	must(param_read(object, table, ARRAY_SIZE(table), NULL, &again, again_why) == r);
	must(name == again && strcmp(why, again_why) == 0);
}

/* A table of one row whose type is any byte and whose words are what the input is. */
static void check_foreign_table(const json_t *object, uint8_t choice, const char *words)
{
	char why[PARAM_WHY_SIZE] = "";
	const char *name = NULL;
	struct param param = {
		.name = "any",
		.type = (enum param_type)(choice & 15),
		.flags = choice >> 7,
		.offset = PARAM_NO_FIELD,
		.min = choice & 64 ? INT64_MIN : choice,
		.max = choice & 32 ? INT64_MAX : -choice,
		.words = choice & 16 ? words : NULL,
	};

	check_reason(param_read(object, &param, 1, NULL, &name, why), name, why);
	must(param_type_name(param.type)[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[JSON_WHY_SIZE] = "";
	auto_json json_t *json = NULL;

	if (size < 1)
		return 0;
	struct view text = {(const char *)data + 1, size - 1};
	if (json_parse(text, &json, why) < 0 || !json_is_object(json))
		return 0;
	auto_free char *words = mem_dup(text.data, text.len);
	must(words != NULL);
	check_fixed_table(json);
	check_foreign_table(json, data[0], words);
	return 0;
}
