/*
 * outcome: the line "id, state, running time, result or error" of an ended task. Called by verb_post.c and
 * verb_task.c. No titles: a script reads the lines as they come.
 */
#include "client/outcome.h"

#include <string.h>

#include "client/fault.h"
#include "client/json.h"

static const struct print_column result_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"run", "run_us", PRINT_US},
	{"result", "result", PRINT_JSON},
};

/* Where the fourth column is words: what is not "done". */
static const struct print_column error_columns[] = {
	{"id", "id", PRINT_TEXT},
	{"state", "state", PRINT_STATE},
	{"run", "run_us", PRINT_US},
	{"error", "error", PRINT_TEXT},
};

void outcome_init(struct outcome *outcome, struct print *print, bool propagate)
{
	*outcome = (struct outcome){
		.print = print,
		.table = PRINT_TABLE(result_columns),
		.propagate = propagate,
	};
	print->has_legend = false;
}

/* exec's result says how its program ended: {"exit": 3} or {"signal": 9}, the latter as shells number it. */
static int program_code(const json_t *task)
{
	json_int_t code = print_int(task, "result.exit");
	json_int_t signal = print_int(task, "result.signal");

	if (code > 0 && code < 256)
		return (int)code;
	if (signal > 0 && signal < 128)
		return 128 + (int)signal;
	return CODE_TASK;
}

int outcome_code(const json_t *task, bool propagate)
{
	if (strcmp(print_text(task, "state"), "done") == 0)
		return 0;
	return propagate ? program_code(task) : CODE_TASK;
}

int outcome_add(struct outcome *outcome, const json_t *task)
{
	bool is_done = strcmp(print_text(task, "state"), "done") == 0;

	if (outcome->code == 0)
		outcome->code = outcome_code(task, outcome->propagate);
	if (outcome->print->is_json)
		return 0;
	auto_json json_t *rows = json_pack("[O]", task);
	if (!rows)
		return fault_no_memory();
	outcome->table.columns = is_done ? result_columns : error_columns;
	int code = print_rows(outcome->print, &outcome->table, rows);
	return code ? code : print_flush(outcome->print);
}
