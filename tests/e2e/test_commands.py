# SPDX-License-Identifier: MIT
"""The verbs, from another terminal; their output and exit codes."""
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness import actor, alive, ask, eventually, free_port, stays

ROW = {"name": str, "instance": int, "state": str, "wanted": None,
       "pid": None, "generation": int, "port": None, "uptime_ms": None,
       "restarts": int, "reloads": int, "last_reload": None}
TIMES = ("quiet_ms", "build_ms", "drain_ms", "start_ms", "ready_ms",
         "total_ms")


def started(stack, *names, conf="", **options):
    stack.procfile(**{n: actor(*options.get(n, ())) for n in names})
    stack.conf(conf)
    stack.up()
    for n in names:
        stack.wait_journal("start", n + ".1")


# --------------------------------------------------------- without a stack

@pytest.mark.parametrize("verb", [
    ("ps",), ("ps", "--json"), ("status",), ("down",), ("restart", "a"),
    ("reload", "a"), ("start", "a"), ("stop", "a"), ("signal", "HUP", "a"),
    ("logs",), ("events",), ("logs", "-f"), ("events", "-f")])
def test_no_running_stack_is_3(stack, verb):
    stack.procfile(a=actor())
    done = stack.hr(*verb)
    assert done.code == 3, done.both
    assert done.err and not done.out
    assert "hr up" in done.err or "no running" in done.err


@pytest.mark.parametrize("verb", [("up",), ("ps",), ("check",)])
def test_no_stack_at_all(stack, verb):
    done = stack.hr(*verb)
    assert done.code in (2, 3)
    assert "Procfile" in done.err


def test_stale_socket_is_no_running_stack(stack):
    stack.procfile(a=actor())
    stack.up()
    stack.process.kill()
    stack.process.wait()
    assert stack.hr("ps").code == 3
    stack.gone()


@pytest.mark.parametrize("args, code", [
    (("nonsense",), 2), (("--nonsense",), 2), (("ps", "--nonsense"), 2),
    (("restart",), 2), (("signal", "HUP"), 2), (("signal",), 2),
    (("logs", "-n", "x"), 2), (("up", "-m"), 2)])
def test_wrong_usage_is_2(stack, args, code):
    stack.procfile(a=actor())
    done = stack.hr(*args)
    assert done.code == code
    assert done.err and not done.out


def test_unknown_verb_names_the_nearest(stack):
    done = stack.hr("restrat")
    assert done.code == 2
    assert "restart" in done.err


def test_version(stack):
    for args in (("version",), ("--version",)):
        done = stack.hr(*args)
        assert done.code == 0
        assert re.match(r"hr \d+\.\d+", done.out)


def test_help(stack):
    done = stack.hr("help")
    assert done.code == 0
    for verb in ("up", "down", "ps", "restart", "reload", "start", "stop",
                 "signal", "logs", "events", "check", "help", "version"):
        assert re.search(r"^ +%s\b" % verb, done.out, re.M), verb
    assert stack.hr("--help").out == done.out
    for verb in ("up", "ps", "restart", "logs", "check"):
        one = stack.hr("help", verb)
        assert one.code == 0 and "hr %s" % verb in one.out or \
            verb in one.out.split("\n")[0]
        assert stack.hr(verb, "--help").out == one.out
    assert stack.hr("help", "nonsense").code == 2


def test_plain_hr_shows_usage(stack):
    done = stack.hr()
    assert done.code in (0, 2)
    assert "up" in done.both


def test_output_to_a_full_disk_is_an_error(stack):
    with open("/dev/full", "w") as full:
        p = stack.popen("help", stdout=full, stderr=subprocess.PIPE)
        err = p.communicate(timeout=10)[1]
    assert p.returncode not in (0, -6, -11)
    assert err


# ------------------------------------------------------------------- check

def test_check(stack):
    stack.procfile(web=actor(), db=actor())
    stack.conf("service web { after = {\"db\"}  build = 'make x' }\n")
    done = stack.hr("check")
    assert done.code == 0, done.both
    assert "web" in done.out and "db" in done.out and "make x" in done.out


