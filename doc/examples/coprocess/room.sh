#!/bin/sh
# Tells how much room a file system has: a program for a handler of type coprocess, see COPROCESSES in workpoold.conf(5).
#
# [handler room]
# type = coprocess
# command = /bin/sh /usr/share/doc/workpoold/examples/coprocess/room.sh /var
#
# $ wpctl post room --wait
#
# What it looks at is a fixed argument: a shell cannot read JSON, so it takes nothing from a task but its id, which
# comes first in the line. printf writes at once; a shell has no buffer that would have to be flushed.
place=${1:?usage: room.sh DIRECTORY}

while IFS= read -r line; do # fails at the end of input: then it is time to leave
	id=${line#'{"id":'}
	id=${id%%,*}
	# What it says on standard error is the task's output. It must not read our standard input, where the next task comes.
	if kilobytes=$(df -Pk "$place" </dev/null | awk 'NR == 2 { print $4 }') && [ -n "$kilobytes" ]; then
		printf '{"id":%s,"result":{"free_kilobytes":%s}}\n' "$id" "$kilobytes"
	else
		printf '{"id":%s,"error":"df could not tell"}\n' "$id"
	fi
done
