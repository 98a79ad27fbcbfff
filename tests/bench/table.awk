# table.awk: Markdown from the figures of tests/bench/run, whose lines are, parted by tabs:
#   repetition condition test system ops/s p50 p99 CPU-us/op:server,host,all others'-CPU-% flushes/op
#   memory-bytes-each wake-ups/op server-MiB host-MiB bytes-on-disk
# Ratios are made within a repetition, where both sides saw the same machine, and then their median
# is taken. Plain POSIX awk: Debian's default is mawk.

function sort_values(n,    i, k, x)
{
	for (i = 2; i <= n; i++) {
		x = values[i]
		for (k = i - 1; k > 0 && values[k] > x; k--)
			values[k + 1] = values[k]
		values[k + 1] = x
	}
}

function digits(x)
{
	return sprintf(x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x)
}

# values[1 .. n] as "median (min–max)", a single one as it is, "-" if there is none; the median alone
# in `middle`.
function spread(n)
{
	middle = ""
	if (n == 0)
		return "-"
	sort_values(n)
	middle = n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
	if (n == 1)
		return digits(middle)
	return digits(middle) " (" digits(values[1]) "–" digits(values[n]) ")"
}

# Whether something of a repetition was measured; `quiet`: while other programs did not disturb it.
function counts(key, column, quiet)
{
	return (key, column) in figures && figures[key, column] != "-" && !(quiet && key in loud)
}

# Undisturbed repetitions, or all of them if there is none.
function figure(condition, test, who, column, scale,    rep, n, key, quiet)
{
	for (quiet = 1; quiet >= 0 && n == 0; quiet--)
		for (rep = 1; rep <= reps; rep++) {
			key = condition SUBSEP test SUBSEP who SUBSEP rep
			if (counts(key, column, quiet))
				values[++n] = figures[key, column] / scale
		}
	return spread(n)
}

# The same of both sides. Leaves how many there were in `n_ratios`, the least and the most in `values`.
function ratio(condition, test, who, other, column,    rep, n, a, b, quiet)
{
	for (quiet = 1; quiet >= 0 && n == 0; quiet--)
		for (rep = 1; rep <= reps; rep++) {
			a = condition SUBSEP test SUBSEP who SUBSEP rep
			b = condition SUBSEP test SUBSEP other SUBSEP rep
			if (counts(a, column, quiet) && counts(b, column, quiet) && figures[b, column] > 0)
				values[++n] = figures[a, column] / figures[b, column]
		}
	n_ratios = n + 0
	return spread(n)
}

# "÷ itself" says nothing.
function compared(condition, test, who, column,    i, out)
{
	for (i = 1; i <= n_others; i++)
		out = out " " (others[i] == who ? "-" : ratio(condition, test, who, others[i], column)) " |"
	return out
}

function rule(line)
{
	print line
	gsub(/[^|]+/, "---", line)
	print line
}

# `shown`: columns of a table, parted by ";", each its heading, its place in the line, and what it is
# divided by. Ratios to each of `against` are of the column `by`.
function table(condition, test, title, shown, against, by,    i, k, n, who, line, cells, cell)
{
	if (!((condition, test) in has))
		return
	print "\n" title "\n"
	n = split(shown, cells, ";")
	n_others = split(against, others, " ")
	line = "| system |"
	for (k = 1; k <= n; k++) {
		split(cells[k], cell, ":")
		line = line " " cell[1] " |"
	}
	for (i = 1; i <= n_others; i++)
		line = line " ÷ " others[i] " |"
	rule(line)
	for (i = 1; i <= n_systems[test]; i++) {
		who = systems[test, i]
		line = "| " who " |"
		for (k = 1; k <= n; k++) {
			split(cells[k], cell, ":")
			line = line " " figure(condition, test, who, cell[2], cell[3]) " |"
		}
		print line compared(condition, test, who, by)
	}
}