def test_check_shows_all_errors_at_once(stack):
    stack.write("Procfile", "web: x\nweb: y\nnonsense line\nempty:\n")
    stack.conf("service web {\n  kill_dealy = \"1s\"\n"
               "  debounce = \"10\"\n}\nservice nope {\n}\n")
    stack.write(".env", "GOOD=1\nbad line\n")
    done = stack.hr("check")
    assert done.code == 2
    for place in ("Procfile:2", "Procfile:3", "Procfile:4", "hr.conf:2",
                  "hr.conf:3", ".env:2"):
        assert place in done.both, place
    assert "kill_delay" in done.both       # did you mean
    assert done.both.count("Procfile:2") == 1


def test_check_lenient(stack):
    stack.write("Procfile", "web: x\nnonsense line\n")
    assert stack.hr("check").code == 2
    done = stack.hr("check", "--lenient")
    if done.code == 2 and "--lenient" in done.err:
        done = stack.hr("--lenient", "check")
    assert done.code == 0, done.both
    assert "Procfile:2" in done.both


def test_up_refuses_what_check_refuses(stack):
    stack.write("Procfile", "a: %s\nnonsense line\n" % actor())
    done = stack.hr("up")
    assert done.code == 2
    assert "Procfile:2" in done.err
    assert not stack.journal()


# ---------------------------------------------------------------------- ps

def test_ps_json(stack):
    port = free_port()
    stack.write("src/x", "1")
    started(stack, "a", "b", a=("--listen=%d" % port,), conf=(
        "stack = \"my-stack\"\nservice a { port main { number = %d }  "
        "watch { dirs = {\"src\"} }  build = 'true' }\n" % port))
    done = stack.hr("ps", "--json")
    assert done.code == 0
    top = json.loads(done.out)
    assert set(top) == {"stack", "pid", "services"}
    assert top["stack"] == "my-stack"
    assert top["pid"] == stack.process.pid
    assert [r["name"] for r in top["services"]] == ["a", "b"]
    for row in top["services"]:
        assert set(ROW) <= set(row), row
        for key, kind in ROW.items():
            assert kind is None or type(row[key]) is kind, (key, row)
        assert row["state"] == "ready"
        assert row["instance"] == 1
        assert row["restarts"] == 0 and row["reloads"] == 0
    a, b = top["services"]
    assert a["port"] == port
    assert a["pid"] == ask(port)[2]
    assert a["uptime_ms"] > 0
    assert a["wanted"] == "up"
    stack.write("src/x", "2")
    row = stack.wait_row("a", reloads=1, state="ready")
    last = row["last_reload"]
    assert set(last) == {"generation", "trigger", "rule", "result"} | \
        set(TIMES)
    assert last["generation"] == row["generation"]
    assert last["trigger"] == ["src/x"] and last["result"] == "ready"
    for key in TIMES:
        assert isinstance(last[key], (int, float)) and last[key] >= 0
    assert last["total_ms"] >= max(last[k] for k in TIMES[:-1])
    stack.hr("stop", "b")
    b = stack.row("b")
    assert b["state"] == "stopped" and not b["pid"]
    assert b["wanted"] == "down"


def test_ps_for_people(stack):
    started(stack, "web", "longer-name")
    for verb in ("ps", "status"):
        done = stack.hr(verb)
        assert done.code == 0
        lines = done.out.splitlines()
        assert len(lines) >= 3
        row = next(li for li in lines if li.startswith("web"))
        assert "ready" in row and str(stack.pid("web")) in row
    assert "\x1b" not in done.out


def test_from_any_directory_below(stack):
    started(stack, "a")
    deep = stack.path("x/y/z")
    os.makedirs(deep)
    assert stack.hr("ps", cwd=deep).code == 0
    assert stack.hr("restart", "a", cwd=deep).code == 0
    assert stack.hr("-C", stack.dir, "ps", cwd="/").code == 0
    assert stack.hr("ps", cwd=stack.base).code in (2, 3)


# ------------------------------------------------- restart reload stop …

def test_restart_waits_until_ready(stack):
    port = free_port()
    started(stack, "a", "b", a=("--sleep=200", "--listen=%d" % port),
            conf="service a { port main { number = %d } }\n" % port)
    old, b = ask(port), stack.pid("b")
    done = stack.hr("restart", "a")
    assert done.code == 0, done.both
    new = ask(port)
    assert new and new[1] > old[1] and new[2] != old[2]
    assert stack.pid("b") == b
    assert "a" in done.out and str(new[1]) in done.out


def test_restart_of_several(stack):
    started(stack, "a", "b", "c")
    assert stack.hr("restart", "a", "b").code == 0
    stack.wait_journal("start", "a.1", n=2)
    stack.wait_journal("start", "b.1", n=2)
    assert len(stack.journal("start", "c.1")) == 1


