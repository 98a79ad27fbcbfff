#!/usr/bin/python3
"""Counts words: a program for a handler of type coprocess, see COPROCESSES in workpoold.conf(5).

[handler words]
type = coprocess
command = /usr/bin/python3 /usr/share/doc/workpoold/examples/coprocess/words.py
recycle_tasks = 10000

$ wpctl post words '{"text": "to be or not to be"}' --wait
"""
import json
import re
import sys

WORD = re.compile(r"\w+")  # whatever takes long to make is made once, before the first task


def tell(**members):
    """One line; flushed, or the daemon would wait for what sits in our buffer."""
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


def count(task):
    words = {}
    lines = task["args"]["text"].splitlines()
    for i, line in enumerate(lines):
        for word in WORD.findall(line.lower()):
            words[word] = words.get(word, 0) + 1
        if i % 1000 == 999:
            tell(id=task["id"], permille=1000 * i // len(lines), note=f"{len(words)} words")
    return words


for line in sys.stdin:  # ends with the end of input: then it is time to leave
    task = json.loads(line)
    try:
        result = count(task)
    except (KeyError, AttributeError):
        tell(id=task["id"], error="args: needs a text")
    else:
        print("counted", len(result), "words", file=sys.stderr)  # the task's output: wpctl log --follow
        tell(id=task["id"], result=result)