# The tests of one kind, each with a number of workers at the end of its name: ours beside another's by one column.
# cpu: the columns of theirs and of ours that tell CPU time.
function table_by_workers(condition, kind, title, other, shown,    i, n, cell, test, is_begun)
{
	split(shown, cell, ":")
	for (i = 1; i <= n_tests; i++) {
		test = tests[i]
		n = test
		if (sub("^" kind "-", "", n) == 0 || n !~ /^[0-9]+$/ || !((condition, test) in has))
			continue
		if (!is_begun++) {
			print "\n" title "\n"
			rule("| workers | " other ", " cell[1] " | workpoold | workpoold ÷ " other \
				" | " other ", CPU us/task, all | workpoold, daemon | hosts |")
		}
		print "| " n " | " figure(condition, test, other, cell[2], cell[3]) " | " \
			figure(condition, test, "workpoold", cell[2], cell[3]) " | " \
			ratio(condition, test, "workpoold", other, cell[2]) " | " \
			figure(condition, test, other, 10, 1) " | " \
			figure(condition, test, "workpoold", 8, 1) " | " \
			figure(condition, test, "workpoold", 9, 1) " |"
	}
}

function ratio_beside(condition, who)
{
	return "| " who " | " figure(condition, "connections", who, 13, 1) " | " \
		figure(condition, "connections", who ",alone", 6, 1) " | " \
		figure(condition, "connections", who, 6, 1) " | " \
		ratio(condition, "connections", who, who ",alone", 6) " |"
}

function table_connections(condition,    i, who)
{
	if (!((condition, "connections") in has))
		return
	print "\n" connections " connections that say nothing, and a client with one post outstanding.\n"
	rule("| system | memory bytes/connection | p50 us without them | with them | ÷ without |")
	for (i = 1; i <= n_systems["connections"]; i++) {
		who = systems["connections", i]
		if (who !~ /,alone$/)
			print ratio_beside(condition, who)
	}
}

function tables_in_memory(condition,    cpu, cycle)
{
	cpu = ";CPU us/op, daemon:8:1;hosts:9:1;all:10:1"
	cycle = "k/s:5:1000" cpu
	table(condition, "latency", "Latency: one client, one post outstanding, until its answer.",
		"p50 us:6:1;p99 us:7:1" cpu, "echo beanstalkd redis", 6)
	table(condition, "throughput", "Throughput: posts answered, one client, 128 outstanding.",
		"k/s:5:1000" cpu, "echo beanstalkd redis", 5)
	table(condition, "throughput-8", "Throughput: posts answered, 8 clients, each with one outstanding.",
		"k/s:5:1000;p50 us:6:1;p99 us:7:1" cpu, "echo beanstalkd redis gearmand", 5)
	table(condition, "result", "Result: one task outstanding, until its poster knows that it has ended.",
		"p50 us:6:1;p99 us:7:1" cpu, "beanstalkd redis gearmand workpoold,post", 6)
	table(condition, "cycle-1", "No-op cycle with 1 worker: post, take, end; 128 posts outstanding.",
		cycle, "beanstalkd redis", 5)
	table(condition, "cycle-6", "No-op cycle with 6 workers.", cycle, "beanstalkd redis gearmand", 5)
	table(condition, "cycle-64", "No-op cycle with 64 workers.", cycle, "beanstalkd redis", 5)
	table(condition, "outside-6", "No-op cycle with 6 workers that are processes outside.",
		cycle, "beanstalkd redis gearmand", 5)
	table_by_workers(condition, "exec", "Programs (/bin/true) started and ended.", "xargs", "tasks/s:5:1")
	table_connections(condition)
}

function tables_of_finds(    i)
{
	table_by_workers("free", "mongo", "100 finds of " 200 " documents each, from a stand-in that answers" \
		" after 10 ms with next to no CPU.", "threads", "s:6:1000000")
	for (i = 1; i <= n_tests; i++)
		if (tests[i] ~ /^servers-.*-2$/)
			table_by_workers("free", substr(tests[i], 1, length(tests[i]) - 2),
				"The same from a server on the same CPUs: " substr(tests[i], 9, length(tests[i]) - 10) ".",
				"threads", "s:6:1000000")
}

