# table.awk: Markdown from the figures of tests/bench/run, whose lines are, parted by tabs:
#   repetition condition test system ops/s p50 p99 CPU-us/op:server,host,all others'-CPU-%
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

function heading(first, i, line)
{
	line = first
	for (i = 1; i <= n_others; i++)
		line = line " ÷ " others[i] " |"
	print line
	gsub(/[^|]+/, "---", line)
	print line
}

function table(condition, test, title,    i, k, who, line)
{
	print "\n" title "\n"
	n_others = split(test == "cycle" ? "beanstalkd redis" : "echo beanstalkd redis", others, " ")
	if (test == "latency")
		heading("| system | p50 us | p99 us | CPU us/op, daemon | host | all |")
	else
		heading("| system | k/s | CPU us/op, daemon | host | all |")
	for (i = 1; i <= n_systems[test]; i++) {
		who = systems[test, i]
		line = "| " who
		if (test == "latency")
			line = line " | " figure(condition, test, who, 6, 1) \
				" | " figure(condition, test, who, 7, 1)
		else
			line = line " | " figure(condition, test, who, 5, 1000)
		for (k = 8; k <= 10; k++)
			line = line " | " figure(condition, test, who, k, 1)
		line = line " |"
		print line compared(condition, test, who, test == "latency" ? 6 : 5)
	}
}

# The last column: the same ratio from the CPU time of all that took part. On one CPU that never
# sleeps both are alike; what other programs took meanwhile is not in it.
function goal(text, test, who, other, column, sign, bound,    said, verdict, by_cpu, line)
{
	said = ratio("pinned", test, who, other, column)
	if (middle == "")
		verdict = "not measured"
	else
		verdict = (sign == "≤" ? middle <= bound : middle >= bound) ? "met" : "**missed**"
	if (sign == "≤")
		by_cpu = ratio("pinned", test, who, other, 10)
	else
		by_cpu = ratio("pinned", test, other, who, 10)
	line = "| " ++n_goals " | " text " | " sign " " bound
	print line " | " said " | " verdict " | " by_cpu " |"
}

BEGIN { FS = "\t" }

# The tables' order is that of the first repetition.
!(($3, $4) in known) {
	known[$3, $4] = 1
	systems[$3, ++n_systems[$3]] = $4
}

{
	for (i = 5; i <= 10; i++)
		figures[$2, $3, $4, $1, i] = $i
	measured++
	if ($11 > 10)
		disturbed++
}

END {
	print "Median (min–max) of " reps ", " secs " s each; ratios: of each repetition, then the median."
	print "Other programs used more than 10 % of a CPU in " disturbed + 0 " of " measured + 0 " measurements."
	for (c = 1; c <= 2; c++) {
		condition = c == 1 ? "pinned" : "free"
		if (c == 1)
			print "\n## Everything on CPU " cpu ": these ratios count"
		else
			print "\n## Placed freely: coarse, sleeping CPUs cost more than what is measured"
		table(condition, "latency", \
			"Latency: one client, one post outstanding, until its answer.")
		table(condition, "throughput", \
			"Throughput: posts answered, one client, 128 outstanding.")
		table(condition, "cycle", \
			"No-op cycle with 6 workers: post, take, end; 128 posts outstanding.")
	}
	print "\nworkpoold,posts: with the queue paused, so that it does what the others do, and no more."
	print "workpoold,held: the tasks run too, while 99,999 others are held back by their handler's max_active."
	print "workpoold: the tasks run too, in the host's process. Workers of beanstalkd (reserve, delete)"
	print "and redis (BLMOVE, LREM; unreliable: BRPOP) are connections of the load program, which say"
	print "\"ended\" and \"next\" in one write; workpoold's are its own. CPU \"all\": with the load"
	print "program's. \"By CPU time\": the same ratio from that column; others disturb it less.\n"
	print "## Goals\n"
	print "| | everything on one CPU | goal | measured | | by CPU time |"
	print "|---|---|---|---|---|---|"
	goal("p50 of a post ÷ raw echo, queue paused",
		"latency", "workpoold,posts", "echo", 6, "≤", 2)
	goal("p50 of a post ÷ raw echo, tasks run too",
		"latency", "workpoold", "echo", 6, "≤", 2)
	goal("posts/s, 128 deep ÷ beanstalkd's",
		"throughput", "workpoold,posts", "beanstalkd", 5, "≥", 1.5)
	goal("no-op cycles/s ÷ beanstalkd's put, reserve, delete",
		"cycle", "workpoold", "beanstalkd", 5, "≥", 1)
	goal("no-op cycles/s ÷ redis' LPUSH, BLMOVE, LREM",
		"cycle", "workpoold", "redis", 5, "≥", 1)
	goal("no-op cycles/s ÷ the same with 99,999 others held back by a cap",
		"cycle", "workpoold", "workpoold,held", 5, "≤", 1.2)
}
