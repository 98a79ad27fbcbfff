"""What must be true of a daemon's tasks, from what its clients tried and what they were told; set arithmetic and nothing of the
daemon's own words about itself. Each wrong thing is a line of `wrong`."""
import collections

ENDS = ("done", "failed", "cancelled", "expired", "lost")


class Post:
    """An attempt to post, by a name that is used once."""
    __slots__ = ("name", "handler", "key", "sent", "answered", "refused", "task")

    def __init__(self, name, handler, key, sent):
        self.name, self.handler, self.key, self.sent = name, handler, key, sent
        self.answered, self.refused, self.task = False, None, None


class Task:
    """end: (state, attempt) that somebody was told, attempt None: not which; before: the end that a retry took away; asked: in which life
    of the daemon somebody was told that its worker is asked to end it, 0: none."""
    __slots__ = ("id", "post", "end", "ended", "before", "retrying", "cancelling", "asked", "waited", "acknowledged")

    def __init__(self, id, post):
        self.id, self.post = id, post
        self.end, self.ended, self.before = None, 0, None
        self.retrying, self.cancelling, self.asked, self.waited, self.acknowledged = False, False, 0, 0, False


class Oracle:
    def __init__(self):
        self.posts, self.tasks = {}, {}
        self.tick = 0  # grows with everything that happens here, in order
        self.life = 1  # of the daemon
        self.floor = 0  # all tasks up to this one are known to have ended
        self.last_id = 0  # ids of later posts are above, once the daemon has died
        self.runs = collections.Counter()  # (id, attempt)
        self.wrong, self.known = [], set()
        self.n = collections.Counter()

    def begin_anew(self):
        """With another store; what was counted stays."""
        self.posts, self.tasks, self.runs = {}, {}, collections.Counter()
        self.floor = self.last_id = 0

    def fault(self, kind, text):
        if (kind, text) in self.known:
            return  # each look finds it again
        self.known.add((kind, text))
        self.n[kind] += 1
        if len(self.wrong) < 50:
            self.wrong.append(f"{kind}: {text}")

    # What clients do and are told.

    def attempt(self, handler, key=None):
        self.tick += 1
        post = Post(f"p{len(self.posts)}", handler, key, self.tick)
        self.posts[post.name] = post
        self.n["tried"] += 1
        return post

    def posted(self, post, reply):
        """The answer of a Post."""
        self.tick += 1
        post.answered = True
        params = reply["parameters"]
        if "error" in reply and not (reply["error"].endswith(".StorageFailed") and "id" in params):  # with an id it is there
            post.refused = reply["error"]
            self.n["refused"] += 1
            return None
        id = int(params["id"])
        self.n["acknowledged"] += 1
        if params.get("joined"):
            self.joined(post, id)
        else:
            task = self.tasks.get(id)
            if task is not None and task.post is not post:
                self.fault("id twice", f"{id} is {post.name}'s and {task.post.name}'s")
            if id <= self.last_id and task is None:
                self.fault("id twice", f"{id} is not above {self.last_id}, which was given before a kill")
            if post.task is not None and post.task.id != id:
                self.fault("posted twice", f"{post.name} is {id} and {post.task.id}")
            task = self.tasks.setdefault(id, Task(id, post))
            task.acknowledged = True
            post.task = task
        if "task" in params:
            self.told(params["task"])
        return self.tasks.get(id)

    def joined(self, post, id):
        task = self.tasks.get(id)
        if task is None:  # its own answer is still under way on another connection
            return
        if (task.post.key, task.post.handler) != (post.key, post.handler):
            self.fault("unique", f"{post.name} with the key {post.key} joined {id} with {task.post.key}")
        if task.end and task.ended < post.sent:
            self.fault("unique", f"{post.name} joined {id}, which had ended before")

    def told(self, shown):
        """A task with its end, in the answer of a Post or Wait."""
        self.tick += 1
        task = self.tasks.get(int(shown["id"]))
        if task is None:
            post = self.posts.get(shown.get("name"))
            if post is None:
                self.fault("unknown", f"{shown}: nobody posted it")
                return
            task = post.task = self.tasks[int(shown["id"])] = Task(int(shown["id"]), post)
        if shown["state"] in ENDS:
            self.end(task, shown["state"], shown["attempt"])

    def end(self, task, state, attempt):
        if task.end and (task.end[0] != state or attempt is not None and task.end[1] not in (None, attempt)):
            self.fault("ended twice", f"{task.id}: {task.end}, then {(state, attempt)}")
        if not task.end or task.end[1] is None:
            self.n["ends"] += not task.end
            task.end, task.ended = (state, attempt), task.ended or self.tick

    def cancelled(self, task, outcome):
        self.tick += 1
        task.cancelling = True
        if outcome["result"] == "cancelled":
            self.n["cancels"] += 1
            self.end(task, "cancelled", None)
        elif outcome["result"] == "asked":
            self.n["asked"] += 1
            task.asked = self.life

    def retried(self, task, outcome):
        self.tick += 1
        task.retrying = False
        if outcome["result"] == "queued":
            self.n["retries"] += 1
            task.before, task.end, task.ended = task.end, None, 0
            task.cancelling, task.asked = False, 0
            self.floor = min(self.floor, task.id - 1)

    # What is there after a restart.

    def check(self, rows, above):
        """rows: all tasks of the daemon with an id above that."""
        seen, holders = set(), {}
        for row in rows:
            id = int(row["id"])
            seen.add(id)
            self.check_row(id, row)
            task = self.tasks.get(id)
            if task and task.post.key and row["state"] not in ENDS:
                other = holders.setdefault((task.post.handler, task.post.key), id)
                if other != id:
                    self.fault("unique", f"{other} and {id} both have the key {task.post.key}")
        lost = [task for id, task in self.tasks.items() if id > above and id not in seen]
        for task in lost:
            self.fault("lost", f"{task.id} ({task.post.name}, {task.post.handler}, ended {task.end}) is not there")
        self.last_id = max(self.last_id, max(seen, default=0))

    def check_row(self, id, row):
        state, attempt = row["state"], row["attempt"]
        post = self.posts.get(row.get("name"))
        task = self.tasks.get(id)
        if post is None:
            self.fault("unknown", f"{row}: nobody posted it")
            return
        if post.refused:
            self.fault("refused but there", f"{id} is {post.name}, which was refused with {post.refused}")
        if task is None:
            if post.task is not None:
                self.fault("posted twice", f"{post.name} is {post.task.id} and {id}")
            elif post.answered and not post.key:
                self.fault("unknown", f"{id} is {post.name}, whose answer was another")
            task = post.task = self.tasks[id] = Task(id, post)
        if task.post is not post:
            self.fault("id twice", f"{id} was {task.post.name} and is {post.name}")
        if task.end and task.retrying and (state, attempt) != task.end:
            task.before, task.end, task.ended = task.end, None, 0  # the retry came through, its answer did not
            task.asked = 0
        task.retrying = False
        if task.asked and state not in ENDS and (state != "active" or task.asked < self.life):
            self.fault("cancel lost", f"{id} is {state}, attempt {attempt}, and somebody was told that it is asked to end")
        if task.end and task.end[0] == state and task.end[1] in (None, attempt):
            task.end = (state, attempt)
        elif task.end:
            self.fault("run again", f"{id} had ended as {task.end} and is {state}, attempt {attempt}")
        elif state in ENDS:
            if task.before and (state, attempt) == task.before and not task.cancelling:
                self.fault("retry lost", f"{id} is {state} again, attempt {attempt}")
            self.end(task, state, attempt)

    def raise_floor(self):
        waiting = [task.id for task in self.tasks.values() if task.end is None]
        self.floor = min(waiting, default=self.last_id + 1) - 1

    def check_runs(self, lines):
        """Lines of id, attempt: what programs of tasks have written themselves."""
        for line in lines:
            id, attempt = map(int, line.split())
            self.runs[id, attempt] += 1
            self.n["runs"] += 1
            task = self.tasks.get(id)
            if self.runs[id, attempt] > 1:
                self.fault("run again", f"{id} ran twice as attempt {attempt}")
            if task and task.end and task.end[1] is not None and attempt > task.end[1]:
                self.fault("run again", f"{id} had ended as {task.end} and ran as attempt {attempt}")

    def check_all_runs(self, programs, once):
        """At the very end. programs: handlers that write lines; once: those that run once at most."""
        by_id = {}
        for id, attempt in self.runs:
            by_id.setdefault(id, []).append(attempt)
        for task in self.tasks.values():
            attempts = by_id.get(task.id, ())
            if task.end is None:
                self.fault("lost", f"{task.id} has not ended")
            elif task.post.handler in programs:
                if task.end[0] == "done" and task.end[1] not in attempts:
                    self.fault("lost", f"{task.id} is done by attempt {task.end[1]}, and ran as {attempts}")
                if any(attempt > task.end[1] for attempt in attempts):
                    self.fault("run again", f"{task.id} ended as {task.end} and ran as {attempts}")
                if task.post.handler in once and len(attempts) > 1:
                    self.fault("run again", f"{task.id} may run once and ran as {attempts}")

    @property
    def n_lost(self):
        return sum(self.n[kind] for kind in ("lost", "retry lost", "cancel lost"))