function tables_once(    cpu)
{
	cpu = ";CPU us/op, daemon:8:1;hosts:9:1;all:10:1"
	table("free", "delayed", delayed_tasks " tasks with 100 bytes of arguments and a delay; measured once.",
		"memory bytes/task:13:1;k posts/s:5:1000" cpu, "beanstalkd redis", 13)
	table("free", "idle", "Nothing to do, for " idle_secs " s; workpoold with 10 pools of 6 workers; measured once.",
		"wake-ups/minute:14:1;CPU us/minute, daemon:8:1;hosts:9:1;memory MiB, daemon:15:1;of a host:16:1", "", 14)
}

function tables_on_disk(    cpu, posts)
{
	cpu = ";CPU us/op, daemon:8:1;hosts:9:1;all:10:1"
	posts = "/s:5:1;p50 us:6:1;p99 us:7:1;flushes/post:12:1" cpu
	table("free", "durable-1", "Durable posts, 1 client with one post outstanding.",
		posts, "disk beanstalkd redis gearmand", 5)
	table("free", "durable-16", "Durable posts, 16 clients, each with one post outstanding.",
		posts, "disk beanstalkd redis gearmand", 5)
	table("free", "durable-cycle", \
		"Durable no-op cycle with 4 workers: post, take, end; 128 posts outstanding.",
		"/s:5:1;flushes/cycle:12:1" cpu, "beanstalkd redis redis,stepwise gearmand", 5)
	table("free", "size", "Room that a queued task with 100 bytes of arguments takes, at " tasks \
		" of them; measured once.",
		"memory bytes/task:13:1;bytes/task on disk:17:1;k posts/s:5:1000", "beanstalkd redis", 13)
}

# Against whom, not ours and no floor, `who` does worst: a goal about the best is one about all of them.
function best_peer(condition, test, who, column,    i, peer, least, best)
{
	for (i = 1; i <= n_systems[test]; i++) {
		peer = systems[test, i]
		if (peer ~ /^(workpoold|echo|disk|xargs|threads)|unreliable|stepwise/)
			continue
		ratio(condition, test, who, peer, column)
		if (middle != "" && (best == "" || middle < least)) {
			least = middle
			best = peer
		}
	}
	return best
}

function is_met(x, sign, bound)
{
	return sign == "≤" ? x <= bound : x >= bound
}

# The last column: the same ratio from the CPU time of all that took part. On one CPU that never
# sleeps both are alike; what other programs took meanwhile is not in it. Who waits for a disk has none.
function goal(text, condition, test, who, other, column, sign, bound,    said, verdict, by_cpu, n, line)
{
	if (!(test in n_systems))
		return
	if (other == "best") {
		other = best_peer(condition, test, who, column)
		text = text ", " (other == "" ? "none" : other)
	}
	said = ratio(condition, test, who, other, column)
	n = n_ratios
	if (n == 0)
		verdict = "not measured"
	else {
		verdict = is_met(middle, sign, bound) ? "met" : "**missed**"
		if (is_met(values[1], sign, bound) != is_met(values[n], sign, bound))
			verdict = verdict ", not each time"
	}
	by_cpu = "-"
	if (condition == "pinned" && sign == "≤")
		by_cpu = ratio("pinned", test, who, other, 10)
	else if (condition == "pinned")
		by_cpu = ratio("pinned", test, other, who, 10)
	line = "| " ++n_goals " | " text " | " condition " | " sign " " bound
	print line " | " said " | " n " | " verdict " | " by_cpu " |"
}

# A goal about one figure and no ratio: the sum of two columns, or one (0: no second one).
function goal_itself(text, condition, test, who, column, other_column, sign, bound,    rep, n, key, quiet, verdict, said)
{
	if (!((condition, test) in has))
		return
	for (quiet = 1; quiet >= 0 && n == 0; quiet--)
		for (rep = 1; rep <= reps; rep++) {
			key = condition SUBSEP test SUBSEP who SUBSEP rep
			if (counts(key, column, quiet))
				values[++n] = figures[key, column] + (other_column ? figures[key, other_column] : 0)
		}
	said = spread(n)
	verdict = n == 0 ? "not measured" : is_met(middle, sign, bound) ? "met" : "**missed**"
	if (n > 0 && is_met(values[1], sign, bound) != is_met(values[n], sign, bound))
		verdict = verdict ", not each time"
	print "| " ++n_goals " | " text " | " condition " | " sign " " bound " | " said " | " n " | " verdict " | - |"
}

