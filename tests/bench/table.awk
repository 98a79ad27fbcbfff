# table.awk: Markdown from the figures of tests/bench/run, whose lines are, parted by tabs:
#   repetition condition test system ops/s p50 p99 CPU-us/op:server,host,all others'-CPU-% flushes/op
#   memory-bytes/op bytes-on-disk
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

# values[1 .. n] as "median (min–max)", the median alone in `middle`; "-" if there is none.
function spread(n)
{
	middle = ""
	if (n == 0)
		return "-"
	sort_values(n)
	middle = n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2
	return digits(middle) " (" digits(values[1]) "–" digits(values[n]) ")"
}

function figure(condition, test, who, column, scale,    rep, n, key)
{
	n = 0
	for (rep = 1; rep <= reps; rep++) {
		key = condition SUBSEP test SUBSEP who SUBSEP rep SUBSEP column
		if (key in figures && figures[key] != "-")
			values[++n] = figures[key] / scale
	}
	return spread(n)
}

function ratio(condition, test, who, other, column,    rep, n, a, b)
{
	n = 0
	for (rep = 1; rep <= reps; rep++) {
		a = condition SUBSEP test SUBSEP who SUBSEP rep SUBSEP column
		b = condition SUBSEP test SUBSEP other SUBSEP rep SUBSEP column
		if (a in figures && b in figures && figures[b] > 0)
			values[++n] = figures[a] / figures[b]
	}
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

function tables(condition,    cpu, waits)
{
	cpu = ";CPU us/op, daemon:8:1;host:9:1;all:10:1"
	table(condition, "latency", "Latency: one client, one post outstanding, until its answer.",
		"p50 us:6:1;p99 us:7:1" cpu, "echo beanstalkd redis", 6)
	table(condition, "throughput", "Throughput: posts answered, one client, 128 outstanding.",
		"k/s:5:1000" cpu, "echo beanstalkd redis", 5)
	table(condition, "cycle", "No-op cycle with 6 workers: post, take, end; 128 posts outstanding.",
		"k/s:5:1000" cpu, "beanstalkd redis", 5)
	waits = "/s:5:1;p50 us:6:1;p99 us:7:1;flushes/post:12:1" cpu
	table(condition, "durable-1", "Durable posts, 1 client with one post outstanding.",
		waits, "disk beanstalkd redis gearmand", 5)
	table(condition, "durable-16", "Durable posts, 16 clients, each with one post outstanding.",
		waits, "disk beanstalkd redis gearmand", 5)
	table(condition, "durable-cycle", \
		"Durable no-op cycle with 4 workers: post, take, end; 128 posts outstanding.",
		"/s:5:1;flushes/cycle:12:1" cpu, "beanstalkd redis gearmand", 5)
}

# The system, not ours and no floor, with the highest median.
function best_peer(condition, test, column,    i, who, most, best)
{
	for (i = 1; i <= n_systems[test]; i++) {
		who = systems[test, i]
		figure(condition, test, who, column, 1)
		if (who !~ /^(workpoold|echo|disk)/ && middle != "" && middle > most) {
			most = middle
			best = who
		}
	}
	return best
}

# The last column: the same ratio from the CPU time of all that took part. On one CPU that never
# sleeps both are alike; what other programs took meanwhile is not in it. Who waits for a disk has none.
function goal(text, condition, test, who, other, column, sign, bound,    said, verdict, by_cpu, line)
{
	if (!(test in n_systems))
		return
	if (other == "best") {
		other = best_peer(condition, test, column)
		text = text ", " (other == "" ? "none" : other)
	}
	said = ratio(condition, test, who, other, column)
	if (middle == "")
		verdict = "not measured"
	else
		verdict = (sign == "≤" ? middle <= bound : middle >= bound) ? "met" : "**missed**"
	by_cpu = "-"
	if (condition == "pinned" && sign == "≤")
		by_cpu = ratio("pinned", test, who, other, 10)
	else if (condition == "pinned")
		by_cpu = ratio("pinned", test, other, who, 10)
	line = "| " ++n_goals " | " text " | " condition " | " sign " " bound
	print line " | " said " | " verdict " | " by_cpu " |"
}

BEGIN { FS = "\t" }

# The tables' order is that of the first repetition.
!(($3, $4) in known) {
	known[$3, $4] = 1
	systems[$3, ++n_systems[$3]] = $4
}

{
	for (i = 5; i <= 13; i++)
		figures[$2, $3, $4, $1, i] = $i
	if ($3 == "size")
		figures[$2, $3, $4, $1, 14] = $14 / tasks
	has[$2, $3] = 1
	has[$2 ($3 ~ /^durable/ ? " durable" : $3 == "size" ? " size" : "")] = 1
	measured[$3 ~ /^durable/]++
	if ($11 > 10)
		disturbed[$3 ~ /^durable/]++
}

END {
	print "Median (min–max) of " reps ", " secs " s each (durable: " durable_secs " s);" \
		" ratios: of each repetition, then the median."
	print "Other programs used more than 10 % of a CPU in " disturbed[0] + 0 " of " measured[0] + 0 \
		" measurements and in " disturbed[1] + 0 " of " measured[1] + 0 " durable ones."
	if ("pinned" in has) {
		print "\n## Everything on CPU " cpu ": these ratios count"
		tables("pinned")
	}
	if ("free" in has || "free durable" in has)
		print "\n## Placed freely: coarse, sleeping CPUs cost more than what is measured"
	tables("free")
	if ("free size" in has)
		table("free", "size", "Room that a queued task with 100 bytes of arguments takes, at " tasks \
			" of them; one repetition.",
			"memory bytes/task:13:1;bytes/task on disk:14:1;k posts/s:5:1000", "beanstalkd redis", 13)
	print "\nworkpoold,posts: with the queue paused, so that it does what the others do, and no more."
	print "workpoold,held: the tasks run too, while 99,999 others are held back by their handler's max_active."
	print "workpoold: the tasks run too, in the host's process. Workers of beanstalkd (reserve, delete),"
	print "redis (BLMOVE, LREM; unreliable: BRPOP) and gearmand (grab, complete) are connections of the load"
	print "program, which say \"ended\" and \"next\" in one write (stepwise: in two); workpoold's are its own."
	print "CPU \"all\": with the load program's. \"By CPU time\": the same ratio from that column; others"
	print "disturb it less."
	print "Durable: on the disk before the answer. disk: 100 bytes and fdatasync, one after the other. beanstalkd"
	print "-f 0, redis appendfsync always, gearmand libsqlite3, workpoold sqlite with sync = full. Flushes are"
	print "workpoold's own count; the kernel's threads do not count as other programs. Only placed freely, for"
	print "these figures are not about a CPU.\n"
	print "## Goals\n"
	print "| | goal | CPUs | | measured | | by CPU time |"
	print "|---|---|---|---|---|---|---|"
	goal("p50 of a post ÷ raw echo, queue paused", "pinned",
		"latency", "workpoold,posts", "echo", 6, "≤", 2)
	goal("p50 of a post ÷ raw echo, tasks run too", "pinned",
		"latency", "workpoold", "echo", 6, "≤", 2)
	goal("posts/s, 128 deep ÷ beanstalkd's", "pinned",
		"throughput", "workpoold,posts", "beanstalkd", 5, "≥", 1.5)
	goal("no-op cycles/s ÷ beanstalkd's put, reserve, delete", "pinned",
		"cycle", "workpoold", "beanstalkd", 5, "≥", 1)
	goal("no-op cycles/s ÷ redis' LPUSH, BLMOVE, LREM", "pinned",
		"cycle", "workpoold", "redis", 5, "≥", 1)
	goal("no-op cycles/s ÷ the same with 99,999 others held back by a cap", "pinned",
		"cycle", "workpoold", "workpoold,held", 5, "≤", 1.2)
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
