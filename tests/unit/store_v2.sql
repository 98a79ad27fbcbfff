-- A file of version 2, as sqlite3 reads it.
PRAGMA auto_vacuum = 2;
CREATE TABLE task (
	id INTEGER PRIMARY KEY,
	state INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	trials INTEGER NOT NULL,
	suspect INTEGER NOT NULL,
	seq INTEGER NOT NULL,      
	queued INTEGER NOT NULL,
	started INTEGER NOT NULL,
	ended INTEGER NOT NULL,
	due INTEGER NOT NULL,      
	expires INTEGER NOT NULL,
	asked INTEGER NOT NULL,    
	reason TEXT,               
	result TEXT,
	pool TEXT NOT NULL,
	handler TEXT NOT NULL,
	owner INTEGER NOT NULL,    
	priority INTEGER NOT NULL,
	retries INTEGER NOT NULL,
	posted INTEGER NOT NULL,
	timeout INTEGER NOT NULL,  
	delay INTEGER NOT NULL,
	name TEXT,
	key TEXT,                  
	args TEXT                  
) STRICT;
CREATE TABLE large (id INTEGER PRIMARY KEY, args TEXT NOT NULL) STRICT;
CREATE TABLE number (
	owner TEXT NOT NULL,
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
INSERT INTO task VALUES (1, 4, 1, 0, 0, 0, 0, 1, 1700000000000001, 1700000000000002, 1700000000000003, 0, 0, 0, '', '{"n":1}', 'default', 'sleep', 1000, 5, 0, 1700000000000000, 60000000, 0, 'first', NULL, '{"ms":1}');
INSERT INTO task VALUES (2, 1, 1, 1, 0, 0, 0, 2, 1700000000000001, 0, 0, 0, 0, 0, 'failed', '{"error":"no"}', 'default', 'sleep', 1000, 0, 3, 1700000000000000, 0, 0, NULL, 'key', NULL);
INSERT INTO large VALUES (2, '{"ms":2}');
INSERT INTO task VALUES (3, 2, 0, 0, 0, 0, 0, 0, 1700000000000000, 0, 0, 1700000005000000, 1700000009000000, 0, NULL, NULL, 'default', 'sleep', 1000, 9, 0, 1700000000000000, 0, 5000000, NULL, NULL, NULL);
INSERT INTO number VALUES ('', 'last_id', 50), ('pool default', 'done', 41), ('pool default', 'refused', 7), ('pool default', 'of_a_later_version', 1),
	('handler sleep', 'done', 41), ('pool gone', 'done', 3);
PRAGMA application_id = 2003529836;
PRAGMA user_version = 2;
PRAGMA journal_mode = WAL;
