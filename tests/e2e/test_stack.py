# SPDX-License-Identifier: MIT
"""
The whole thing: examples/stack, edited again and again while people search.

After each of 30 edits of ingest the database is whole, no batch is half
there, and no two ingest processes have ever met.
"""
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from harness import ROOT, alive, cmdline, eventually, free_port

SOURCE = os.path.join(ROOT, "examples", "stack")
EDITS = 30
SETTINGS = """
POLL_MS=150
BATCH_MS=100
RATE_PER_S=100
RATE_BURST=100
UPSTREAM_URL=http://127.0.0.1:%d
"""


class Load(threading.Thread):
    """Somebody who searches, and somebody who looks how many ingest
    processes there are, until stopped."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self.stack, self.enough = stack, threading.Event()
        self.good = self.bad = 0
        self.watcher = threading.Thread(target=self.look, daemon=True)
        self.crowds, self.looks = [], 0
        self.db = os.path.join(stack.dir, "data", "trends.db")

    def run(self):
        words = ("%E6%9D%B1%E4%BA%AC", "news", "ha+noi", "%EB%82%A0%EC%94%A8")
        self.watcher.start()
        while not self.enough.is_set():
            url = "http://127.0.0.1:%d/?q=%s" % (
                self.stack.web, words[(self.good + self.bad) % 4])
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    ok = answer.status == 200 and b"<ul>" in answer.read()
            except OSError:
                ok = False
            self.good += ok
            self.bad += not ok
            time.sleep(0.01)
        self.watcher.join()

    def look(self):
        """Processes that have the database open and are not web: by the
        program they run."""
        while not self.enough.is_set():
            holders = ingests(self.stack)
            self.looks += 1
            if len(holders) > 1 and len([p for p in holders
                                         if alive(p)]) > 1:
                self.crowds.append([(p, cmdline(p)) for p in holders])
            time.sleep(0.005)

    def stop(self):
        self.enough.set()
        self.join(10)


def ingests(stack):
    found = []
    build = stack.path(".hr/build/ingest.")
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            program = os.readlink("/proc/%s/exe" % name)
        except OSError:
            continue
        if program.startswith(build) and alive(int(name)):
            found.append(int(name))
    return found


@pytest.fixture
def trends(stack):
    """A copy of the example on ports of its own, built and running."""
    os.rmdir(stack.dir)
    shutil.copytree(SOURCE, stack.dir, ignore=shutil.ignore_patterns(
        "bin", "build", "data", ".hr"))
    ports = {n: free_port() for n in ("8080", "8081", "8082")}
    conf = stack.read("hr.conf")
    for old, new in ports.items():
        conf, n = re.subn(r"number = %s\b" % old, "number = %d" % new, conf)
        assert n == 1
    stack.conf(conf)
    stack.write(".env", SETTINGS % ports["8082"])
    stack.web, stack.admin = ports["8080"], ports["8081"]
    stack.up(settled=False)
    stack.settle(60)
    eventually(lambda: check(stack).returncode == 0, 20,
               lambda: check(stack).stdout)
    return stack


def check(stack):
    return subprocess.run([sys.executable, stack.path("check.py"),
                           stack.path("data/trends.db")], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def titles(stack):
    found = re.search(r"(\d+) titles", check(stack).stdout)
    return int(found.group(1)) if found else 0


def assert_whole(stack):
    done = check(stack)
    assert done.returncode == 0, done.stdout


def never(stack):
    for words in ("database is locked", "address already in use",
                  "text file busy", "half a batch"):
        assert not stack.saw(words), words


def edit(stack, n):
    """Each a little differently, as people do."""
    path = stack.path("ingest/scheduler.c")
    with open(path) as f:
        text = f.read()
    text = re.sub(r"\n/\* edit \d+ \*/\n$", "\n", text)
    text += "/* edit %d */\n" % n if text.endswith("\n\n") else \
        "\n/* edit %d */\n" % n
    if n % 3 == 0:
        with open(path + ".tmp", "w") as f:
            f.write(text)
        os.rename(path + ".tmp", path)
    else:
        with open(path, "w") as f:
            f.write(text)


def test_thirty_edits_under_load(trends):
    load = Load(trends)
    load.start()
    try:
        first = trends.row("ingest")
        other = {n: trends.pid(n) for n in ("upstream", "web")}
        for n in range(1, EDITS + 1):
            before = trends.row("ingest")
            edit(trends, n)
            now = trends.wait_row(
                "ingest", 30, state="ready",
                generation=lambda g: g > before["generation"])
            assert not alive(before["pid"])
            assert now["last_reload"]["result"] == "ready"
            assert now["reloads"] == n
            assert_whole(trends)
            never(trends)
        assert {n: trends.pid(n) for n in other} == other
        had = titles(trends)
        eventually(lambda: titles(trends) > had, 20)
        assert trends.row("ingest")["restarts"] == first["restarts"]
    finally:
        load.stop()
    assert not load.crowds, load.crowds[:3]
    assert load.looks > EDITS
    assert load.good > EDITS and load.bad == 0, (load.good, load.bad)
    assert trends.stop() == 130
    never(trends)
    assert_whole(trends)
    # Its last act: everything is in the database itself.
    wal = trends.path("data/trends.db-wal")
    assert not os.path.exists(wal) or os.path.getsize(wal) == 0


def test_a_broken_edit_leaves_the_old_one_polling(trends):
    before = trends.row("ingest")
    path = trends.path("ingest/scheduler.c")
    good = open(path).read()
    trends.write("ingest/scheduler.c", good + "int broken = ;\n")
    trends.wait_out("scheduler.c:\\d+:.*error", "ingest", 30)
    row = trends.wait_row("ingest", 30, state="ready", last_reload=lambda r:
                          r and r["result"] == "build_failed")
    assert row["pid"] == before["pid"]
    had = titles(trends)
    eventually(lambda: titles(trends) > had, 20)
    trends.write("ingest/scheduler.c", good)
    trends.wait_row("ingest", 30, state="ready")
    assert_whole(trends)
    never(trends)


def test_templates_settings_and_tokenizer(trends):
    web, ingest = trends.row("web"), trends.row("ingest")
    page = trends.read("templates/page.html")
    trends.write("templates/page.html",
                 page.replace("<h1>Trends</h1>", "<h1>Changed</h1>"))

    def shown():
        with urllib.request.urlopen("http://127.0.0.1:%d/" %
                                    trends.web) as answer:
            return b"<h1>Changed</h1>" in answer.read()
    eventually(shown)
    assert trends.pid("web") == web["pid"]
    # A setting: replaced without a build.
    trends.write("config/dev.conf",
                 trends.read("config/dev.conf") + "\n# changed\n")
    row = trends.wait_row("ingest", 20, state="ready",
                          pid=lambda p: p not in (None, ingest["pid"]))
    assert row["last_reload"]["rule"] == "settings"
    assert row["last_reload"]["build_ms"] == 0
    assert trends.pid("web") == web["pid"]
    # A source of three services: each is replaced, tests run again.
    trends.write("ingest/tokenize.c",
                 trends.read("ingest/tokenize.c") + "\n/* changed */\n")
    for name, old in (("web", web), ("ingest", row)):
        trends.wait_row(name, 30, state="ready",
                        pid=lambda p: p not in (None, old["pid"]))
    trends.wait_row("tests", 30, state="done", reloads=1)
    assert trends.row("upstream")["reloads"] == 0
    assert_whole(trends)
    never(trends)


def test_killed_in_the_middle_of_a_batch(trends):
    for _ in range(2):
        before = trends.row("ingest")
        os.kill(before["pid"], 9)
        trends.wait_row("ingest", 20, state="ready",
                        pid=lambda p: p not in (None, before["pid"]))
        assert_whole(trends)
    never(trends)


def test_everything_of_hr_dies_and_comes_back(trends):
    for victim in ("keeper", "worker", "master"):
        before = trends.row("ingest")
        pid = {"keeper": lambda: trends.role("keeper", "ingest"),
               "worker": lambda: trends.role("worker", "ingest"),
               "master": lambda: trends.process.pid}[victim]()
        os.kill(pid, 9)
        if victim == "master":
            trends.process.wait()
            trends.up(settled=False)
        trends.wait_row("ingest", 60, state="ready",
                        pid=lambda p: p not in (None, before["pid"]))
        assert len(ingests(trends)) == 1
        assert_whole(trends)
        never(trends)