BEGIN { FS = "\t" }

# The tables' order is that of the first repetition.
!(($3, $4) in known) {
	known[$3, $4] = 1
	systems[$3, ++n_systems[$3]] = $4
	if (n_systems[$3] == 1)
		tests[++n_tests] = $3
}

{
	for (i = 5; i <= 16; i++)
		figures[$2, $3, $4, $1, i] = $i
	if ($17 != "-")
		figures[$2, $3, $4, $1, 17] = $17 / tasks
	has[$2, $3] = 1
	kind = $3 ~ /^(durable|size)/ ? "disk" : $2
	has[kind]++
	if ($11 > 10) {
		loud[$2, $3, $4, $1] = 1
		has_loud[kind]++
	}
}

END {
	print "Median (min–max) of " reps ", " secs " s each (durable: " durable_secs " s);" \
		" ratios: of each repetition, then the median."
	print "Other programs used more than 10 % of a CPU in " has_loud["pinned"] + has_loud["free"] \
		" of " has["pinned"] + has["free"] " measurements in memory and in " has_loud["disk"] + 0 \
		" of " has["disk"] + 0 " with a disk;"
	print "what was so disturbed counts only in rows and ratios that have nothing else."
	if (has["pinned"]) {
		print "\n## Everything on CPU " cpu ": these ratios count"
		tables_in_memory("pinned")
	}
	if (has["free"]) {
		print "\n## Placed freely: coarse, sleeping CPUs cost more than what is measured"
		tables_in_memory("free")
	}
	tables_of_finds()
	tables_once()
	if (has["disk"]) {
		print "\n## With a disk, placed freely: these figures are not about a CPU"
		tables_on_disk()
	}
	print "\nworkpoold,posts: with the queue paused, so that it does what the others do, and no more."
	print "workpoold,post: until the post is answered, its task runs too."
	print "workpoold,isolated: the tasks run too, with a host process for each worker (isolation = task)."
	print "workpoold,held: the tasks run too, while 99,999 others are held back by their handler's max_active."
	print "workpoold: the tasks run too, in the host's process. Workers of beanstalkd (reserve, delete),"
	print "redis (BLMOVE, LREM; unreliable: BRPOP) and gearmand (grab, complete) are connections of the load"
	print "program, which say \"ended\" and \"next\" in one write (stepwise: in two); workpoold's are its own."
	print "Outside: those connections are processes, whose CPU is \"hosts\"; workpoold's are programs of type"
	print "coprocess. Result: beanstalkd and redis tell no poster; there it is until the worker, a connection of"
	print "the load program, knows that its \"ended\" was heard. Threads: a plain program, so many pthreads over a"
	print "mongoc_client_pool; it keeps each document and looks at each value, where workpoold makes JSON of"
	print "them, which the daemon keeps as the result. Wake-ups: voluntary switches of all threads."
	print "Of MongoDB's servers on the same CPUs (suite servers) the server itself counts as another program."
	print "CPU \"all\": with the load program's. \"By CPU time\": the same ratio from that column; others"
	print "disturb it less."
	print "Durable: on the disk before the answer. disk: 100 bytes and fdatasync, one after the other. beanstalkd"
	print "-f 0, redis appendfsync always, gearmand libsqlite3, workpoold sqlite with sync = full. Flushes are"
	print "workpoold's own count. The kernel's threads are no other programs there. Room is measured without"
	print "waiting for flushes, but in workpoold.\n"
	if (("pinned", "cycle-6") in has)
		print "No-op cycles/s with isolation = task ÷ with shared, on one CPU: " \
			ratio("pinned", "cycle-6", "workpoold,isolated", "workpoold", 5) "; by CPU time: " \
			ratio("pinned", "cycle-6", "workpoold", "workpoold,isolated", 10) ".\n"
	print "## Goals\n"
	rule("| | goal | CPUs | | measured | of | | by CPU time |")
	goal("p50 of a post ÷ raw echo, queue paused", "pinned",
		"latency", "workpoold,posts", "echo", 6, "≤", 1.5)
	goal("p50 of a post ÷ raw echo, tasks run too", "pinned",
		"latency", "workpoold", "echo", 6, "≤", 1.5)
	goal("p50 of a post ÷ beanstalkd's, queue paused", "pinned",
		"latency", "workpoold,posts", "beanstalkd", 6, "≤", 1.1)
	goal("posts/s, 128 deep ÷ beanstalkd's", "pinned",
		"throughput", "workpoold,posts", "beanstalkd", 5, "≥", 3)
	goal("posts/s, 128 deep ÷ redis'", "pinned",
		"throughput", "workpoold,posts", "redis", 5, "≥", 0.35)
	goal("posts/s, 8 clients 1 deep ÷ the best peer's", "pinned",
		"throughput-8", "workpoold,posts", "best", 5, "≥", 1)
	goal("posts/s, 8 clients 1 deep ÷ the best peer's", "free",
		"throughput-8", "workpoold,posts", "best", 5, "≥", 1)
	goal("no-op cycles/s, 6 workers ÷ the best peer's", "pinned",
		"cycle-6", "workpoold", "best", 5, "≥", 3)
	goal("no-op cycles/s, 6 workers outside ÷ the best peer's", "pinned",
		"outside-6", "workpoold", "best", 5, "≥", 3)
	goal("no-op cycles/s ÷ the same with 99,999 others held back by a cap", "pinned",
		"cycle-6", "workpoold", "workpoold,held", 5, "≤", 1.2)
	goal_itself("CPU us of daemon and hosts for a no-op task", "pinned",
		"cycle-6", "workpoold", 8, 9, "≤", 5)
	goal("p50 of a task's result ÷ of a post's answer", "pinned",
		"result", "workpoold", "workpoold,post", 6, "≤", 2)
	for (i = 1; i <= n_tests; i++)
		if (tests[i] ~ /^(mongo|servers-.*)-[0-9]+$/)
			goal("100 finds, " tests[i] " workers: time ÷ plain threads'", "free",
				tests[i], "workpoold", "threads", 6, "≤", 1.1)
	for (i = 1; i <= n_tests; i++)
		if (tests[i] ~ /^exec-[0-9]+$/) {
			goal("programs/s, " tests[i] " ÷ xargs -P", "pinned",
				tests[i], "workpoold", "xargs", 5, "≥", 1)
			goal("programs/s, " tests[i] " ÷ xargs -P", "free",
				tests[i], "workpoold", "xargs", 5, "≥", 1)
		}
	goal_itself("wake-ups a minute of an idle daemon and its hosts, 10 pools", "free",
		"idle", "workpoold", 14, 0, "≤", 0)
	goal_itself("MiB of memory, that daemon", "free", "idle", "workpoold", 15, 0, "≤", 12)
	goal_itself("MiB of memory, the largest of its hosts", "free", "idle", "workpoold", 16, 0, "≤", 10)
	goal("durable posts/s, 1 client, queue paused ÷ the best peer's", "free",
		"durable-1", "workpoold,posts", "best", 5, "≥", 1)
	goal("durable posts/s, 16 clients, queue paused ÷ redis'", "free",
		"durable-16", "workpoold,posts", "redis", 5, "≥", 1)
	goal("durable cycles/s, 4 workers ÷ the best peer's", "free",
		"durable-cycle", "workpoold", "best", 5, "≥", 3)
	goal("memory of a queued task, store in memory ÷ beanstalkd's", "free",
		"size", "workpoold,memory", "beanstalkd", 13, "≤", 1.25)
	goal("memory of a queued task, store in a file ÷ beanstalkd's", "free",
		"size", "workpoold,sqlite", "beanstalkd", 13, "≤", 1.25)
}
