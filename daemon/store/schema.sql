-- The store's tables, version 2 (PRAGMA user_version; sqlite_db.c has the way here from every earlier version).
-- Times are the calendar's in microseconds, 0: not. A text that is not there is NULL.

-- Every task that has not been forgotten; which pool and handler it belongs to is told by name, so that one that is not configured any
-- more finds it again when it is. state: 1 queued, 2 delayed, 3 active, 4 done, 5 failed, 6 cancelled, 7 expired, 8 lost.
CREATE TABLE task (
	id INTEGER PRIMARY KEY,
	state INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	trials INTEGER NOT NULL,
	suspect INTEGER NOT NULL,
	seq INTEGER NOT NULL,      -- its place in the pool's queue
	queued INTEGER NOT NULL,
	started INTEGER NOT NULL,
	ended INTEGER NOT NULL,
	due INTEGER NOT NULL,      -- while it is delayed
	expires INTEGER NOT NULL,
	asked INTEGER NOT NULL,    -- it is active, and somebody has cancelled it
	reason TEXT,               -- of its end, or of its last attempt's; NULL: none has ended
	result TEXT,
	pool TEXT NOT NULL,
	handler TEXT NOT NULL,
	owner INTEGER NOT NULL,    -- user id
	priority INTEGER NOT NULL,
	retries INTEGER NOT NULL,
	posted INTEGER NOT NULL,
	timeout INTEGER NOT NULL,  -- microseconds, 0: none, as delay
	delay INTEGER NOT NULL,
	name TEXT,
	key TEXT,                  -- the unique key
	args TEXT                  -- NULL, too, when they stand in `large`
) STRICT;

-- Arguments of which a change of state should not write every byte again.
CREATE TABLE large (id INTEGER PRIMARY KEY, args TEXT NOT NULL) STRICT;

-- What is counted: owner "pool NAME" or "handler NAME", name a state of tasks that have ended or a counter. And owner "", name "last_id":
-- ids up to there were given away, when no task tells.
CREATE TABLE number (
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
