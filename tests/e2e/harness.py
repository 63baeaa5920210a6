# SPDX-License-Identifier: MIT
"""
What the black-box tests are made of: a stack in a directory of its own, the
hr binary run on it, and the proof afterwards that nothing is left.

HR and ACTOR in the environment name the two programs; `make test` sets them.
No test sleeps for a time: it polls for a condition with a limit.
"""
import errno
import fcntl
import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
HR = os.path.abspath(os.environ.get("HR", os.path.join(ROOT, "build/hr")))
ACTOR = os.path.abspath(
    os.environ.get("ACTOR", os.path.join(ROOT, "build/tests/actor")))
LIMIT = float(os.environ.get("HR_TEST_LIMIT", "10"))
LINE = re.compile(r"^(\d\d:\d\d:\d\d) (\S+) *\| ?(.*)$")
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


# ------------------------------------------------------------ small helpers

def eventually(condition, limit=None, what=None):
    """Polls until condition() is truthy; returns that value."""
    limit = limit or LIMIT
    until = time.monotonic() + limit
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            said = what() if callable(what) else what
            raise AssertionError(
                "not within %g s: %s" % (limit, said or describe(condition)))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def describe(function):
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    return "%s:%d" % (os.path.basename(code.co_filename), code.co_firstlineno)


def stays(condition, seconds=0.4):
    """Watches that condition() holds all the time; for 'nothing happens'."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert condition(), "did not stay: " + describe(condition)
        time.sleep(0.02)


_given_ports = set()


def free_port():
    """A port the kernel gave and nobody listens on. Taken below the range
    of outgoing connections where possible, so that no client gets it."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]
    base = 20000 + int(worker or 0) % 10 * 1000
    start = os.getpid() * 7 + len(_given_ports) * 3
    for i in range(1000):
        port = base + (start + i) % 1000
        if port in _given_ports:
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port
    raise AssertionError("no free port")


