"""Crash injection: stops the process that loads it at a chosen point. It is a test's tool and no part of agentq.

Python loads a module of this name at its start. The tests put this directory on the PYTHONPATH of the processes under
test, so that it is in the launcher and its shims as well; without `AGENTQ_CRASH` in the environment it does nothing.

A point is the instant before an SQL statement (BEGIN and COMMIT too, and each row of an executemany), before a file
operation that changes something (and half-way through a write), before and after a fork, before a signal or a request
is sent, or waited for, and before a keeper takes another name.
They are counted in each process from its own beginning; a forked child counts anew and has a role of its own. A keeper
counts on from run to run.

`AGENTQ_CRASH` is JSON:
  root   only files below it count (a relative name always does)
  log    directory; each process lists its points in `log/ROLE.PID`
  rules  a list of {role, at, match, after, action}: at the `at`-th point of a process of that role whose label contains
         `match`, counted from the first whose label contains `after`, do `action`: "kill" or "stop", once; what was
         done is noted in `log/fired.N`, N the rule's position
  count  true: list the points
  when   a path; nothing counts until it exists
  set    {"module:NAME": value}: constants of agentq to change, such as a lease, before anything runs
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys

CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
FILE_EVENTS = {"os.rename", "os.link", "os.symlink", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod"}
OTHER_EVENTS = {"os.posix_spawn", "os.exec", "subprocess.Popen", "os.kill", "os.killpg"}
CHILD_ROLE = {"launcher": "shim", "shim": "agent"}
SOCKET_CALLS = ("send", "sendall", "sendmsg", "recvmsg", "shutdown")
COMMANDS = {"submit", "cancel", "run", "sweep", "retry", "edit", "pause", "resume", "prune", "list", "show"}
ROLE_OF_COMMAND = {"run": "supervisor", "sweep": "sweep"}


def role_of(arguments):
    """The role of a process from its command line."""
    if any("agentq_cli.host.launcher" in word for word in arguments):
        return "launcher"
    return next((ROLE_OF_COMMAND.get(word, "command") for word in arguments if word in COMMANDS), "command")


class Injection:
    """The points of one process and what is to happen at one of them."""

    def __init__(self, plan, role):
        self.plan = plan
        self.role = role
        self.root = os.path.realpath(plan["root"])
        self.rules = plan.get("rules", [])
        self.counts = [0] * len(self.rules)
        self.seen = set()
        self.busy = False

    def point(self, label):
        """Here the process may be stopped."""
        if self.busy or not self.begun():
            return
        self.busy = True
        try:
            if self.plan.get("count"):
                self.note(f"{self.role}.{os.getpid()}", label)
            for position, rule in enumerate(self.rules):
                if self.counts_for(rule, label):
                    self.counts[position] += 1
                    if self.counts[position] == rule.get("at", 1):
                        self.fire(position, rule, label)
        finally:
            self.busy = False

    def begun(self):
        """Whether points count already."""
        return os.path.exists(self.plan.get("when", "/"))

    def counts_for(self, rule, label):
        """Whether a rule counts a point; notes that what it waits for has come."""
        if rule["role"] != self.role:
            return False
        if rule.get("after") and rule["after"] not in self.seen:
            if rule["after"] in label:
                self.seen.add(rule["after"])
            return False
        return rule.get("match", "") in label

    def fire(self, position, rule, label):
        """Carry out a rule, once for all processes together."""
        if self.take(position):
            self.carry_out(position, rule, label)

    def take(self, position):
        """Whether this process is the one that carries a rule out."""
        try:
            os.close(os.open(self.note_of(position) + ".taken", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True

    def carry_out(self, position, rule, label):
        """Leave a note, and stop here."""
        with open(self.note_of(position) + ".new", "w") as file:
            file.write(f"{os.getpid()} {label}")
        os.rename(self.note_of(position) + ".new", self.note_of(position))
        os.kill(os.getpid(), signal.SIGKILL if rule.get("action", "kill") == "kill" else signal.SIGSTOP)

    def note_of(self, position):
        """The file that says that a rule was carried out."""
        return os.path.join(self.plan["log"], f"fired.{position}")

    def note(self, name, label):
        """Append a line to a list of points."""
        descriptor = os.open(os.path.join(self.plan["log"], name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, (label.replace("\n", " ") + "\n").encode("utf-8", "replace"))
        os.close(descriptor)

    def below(self, path):
        """A path as it is shown, or None where it is none of ours."""
        if isinstance(path, int):
            return f"fd {path}"
        try:
            text = os.fsdecode(path)
        except TypeError:
            return None
        if not text.startswith("/"):
            return text
        return text[len(self.root) + 1 :] if text.startswith(self.root + "/") else None

    def audit(self, event, arguments):
        """Python's own report of what is about to be done."""
        if self.busy:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & CHANGING and (shown := self.below(path)) is not None:
                self.point(f"open {shown}")
        elif event in FILE_EVENTS:
            shown = self.below(arguments[0])
            if shown is None and len(arguments) > 1:
                shown = self.below(arguments[1])
            if shown is not None:
                self.point(f"{event[3:]} {shown}")
        elif event in OTHER_EVENTS:
            self.point(event)

    def wrap(self, module, name):
        """Make a point of a function that Python does not report."""
        real = getattr(module, name)

        def wrapped(*arguments, **named):
            self.point(f"{name} {arguments[0] if arguments and isinstance(arguments[0], str | int) else ''}")
            return real(*arguments, **named)

        setattr(module, name, wrapped)

    def wrap_writes(self, name):
        """A write may also be cut off in the middle."""
        real = getattr(os, name)

        def wrapped(descriptor, data, *rest):
            if self.busy:
                return real(descriptor, data, *rest)
            self.point(f"{name} {descriptor}")
            if len(data) > 1 and self.begun() and os.path.isfile(f"/proc/self/fd/{descriptor}"):
                self.half(real, descriptor, data, rest)
            return real(descriptor, data, *rest)

        setattr(os, name, wrapped)

    def half(self, real, descriptor, data, rest):
        """Write the first half where, and only where, a rule ends this very process right after it."""
        label = f"{real.__name__} half of {descriptor}"
        self.busy = True
        try:
            for position, rule in enumerate(self.rules):
                next_one = self.counts[position] + 1 == rule.get("at", 1) and rule.get("action", "kill") == "kill"
                if next_one and self.counts_for(rule, label) and self.take(position):
                    real(descriptor, bytes(data)[: len(data) // 2], *rest)
                    self.carry_out(position, rule, label)
        finally:
            self.busy = False
        self.point(label)

    def wrap_fork(self):
        """A point before a fork, one after it in the parent, and the child's first."""
        real = os.fork

        def fork():
            self.point("fork")
            pid = real()
            if pid == 0:
                self.role = CHILD_ROLE.get(self.role, self.role)
                self.counts = [0] * len(self.counts)
                self.point("born")
            else:
                self.point("forked")
            return pid

        os.fork = fork

    def wrap_sqlite(self):
        """Every statement on every connection, as SQLite itself reports it, whichever class carries it out."""
        import _sqlite3
        import sqlite3

        point = self.point
        real = sqlite3.connect

        def connect(database, *arguments, **named):
            point(f"connect {os.path.basename(str(database).partition('?')[0])}")

            class Connection(named.pop("factory", sqlite3.Connection)):
                def close(self):
                    point("close of a database")
                    super().close()

            connection = real(database, *arguments, factory=Connection, **named)
            connection.set_trace_callback(lambda sql: point("sql " + " ".join(sql.split())[:80]))
            return connection

        sqlite3.connect = _sqlite3.connect = connect


def use_standard_modules():
    """Have agentq use `signal` and `socket` themselves, as what is in C cannot be wrapped."""
    lean = importlib.import_module("agentq_cli.base.lean")
    for wrapped in (signal, socket):
        name = wrapped.__name__
        raw = getattr(lean, name)
        # A server that forks has loaded all of agentq already.
        for module in [each for path, each in sys.modules.items() if path.startswith("agentq_cli")]:
            if getattr(module, name, None) is raw:
                setattr(module, name, wrapped)


def activate(arguments):
    """Begin to count in this process."""
    plan = json.loads(os.environ["AGENTQ_CRASH"])
    use_standard_modules()
    for name, value in plan.get("set", {}).items():
        path, _, constant = name.partition(":")
        module = importlib.import_module(path)
        getattr(module, constant)  # A name that is there no more would change nothing.
        setattr(module, constant, value)
    if not plan.get("rules") and not plan.get("count"):
        return
    injection = Injection(plan, role_of(arguments))
    if injection.role != "launcher":
        injection.wrap_sqlite()
    for name in ("fsync", "fdatasync", "posix_fallocate", "mkfifo", "pidfd_open", "setsid"):
        injection.wrap(os, name)
    injection.wrap(signal, "pidfd_send_signal")
    for name in SOCKET_CALLS:
        injection.wrap(socket.socket, name)
    if injection.role == "launcher":
        for name in ("name_process", "reserve"):
            injection.wrap(importlib.import_module("agentq_cli.host.kernel"), name)
    for name in ("write", "pwrite"):
        injection.wrap_writes(name)
    injection.wrap_fork()
    sys.addaudithook(injection.audit)


if os.environ.get("AGENTQ_CRASH"):
    activate(sys.orig_argv)