def test_restart_does_not_build_and_reload_does(stack):
    started(stack, "a", conf="service a { build = 'echo x >>../builds' }\n")

    def count():
        with open(os.path.join(stack.base, "builds")) as f:
            return len(f.readlines())
    assert count() == 1
    assert stack.hr("restart", "a").code == 0
    assert count() == 1
    assert stack.hr("reload", "a").code == 0
    assert count() == 2
    assert len(stack.journal("start", "a.1")) == 3


def test_reload_whose_build_fails(stack):
    started(stack, "a", conf="service a { build = 'echo why not; "
            "test ! -e bad' }\n")
    pid = stack.pid("a")
    stack.write("bad", "")
    done = stack.hr("reload", "a")
    assert done.code == 1
    assert "build" in done.both
    assert stack.pid("a") == pid


def test_restart_of_one_that_fails_is_1_with_the_reason(stack):
    stack.conf("service a { restart = \"never\"  "
               "port main { number = %d } }\n" % free_port())
    stack.procfile(a="test ! -e bad || exit 7; exec " + actor(
        "--listen=env"), b=actor())
    stack.up()
    stack.write("bad", "")
    done = stack.hr("restart", "a")
    assert done.code == 1
    assert "7" in done.err and "a" in done.err
    assert stack.row("b")["state"] == "ready"


def test_restart_of_one_that_is_killed_before_ready(stack):
    stack.procfile(a="test ! -e bad || kill -SEGV $$; exec " +
                   actor("--listen=env"), b=actor())
    stack.conf("service a { restart = \"never\"  "
               "port main { number = %d } }\n" % free_port())
    stack.up()
    stack.write("bad", "")
    done = stack.hr("restart", "a")
    assert done.code == 1
    assert "SIGSEGV" in done.err


def test_unknown_service_names_the_nearest(stack):
    started(stack, "ingest", "web")
    for verb in ("restart", "reload", "start", "stop", "logs"):
        done = stack.hr(verb, "ingets")
        assert done.code == 2, (verb, done.both)
        assert "ingets" in done.err and "ingest" in done.err.replace(
            "ingets", "")
    # All or nothing.
    assert stack.hr("stop", "web", "nope").code == 2
    assert stack.row("web")["state"] == "ready"


def test_stop_pauses_reloads_until_start(stack):
    stack.write("src/x", "1")
    started(stack, "a", "b", a=("--read=src/x",), conf=(
        "service a { watch { dirs = {\"src\"} } }\n"))
    pid = stack.pid("a")
    assert stack.hr("stop", "a").code == 0
    assert not alive(pid)
    assert stack.row("a")["state"] == "stopped"
    stack.write("src/x", "2")
    stays(lambda: len(stack.journal("start", "a.1")) == 1)
    assert stack.hr("stop", "a").code == 0        # again: fine
    assert stack.hr("start", "a").code == 0
    assert stack.wait_journal("read", "a.1", n=2).note == "2"
    stack.ready("a")
    stack.write("src/x", "3")
    assert stack.wait_journal("read", "a.1", n=3).note == "3"


def test_start_of_a_running_one_changes_nothing(stack):
    started(stack, "a")
    pid = stack.pid("a")
    assert stack.hr("start", "a").code == 0
    assert stack.pid("a") == pid


def test_restart_of_a_stopped_one_starts_it(stack):
    started(stack, "a", "b")
    stack.hr("stop", "a")
    assert stack.hr("restart", "a").code == 0
    stack.ready("a")


def test_stop_waits_until_it_is_gone(stack):
    started(stack, "a", "b", a=("--on-int=after:400",))
    pid = stack.pid("a")
    assert stack.hr("stop", "a").code == 0
    assert not alive(pid)
    assert stack.journal("end", "a.1")


def test_stop_of_all_keeps_the_stack(stack):
    started(stack, "a", "b")
    assert stack.hr("stop", "a", "b").code == 0
    stays(lambda: stack.process.poll() is None)
    assert stack.hr("start", "a").code == 0


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "usr1",
                                  str(int(signal.SIGUSR1))])