def ask(port, timeout=5):
    """What the actor on the port says: (id, generation, pid); None if it
    refuses."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as s:
            words = s.makefile().readline().split()
    except OSError:
        return None
    if len(words) != 3:
        return None
    return words[0], int(words[1]), int(words[2])


def actor(*options):
    return " ".join([shlex.quote(ACTOR)] + [shlex.quote(o) for o in options])


def alive(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def parent_of(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def cmdline(pid):
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            return f.read().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []


def marked(test_id):
    """Every living process that has HR_TEST_ID=test_id in its environment."""
    needle = ("HR_TEST_ID=%s" % test_id).encode()
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/environ" % name, "rb") as f:
                if needle in f.read().split(b"\0") and alive(int(name)):
                    found.append(int(name))
        except OSError:
            pass
    return found


class Entry:
    """A line of the journal that actors write."""

    def __init__(self, line):
        words = line.rstrip("\n").split(" ", 5)
        self.event, self.id = words[0], words[1]
        self.pid, self.generation = int(words[2]), int(words[3])
        self.at = int(words[4])
        self.note = words[5] if len(words) > 5 else ""

    def __repr__(self):
        return "%s %s pid=%d gen=%d at=%.1fms %s" % (
            self.event, self.id, self.pid, self.generation, self.at / 1e6,
            self.note)


class Events:
    """Follows `hr events -f --json`."""

    def __init__(self, stack, *args):
        self.items = []
        self.process = stack.popen("events", "-f", "--json", *args,
                                   stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.items.append(json.loads(line))

    def of(self, event, service=None, **fields):
        return [e for e in list(self.items) if e["event"] == event
                and (service is None or e.get("service") == service)
                and all(e.get(k) == v for k, v in fields.items())]

    def wait(self, event, service=None, n=1, limit=None, **fields):
        eventually(lambda: len(self.of(event, service, **fields)) >= n, limit,
                   lambda: "%d × %s %s in %s" % (
                       n, event, service, self.items[-20:]))
        return self.of(event, service, **fields)[n - 1]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.thread.join(5)
        self.process.stdout.close()


# ------------------------------------------------------------------- Stack

class Stack:
    def __init__(self, base):
        self.id = uuid.uuid4().hex
        self.base = base
        self.dir = os.path.join(base, "stack")
        os.mkdir(self.dir)
        self.journal_path = os.path.join(base, "journal")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("HR_", "PYTEST", "LISTEN_", "MAKE",
                                         "MFLAGS"))
                    and k not in ("PORT", "PS", "NO_COLOR", "CLICOLOR_FORCE",
                                  "NOTIFY_SOCKET", "ACTOR", "HR")}
        self.env.update(HR_TEST_ID=self.id, HR_TEST_JOURNAL=self.journal_path)
        self.hr_path = HR
        self.as_user = []      # a command prefix: setpriv …
        self.process = None    # the latest `hr up`
        self.ups = []
        self.helpers = []
        self.readers = []
        self.out_path = None
        self.pty_fd = None
        self.allow_overlap = False

    # files

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, text, mode=None):
        """In place, as `cat >` and simple editors do."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        if mode is not None:
            os.chmod(path, mode)
        return path

    def script(self, name, text):
        return self.write(name, "#!/bin/sh\n" + text, 0o755)

    def read(self, name, **kw):
        with open(self.path(name), **kw) as f:
            return f.read()

    def procfile(self, **services):
        self.write("Procfile", "".join(
            "%s: %s\n" % item for item in services.items()))

    def conf(self, text):
        self.write("hr.conf", text)

    # running hr

    def popen(self, *args, cwd=None, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("env", self.env)
        return subprocess.Popen(
            self.as_user + [self.hr_path] + [str(a) for a in args],
            cwd=cwd or self.dir, **kw)

    def hr(self, *args, cwd=None, timeout=20, **kw):
        """Runs `hr ARGS` to its end. Fields out and err are text."""
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("env", self.env)
        done = subprocess.run(
            self.as_user + [self.hr_path] + [str(a) for a in args],
            cwd=cwd or self.dir, timeout=timeout, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **kw)
        done.out = done.stdout.decode(errors="replace")
        done.err = done.stderr.decode(errors="replace")
        done.both = done.out + done.err
        done.code = done.returncode
        if done.code == 0 and \
                {"restart", "reload", "start", "up"} & set(args[:1]):
            self.wait_for_actors()
        return done

    def wait_for_actors(self):
        """Ready without a port means that it was executed: wait until an
        actor has also got as far as its journal."""
        for row in self.ps():
            pid = row["pid"]
            if pid and row["state"] == "ready" and cmdline(pid)[:1] == [ACTOR]:
                eventually(lambda: not alive(pid) or any(
                    e.pid == pid for e in self.journal("start")))

    def up(self, *args, settled=True, use_pty=False, first=(), **kw):
        """Starts `hr up ARGS` in a session of its own. settled: waits until
        no service is on its way any more."""
        kw.setdefault("cwd", self.dir)
        kw.setdefault("env", self.env)
        argv = self.as_user + [self.hr_path] + [str(a) for a in first] + \
            ["up"] + [str(a) for a in args]
        self.out_path = os.path.join(self.base, "out.%d" % len(self.ups))
        if use_pty:
            self.process = self._spawn_on_pty(argv, kw)
        else:
            with open(self.out_path, "wb") as out:
                kw.setdefault("stdout", out)
                kw.setdefault("stderr", out)
                kw.setdefault("stdin", subprocess.DEVNULL)
                self.process = subprocess.Popen(argv, start_new_session=True,
                                                **kw)
        self.process.out_path = self.out_path
        self.ups.append(self.process)
        if settled:
            self.settle()
        return self.process

    def _spawn_on_pty(self, argv, kw):
        master, slave = pty.openpty()
        name = os.ttyname(slave)

        def own_terminal():
            os.setsid()
            os.close(os.open(name, os.O_RDWR))  # becomes the controlling one

        process = subprocess.Popen(argv, preexec_fn=own_terminal, stdin=slave,
                                   stdout=slave, stderr=slave, **kw)
        os.close(slave)
        self.pty_fd = master
        self.helpers.append(PtyReader(master, self.out_path))
        return process

    def type(self, text):
        os.write(self.pty_fd, text.encode())

    def hang_up(self):
        """Closes the terminal, as a closed window does."""
        for h in self.helpers:
            if isinstance(h, PtyReader):
                h.close()

    def settle(self, limit=None):
        """Until every service is in a state in which it may stay."""
        def settled():
            if self.process.poll() is not None:
                raise AssertionError("hr up ended with %d:\n%s" % (
                    self.process.returncode, self.out()))
            rows = self.ps()
            return rows and all(r["state"] in
                                ("ready", "stopped", "done", "failed")
                                for r in rows) and rows
        eventually(settled, limit,
                   lambda: "all settled: %s" % self.ps())
        self.wait_for_actors()

    def ps(self):
        """Rows of `hr ps --json`, or [] while nothing answers."""
        done = self.hr("ps", "--json")
        if done.code != 0:
            return []
        return json.loads(done.out)["services"]

    def row(self, name, instance=1):
        for r in self.ps():
            if r["name"] == name and r["instance"] == instance:
                return r
        return {"name": name, "state": None, "pid": None, "generation": None}

    def pid(self, name, instance=1):
        return self.row(name, instance)["pid"]

    def wait_row(self, name, limit=None, instance=1, **fields):
        """Until the row of a service has these values (or passes these
        predicates); returns it."""
        last = {}

        def fits():
            last.clear()
            last.update(self.row(name, instance))
            return all(v(last.get(k)) if callable(v) else last.get(k) == v
                       for k, v in fields.items()) and dict(last)
        return eventually(fits, limit, lambda: "%s: %s, but %s" % (
            name, fields, last))

    def ready(self, name, generation=None, limit=None):
        fields = {"state": "ready"}
        if generation is not None:
            fields["generation"] = generation
        return self.wait_row(name, limit, **fields)

    def events(self, *args):
        e = Events(self, *args)
        self.readers.append(e)
        return e

    # output

    def out(self):
        if not self.out_path or not os.path.exists(self.out_path):
            return ""
        with open(self.out_path, "rb") as f:
            return f.read().decode(errors="replace").replace("\r\n", "\n")

    def lines(self, name=None):
        """Texts of the lines of hr's output, of one name or [(name, text)]."""
        found = []
        for line in ESCAPE.sub("", self.out()).split("\n"):
            m = LINE.match(line)
            if m and name is None:
                found.append((m.group(2), m.group(3)))
            elif m and m.group(2) == name:
                found.append(m.group(3))
        return found

    def saw(self, pattern, name=None):
        text = "\n".join(self.lines(name)) if name else self.out()
        return re.search(pattern, text, re.I | re.M)

    def wait_out(self, pattern, name=None, limit=None):
        return eventually(
            lambda: self.saw(pattern, name), limit,
            lambda: "output matching %r; the end of it:\n%s" % (
                pattern, self.out()[-3000:]))

    # journal

    def journal(self, event=None, id=None, generation=None):
        try:
            with open(self.journal_path) as f:
                entries = [Entry(line) for line in f
                           if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [e for e in entries if (event is None or e.event == event)
                and (id is None or e.id == id)
                and (generation is None or e.generation == generation)]

    def wait_journal(self, event, id=None, n=1, generation=None, limit=None):
        eventually(lambda: len(self.journal(event, id, generation)) >= n,
                   limit, lambda: "%d × %s of %s in the journal:\n%s" % (
                       n, event, id, "\n".join(map(repr, self.journal()))))
        return self.journal(event, id, generation)[n - 1]

    def no_overlap(self):
        assert not self.journal("overlap"), "\n".join(
            map(repr, self.journal()))

    # processes

    def processes(self):
        return marked(self.id)

    def roles(self, kind=None, *words):
        """pids of hr's own processes, by the name in their command line:
        master watcher worker keeper."""
        found = []
        for pid in self.processes():
            argv = cmdline(pid)
            if pid in [p.pid for p in self.ups]:
                role = "master"
            elif len(argv) > 1 and os.path.basename(argv[0]) == "hr" and \
                    argv[1] in ("watcher", "worker", "keeper"):
                role = argv[1]
            else:
                continue
            if (kind is None or role == kind) and \
                    all(any(a == w or a.startswith(w + ".")
                            for a in argv[2:]) for w in words):
                found.append(pid)
        return found

    def role(self, kind, *words):
        found = self.roles(kind, *words)
        assert len(found) == 1, "%s %s: %s" % (
            kind, words, [(p, cmdline(p)) for p in found])
        return found[0]

    def stop(self, signo=signal.SIGINT, limit=15):
        """Signals `hr up` and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signo)
        return self.wait(limit)

    def wait(self, limit=15):
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError("hr up still runs after %g s:\n%s" % (
                limit, self.out()[-3000:]))

    def gone(self, limit=None):
        """Until no process of this test is left (helpers apart)."""
        mine = [h.pid for h in self.helpers if hasattr(h, "pid")] + \
            [r.process.pid for r in self.readers]
        eventually(lambda: not set(self.processes()) - set(mine), limit,
                   lambda: "processes left: %s" % [
                       (p, cmdline(p)) for p in self.processes()])

    # the end

    def _stop_all(self):
        complaints = []
        for p in self.ups:
            if p.poll() is not None:
                continue
            p.send_signal(signal.SIGINT)
            try:
                p.wait(15)
            except subprocess.TimeoutExpired:
                complaints.append("hr up %d had to be killed" % p.pid)
                p.kill()
                p.wait()
        return complaints

    def close(self):
        """Ends everything; returns what should not have been there."""
        if os.path.exists(self.path(".hr/hr.sock")) and \
                not any(p.poll() is None for p in self.ups):
            try:
                self.hr("down", timeout=15)   # one that -d left
            except (subprocess.TimeoutExpired, OSError):
                pass
        complaints = self._stop_all()
        for r in self.readers:
            r.close()
        for h in self.helpers:
            h.kill() if isinstance(h, subprocess.Popen) else h.close()
            if isinstance(h, subprocess.Popen):
                h.wait()
        try:
            eventually(lambda: not self.processes(), 8)
        except AssertionError:
            left = [(p, parent_of(p), cmdline(p)) for p in self.processes()]
            complaints.append("processes left: %s" % left)
            self.kill_left()
        complaints += self._locked()
        if self.journal("overlap") and not self.allow_overlap:
            complaints.append("two at once: %s" % self.journal("overlap"))
        return complaints

    def kill_left(self):
        until = time.monotonic() + 5
        while time.monotonic() < until:
            pids = self.processes()
            if not pids:
                return
            for stop in (signal.SIGSTOP, signal.SIGKILL):
                for pid in pids:
                    try:
                        os.kill(pid, stop)
                    except OSError:
                        pass

    def _locked(self):
        complaints = []
        for top, _, names in os.walk(self.path(".hr")):
            for name in names:
                if not name.endswith("lock"):
                    continue
                try:
                    with open(os.path.join(top, name)) as f:
                        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    complaints.append("still locked: %s/%s" % (top, name))
                except OSError:
                    pass
        return complaints

    def report(self):
        parts = []
        for p in self.ups:
            try:
                with open(p.out_path, "rb") as f:
                    text = f.read()[-20000:].decode(errors="replace")
            except OSError:
                text = "(none)"
            parts.append("--- %s, exit %s\n%s" % (
                os.path.basename(p.out_path), p.poll(), text))
        parts.append("--- journal\n" + "\n".join(
            map(repr, self.journal()[-60:])))
        for name in ("Procfile", "hr.conf"):
            if os.path.isfile(self.path(name)):
                parts.append("--- %s\n%s" % (
                    name, self.read(name, errors="replace")[:3000]))
        return "\n".join(parts)


class PtyReader:
    """Takes what appears on a terminal into a file."""

    def __init__(self, fd, path):
        self.fd = fd
        self.wake, self.waker = os.pipe()
        self.out = open(path, "wb", buffering=0)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            ready, _, _ = select.select([self.fd, self.wake], [], [])
            if self.wake in ready:
                return
            try:
                data = os.read(self.fd, 65536)
            except OSError as e:
                if e.errno != errno.EIO:
                    raise
                return
            if not data:
                return
            self.out.write(data)

    def close(self):
        if self.fd is None:
            return
        os.write(self.waker, b"x")
        self.thread.join(5)
        os.close(self.fd)
        self.fd = None
        for fd in (self.wake, self.waker):
            os.close(fd)
        self.out.close()


def make_base(outside_tmp=False):
    where = os.path.join(os.path.dirname(HR), "e2e-tmp") if outside_tmp \
        else os.environ.get("HR_TEST_TMP", "/tmp")
    os.makedirs(where, exist_ok=True)
    return os.path.realpath(tempfile.mkdtemp(prefix="hr-e2e-", dir=where))
