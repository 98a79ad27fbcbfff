/*
 * tojson_types: what the interface description says of what tojson makes.
 */
#include "api/tojson.h"

#define STATES                                                                                     \
	"  queued: int,\n  delayed: int,\n  active: int,\n  done: int,\n  failed: int,\n"          \
	"  cancelled: int,\n  expired: int,\n  lost: int,\n"
#define COUNTER(name, unit, help) "  " #name ": int,\n"

const char tojson_types[] =
	"# Where a task is: from delayed or queued to active to one of the ends.\n"
	"type TaskState (queued, delayed, active, done, failed, cancelled, expired, lost)\n\n"

	"# How far a task is, as its handler tells it: thousandths, and a few words.\n"
	"type Progress (permille: int, note: ?string)\n\n"

	"# A task. Times are seconds since the epoch; args, error, result and unique are shown to "
	"its "
	"owner and to admins.\n"
	"# attempt: starts so far. failures: attempts that failed, of which retries are forgiven. "
	"crashes: attempts that\n"
	"# ended with their program or host. suspect: it was in a host when it died, and runs "
	"alone "
	"next. asked: why its\n"
	"# worker was asked to end it. wait_us and run_us are of the last attempt. While it waits "
	"for another attempt,\n"
	"# reason, error and result are the last one's, and due_at is when its pause ends.\n"
	"type Task (\n  id: string,\n  name: ?string,\n  pool: string,\n  handler: string,\n"
	"  state: TaskState,\n  priority: int,\n  attempt: int,\n  retries: int,\n"
	"  failures: int,\n  crashes: int,\n  suspect: bool,\n"
	"  asked: ?(cancel, timeout, shutdown),\n  worker: ?int,\n  owner: int,\n"
	"  posted_at: float,\n  due_at: ?float,\n  expires_at: ?float,\n  started_at: ?float,\n"
	"  ended_at: ?float,\n  wait_us: int,\n  run_us: ?int,\n  timeout_ms: ?int,\n"
	"  progress: ?Progress,\n  reason: ?string,\n  error: ?string,\n  unique: ?string,\n"
	"  args: ?object,\n  result: ?object\n)\n\n"

	"# What became of one id. was: the task's state before.\n"
	"type Outcome (id: string, was: ?TaskState, result: string)\n\n"

	"# The daemon, and who asks: role and uid are the caller's. active and max_active are of "
	"all "
	"pools; max_active 0: no cap.\n"
	"type Daemon (\n  version: string,\n  pid: int,\n  state: string,\n  started_at: float,\n"
	"  uptime_ms: int,\n  role: string,\n  uid: int,\n  connections: int,\n"
	"  max_connections: int,\n  refused_connections: int,\n  active: int,\n"
	"  max_active: int,\n  store: Store,\n  sandbox: ?Sandbox\n)\n\n"

	"# What programs of tasks are kept from on this kernel, and what they cannot be kept from. "
	"landlock: its ABI; 0: the kernel has\n"
	"# none. Not there before a host is up.\n"
	"type Sandbox (landlock: int, on: []string, off: []string)\n\n"

	"# Where tasks are kept. All but type, oldest and error only if they are in a file. size: "
	"bytes on disk, of which used are not\n"
	"# free for the next posts; used stays below max_size. Since the start: posts that were "
	"written down, commits, and those of them that\n"
	"# waited for the disk. unknown_tasks: kept, but their pool or handler is not configured. "
	"oldest: the first task that has not\n"
	"# ended. error: why it takes no posts.\n"
	"type Store (\n  type: (memory, sqlite),\n  path: ?string,\n  size: ?int,\n  used: ?int,\n "
	" max_size: ?int,\n"
	"  posts: ?int,\n  commits: ?int,\n  flushes: ?int,\n  flushes_per_post: ?float,\n  "
	"last_flush_us: ?int,\n"
	"  flush_us: ?Times,\n  unknown_tasks: ?int,\n  oldest: ?(id: string, age_ms: int),\n  "
	"error: ?string\n)\n\n"

	"# Microseconds, since the last ResetMarks.\n"
	"type Times (count: int, mean: int, p50: int, p90: int, p99: int, max: int)\n\n"

	"# A pool. posted = queued + delayed + active + done + failed + cancelled + expired + "
	"lost, "
	"in every reply.\n"
	"# room: posts that wait until there is room; they are not posted yet. host_error: why no "
	"host comes up, or which handler it\n"
	"# cannot run.\n"
	"type Pool (\n  name: string,\n  workers: int,\n  workers_rule: string,\n  leaving: int,\n"
	"  capacity: int,\n  paused: bool,\n  host: string,\n  host_pid: ?int,\n"
	"  host_restarts: int,\n  host_error: ?string,\n  room: int,\n" STATES
#include "core/counters.def"
	"  max_queued: int,\n  max_active: int,\n  rate_1s: float,\n  rate_1min: float,\n"
	"  wait_us: Times,\n  run_us: Times,\n  total_us: Times\n)\n\n"

	"# What something outside bears. active: the weights of active tasks together. 0: no cap, "
	"no "
	"limit. failures: in a row,\n"
	"# while the breaker is closed. until: while it is open, when a task may try.\n"
	"type Resource (\n  name: string,\n  max_active: int,\n  active: int,\n  rate: int,\n"
	"  burst: int,\n  breaker: (closed, open, half_open),\n  failures: int,\n"
	"  until: ?float\n)\n\n"

	"# A parameter of a handler's args.\n"
	"type Param (name: string, type: string, required: bool, min: ?int, max: ?int, words: "
	"?string, text: string)\n\n"

	"# A handler: what tasks are posted for. priority, retries, expires_ms and timeout_ms are "
	"for "
	"posts that say nothing.\n"
	"# refused: why its pool's host cannot run it.\n"
	"type Handler (\n  name: string,\n  type: string,\n  pool: string,\n  text: string,\n"
	"  refused: ?string,\n"
	"  timeout_ms: int,\n  priority: int,\n  retries: int,\n  expires_ms: int,\n"
	"  crash_max: int,\n  max_active: int,\n  weight: int,\n  unique: (join, refuse),\n"
	"  resources: []string,\n" STATES
	"  wait_us: Times,\n  run_us: Times,\n  total_us: Times,\n  params: []Param\n)\n";