def test_signal(stack, name):
    started(stack, "a", "b", a=("--on-usr1=print",), b=("--on-usr1=print",))
    assert stack.hr("signal", name, "a").code == 0
    stack.wait_journal("signal", "a.1")
    stack.wait_out("^got SIGUSR1$", "a")
    assert not stack.journal("signal", "b.1")
    assert stack.row("a")["state"] == "ready"


def test_unknown_signal(stack):
    started(stack, "a")
    done = stack.hr("signal", "NOPE", "a")
    assert done.code == 2 and "NOPE" in done.err


def test_concurrent_restarts_leave_one(stack):
    started(stack, "a", a=("--on-int=after:50",))
    clients = [stack.popen("restart", "a", stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL) for _ in range(8)]
    codes = [c.wait(20) for c in clients]
    assert all(c in (0, 1) for c in codes) and 0 in codes, codes
    stack.ready("a")
    stack.no_overlap()
    living = [e.pid for e in stack.journal("start", "a.1") if alive(e.pid)]
    assert living == [stack.pid("a")]


def test_stop_during_a_restart_wins(stack):
    started(stack, "a", "b", a=("--on-int=after:300",))
    restart = stack.popen("restart", "a", stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE)
    stack.wait_journal("signal", "a.1")
    assert stack.hr("stop", "a").code == 0
    assert restart.wait(10) == 1
    restart.stderr.close()
    stays(lambda: len(stack.journal("start", "a.1")) == 1)
    assert stack.row("a")["state"] == "stopped"


def test_a_service_may_restart_itself(stack):
    stack.procfile(a="test -e done || { touch done; exec %s restart a; }; "
                   "exec %s" % (stack.hr_path, actor()))
    stack.up(settled=False)
    stack.wait_journal("start", "a.1")
    stack.ready("a")


def test_a_hundred_restarts_leak_nothing(stack):
    started(stack, "a", "b")

    def count():
        return {r: [len(os.listdir("/proc/%d/fd" % p)) for p in
                    stack.roles(r)] for r in ("master", "watcher", "worker")}
    stack.hr("restart", "a")
    before = count()
    for _ in range(40):
        assert stack.hr("restart", "a").code == 0
    eventually(lambda: count() == before, None,
               lambda: "%s then %s" % (before, count()))
    assert len(stack.roles("keeper")) == 2


