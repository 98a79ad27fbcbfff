"""A program of type coprocess that does what a task's args say, for tests: it keeps the protocol unless it is asked not to.

    {"do": "echo"}                 result: its number, how many tasks it had, the whole task (the default)
    {"do": "error", "text": …}     an error
    {"do": "progress", "steps": …} lines with these members, then a result
    {"do": "say", "err": …}        this to standard error, then a result
    {"do": "write", "text": …}     this to standard output, as it is; ID stands for the task's id. Nothing else
    {"do": "wait", "file": …}      says "waits PID" into that FIFO and reads "go\n" from FIFO.go before it answers
    {"do": "python", "text": …}    this is run, then a result, unless it sets `silent`

With words on its command line: these are run as Python before the first task.
"""
import json
import os
import sys

n = 0


def tell(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


for word in sys.argv[1:]:
    exec(word)  # pylint: disable=exec-used
for text in sys.stdin:
    task = json.loads(text)
    args, number = task["args"], task["id"]
    do = args.get("do", "echo")
    n += 1
    if do == "error":
        tell(id=number, error=args["text"])
        continue
    if do == "write":
        sys.stdout.write(args["text"].replace("ID", str(number)))
        sys.stdout.flush()
        continue
    if do == "progress":
        for step in args["steps"]:
            tell(id=number, **step)
    elif do == "say":
        os.write(2, args["err"].encode())
    elif do == "wait":
        with open(args["file"], "w", encoding="utf-8") as file:
            file.write(f"waits {os.getpid()}\n")
        with open(args["file"] + ".go", "rb", buffering=0) as file:
            file.read(3)
    elif do == "python":
        scope = dict(globals())
        exec(args["text"], scope)  # pylint: disable=exec-used
        if scope.get("silent"):
            continue
    tell(id=number, result={"pid": os.getpid(), "n": n, "task": task})