def test_nonsense_on_the_socket(stack):
    started(stack, "a")
    pid = stack.pid("a")
    for data in (b"\n", b"nonsense\n", b"{}\n", b"{\"do\": 7}\n",
                 b"{\"do\": \"fly\"}\n", b"[" * 100000 + b"\n",
                 b"x" * (4 << 20), b"{\"do\": \"ps\"", b"\xff\xfe\0\n",
                 b"{\"do\":\"restart\",\"services\":[7,null,{}]}\n",
                 b"{\"do\":\"restart\",\"services\":\"a\"}\n"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(stack.path(".hr/hr.sock"))
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert stack.process.poll() is None, data[:20]
    assert stack.pid("a") == pid


def connects(s, path):
    try:
        s.connect(path)
    except BlockingIOError:      # the queue is full
        return False
    return True


def test_many_clients_that_say_nothing(stack):
    started(stack, "a")
    open_ones = []
    try:
        for _ in range(200):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(5)
            open_ones.append(s)
            eventually(lambda: connects(s, stack.path(".hr/hr.sock")))
        assert stack.hr("ps").code == 0
    finally:
        for s in open_ones:
            s.close()


def test_status_while_everything_moves(stack):
    started(stack, "a", "b")
    stop = threading.Event()
    bad = []

    def poll():
        while not stop.is_set():
            done = stack.hr("ps", "--json")
            if done.code != 0 or len(json.loads(done.out)["services"]) != 2:
                bad.append(done.both)
    threads = [threading.Thread(target=poll) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for _ in range(10):
            assert stack.hr("restart", "a", "b").code == 0
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not bad


# ----------------------------------------------------------- logs, events

def test_logs(stack):
    started(stack, "a", "b", a=("--flood=50:20",), b=("--print=from b",))
    stack.wait_out("line 00000050", "a")
    done = stack.hr("logs")
    assert done.code == 0
    assert "from b" in done.out and "line 00000001" in done.out
    done = stack.hr("logs", "-n", "3", "a")
    texts = [t for t in done.out.splitlines()]
    assert len(texts) == 3, done.out
    assert "line 00000050" in texts[-1] and "from b" not in done.out
    assert re.match(r"\d\d:\d\d:\d\d a *\| ", texts[-1])
    assert stack.hr("logs", "-n", "0", "a").out == ""


def test_logs_follow(stack):
    started(stack, "a", a=("--tick=30",))
    stack.wait_out("tick 3$", "a")
    client = stack.popen("logs", "-f", "-n", "2", "a", stdout=subprocess.PIPE,
                         text=True)
    stack.helpers.append(client)
    seen = []
    for line in client.stdout:
        seen.append(int(line.split("tick ")[1]))
        if len(seen) >= 12:
            break
    assert seen == list(range(seen[0], seen[0] + 12))    # none lost, doubled
    client.kill()
    client.stdout.close()


def test_logs_outlive_a_generation(stack):
    started(stack, "a", a=("--print=words",))
    stack.hr("restart", "a")
    stack.wait_journal("start", "a.1", n=2)
    eventually(lambda: stack.hr("logs", "a").out.count("words") == 2)


def test_logs_json(stack):
    started(stack, "a", a=("--print=say \"hi\"",))
    stack.wait_out("say", "a")
    done = stack.hr("logs", "--json", "a")
    if done.code == 2:
        pytest.skip("logs --json is not built yet")
    objects = [json.loads(line) for line in done.out.splitlines()]
    assert any("say \"hi\"" in o.values() for o in objects)


def test_followers_end_with_the_stack(stack):
    started(stack, "a")
    clients = [stack.popen(*v, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
               for v in (("logs", "-f"), ("events", "-f"))]
    stays(lambda: all(c.poll() is None for c in clients), 0.2)
    stack.stop()
    for c in clients:
        assert c.wait(5) in (0, 3)


def test_events_json(stack):
    stack.write("src/x", "1")
    started(stack, "a", "b", a=("--on-int=after:50",), conf=(
        "service a { watch { dirs = {\"src\"} }  build = 'true' }\n"))
    events = stack.events()
    stack.write("src/x", "2")
    e = events.wait("reloaded", "a")
    assert e["result"] == "ready" and e["trigger"] == ["src/x"]
    for key in TIMES:
        assert e[key] >= 0
    names = [x["event"] for x in events.items if x.get("service") == "a"]
    order = [n for n in names if n in ("changed", "build_started",
             "build_done", "draining", "exited", "starting")]
    for first, second in (("changed", "build_started"),
                          ("build_started", "build_done"),
                          ("build_done", "draining"),
                          ("draining", "exited")):
        i = len(order) - 1 - order[::-1].index(first)
        assert second in order[i:], order
    for x in events.items:
        assert {"seq", "at", "event"} <= set(x), x
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}"
                        r"(Z|[+-]\d\d:\d\d)$", x["at"])
    seqs = [x["seq"] for x in events.items]
    assert seqs == sorted(set(seqs))


def test_events_without_follow_end(stack):
    started(stack, "a", "b")
    done = stack.hr("events", "--json")
    assert done.code == 0
    all_ = [json.loads(line) for line in done.out.splitlines()]
    assert {e.get("service") for e in all_ if e["event"] == "ready"} == {
        "a", "b"}
    done = stack.hr("events", "--json", "a")
    assert {json.loads(li).get("service")
            for li in done.out.splitlines()} == {"a"}
    assert stack.hr("events").code == 0


# ---------------------------------------------------- live configuration

later = pytest.mark.xfail(reason="live configuration is not built yet",
                          strict=True)


@later
def test_changed_procfile_is_applied(stack):
    started(stack, "a", "b", "c")
    a = stack.pid("a")
    stack.procfile(a=actor(), b=actor("--print=changed"), d=actor())
    stack.wait_journal("start", "d.1")
    stack.wait_journal("start", "b.1", n=2)
    eventually(lambda: stack.journal("end", "c.1"))
    eventually(lambda: [r["name"] for r in stack.ps()] == ["a", "b", "d"])
    assert stack.pid("a") == a


@later
def test_invalid_change_changes_nothing(stack):
    started(stack, "a", "b")
    pids = stack.pid("a"), stack.pid("b")
    stack.write("Procfile", "a: %s\nnonsense line\n" % actor())
    stack.wait_out("Procfile:2")
    stays(lambda: (stack.pid("a"), stack.pid("b")) == pids)
    stack.procfile(a=actor(), b=actor("--print=valid again"))
    stack.wait_out("valid again", "b")
    assert stack.pid("a") == pids[0]
