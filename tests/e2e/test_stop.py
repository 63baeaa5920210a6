# SPDX-License-Identifier: MIT
"""How a service ends, whatever it does; restart policies; failing starts."""
import os
import re
import signal
import socket
import time

import pytest

from harness import ACTOR, actor, alive, ask, eventually, free_port, stays


def one(stack, options=(), body="", command=None):
    stack.procfile(a=command or actor(*options))
    stack.conf("service a {\n%s\n}\n" % body)
    stack.up()
    stack.wait_journal("start", "a.1")


def pids_of(stack):
    return [e.pid for e in stack.journal(id="a.1")
            if e.event in ("start", "child-start")]


def took(function):
    began = time.monotonic()
    function()
    return time.monotonic() - began


# ------------------------------------------------------------ how it stops

@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1"])
def test_kill_signal(stack, name):
    one(stack, ("--on-%s=exit:0" % name.lower(),),
        "kill_signal = \"SIG%s\"" % name)
    assert stack.hr("stop", "a").code == 0
    assert [e.note for e in stack.journal("signal")] == ["SIG" + name]
    assert stack.row("a")["state"] == "stopped"


def test_group_gets_the_signal_by_default(stack):
    one(stack, ("--spawn=plain", "--on-int=after:150"))
    stack.wait_journal("child-start")
    stack.hr("stop", "a")
    assert stack.journal("child-signal") and stack.journal("signal")


def test_scope_main(stack):
    one(stack, ("--spawn=plain", "--on-int=after:200"),
        "kill_scope = \"main\"")
    stack.wait_journal("child-start")
    stack.hr("stop", "a")
    main_end = stack.journal("end")[0]
    # The child hears of it when the main process has ended, not before.
    assert all(e.at > main_end.at for e in stack.journal("child-signal"))
    assert not any(alive(p) for p in pids_of(stack))


def test_never_a_second_graceful_signal(stack):
    one(stack, ("--on-int=after:600", "--spawn=slow", "--spawn=slow,setsid"),
        "kill_delay = \"10s\"")
    stack.hr("stop", "a")
    for pid in set(pids_of(stack)):
        got = [e for e in stack.journal() if e.pid == pid and
               e.event in ("signal", "child-signal")]
        assert len(got) <= 1, got
    assert stack.journal("end")[0].note == "exit:0"


def test_one_that_ends_at_once_is_not_waited_for(stack):
    one(stack, (), "kill_delay = \"30s\"")
    assert took(lambda: stack.hr("restart", "a")) < 2
    assert took(lambda: stack.hr("stop", "a")) < 2


def test_kill_delay(stack):
    one(stack, ("--on-int=ignore",), "kill_delay = \"700ms\"")
    pid = stack.pid("a")
    spent = took(lambda: stack.hr("stop", "a"))
    assert 0.65 < spent < 2.5
    assert not alive(pid)
    assert stack.row("a")["state"] == "stopped"


def test_kill_delay_gives_time(stack):
    one(stack, ("--on-int=after:900",), "kill_delay = \"20s\"")
    stack.hr("stop", "a")
    assert stack.journal("end")[0].note == "exit:0"


def test_kill_delay_zero(stack):
    one(stack, ("--on-int=ignore",), "kill_delay = \"0s\"")
    assert took(lambda: stack.hr("stop", "a")) < 1.5


@pytest.mark.parametrize("kind", [
    "plain", "ignore", "setsid", "setsid,ignore", "daemon", "daemon,ignore",
    "daemon,ignore,closefds", "pgrp", "pgrp,ignore"])
def test_no_child_survives(stack, kind):
    one(stack, ("--spawn=" + kind,) * 3, "kill_delay = \"300ms\"")
    stack.wait_out("^child \\d+", "a")
    eventually(lambda: len([t for t in stack.lines("a")
                            if re.match(r"child \d+$", t)]) == 3)
    children = [int(t.split()[1]) for t in stack.lines("a")
                if re.match(r"child \d+$", t)]
    assert all(alive(p) for p in children)
    assert stack.hr("restart", "a").code == 0
    assert not any(alive(p) for p in children)
    stack.wait_journal("start", "a.1", n=2)
    stack.no_overlap()


def test_children_outside_the_group_may_drain_too(stack):
    one(stack, ("--spawn=slow,setsid",))
    stack.wait_journal("child-start")
    stack.hr("stop", "a")
    assert [e.note for e in stack.journal("child-end")] == ["exit:0"]


@pytest.mark.parametrize("n", [1, 5])
def test_fork_chains_are_ended(stack, n):
    one(stack, ("--chain=%d" % n, "--print=up"), "kill_delay = \"200ms\"")
    stack.wait_out("^up$", "a")
    assert stack.hr("stop", "a", timeout=30).code == 0
    left = set(stack.processes()) - set(stack.roles())
    assert not left


def test_children_left_by_a_service_that_ends_are_ended(stack):
    stack.procfile(a=actor("--spawn=daemon,ignore", "--exit=0"), b=actor())
    stack.conf("service a { kill_delay = \"200ms\" }\n")
    stack.up()
    stack.wait_row("a", state="done")
    eventually(lambda: not any(alive(p) for p in pids_of(stack)))


@pytest.mark.parametrize("wrapper", [
    "sh -c '%s; true'", "%s; true", "%s & wait", "cd . && %s; echo over",
    "exec %s", "(%s)"])
def test_shell_wrappers(stack, wrapper):
    port = free_port()
    command = wrapper % actor("--on-int=after:150", "--listen=%d" % port)
    one(stack, command=command,
        body="kill_delay = \"5s\"\nport main { number = %d }" % port)
    stack.wait_journal("listen", "a.1")
    stack.ready("a")
    pid = ask(port)[2]
    assert stack.hr("restart", "a").code == 0
    assert not alive(pid)
    assert ask(port)[2] != pid
    stack.no_overlap()
    if "& wait" not in wrapper:    # a background job ignores SIGINT
        assert stack.journal("end")[0].note == "exit:0"
    assert not stack.saw("address already in use")


def test_kill_of_a_service_that_stopped_itself(stack):
    """SIGSTOP'ed: SIGINT cannot arrive, SIGKILL does."""
    one(stack, (), "kill_delay = \"300ms\"")
    os.kill(stack.pid("a"), signal.SIGSTOP)
    assert stack.hr("restart", "a").code == 0
    stack.wait_journal("start", "a.1", n=2)
    stack.no_overlap()


# -------------------------------------------------------------------- port

def test_port_is_free_before_the_start(stack):
    port = free_port()
    one(stack, ("--listen=%d" % port, "--on-int=after:100",
                "--spawn=daemon,ignore,port"),
        "kill_delay = \"400ms\"\nport main { number = %d }" % port)
    for n in range(2, 5):
        assert stack.hr("restart", "a").code == 0
        assert ask(port)[1] == stack.row("a")["generation"]
    assert not stack.saw("address already in use")


def test_port_held_by_a_stranger(stack):
    port = free_port()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        s.listen()
        stack.procfile(a=actor("--listen=%d" % port), b=actor())
        stack.conf("service a { port main { number = %d } }\n" % port)
        stack.up(settled=False)
        stack.wait_out("a.*port.* %d .*pid %d.*python" % (port, os.getpid()),
                       "hr")
        stack.wait_journal("start", "b.1")
        assert stack.row("a")["state"] in ("waiting", "starting", "draining")
        assert not stack.journal("start", "a.1")
    stack.wait_journal("listen", "a.1")
    stack.ready("a")


def test_ready_is_listening(stack):
    port = free_port()
    stack.procfile(a=actor("--until=go", "--listen=%d" % port))
    stack.conf("service a { port main { number = %d } }\n" % port)
    stack.up(settled=False)
    stack.wait_journal("start", "a.1")
    stays(lambda: stack.row("a")["state"] == "starting", 0.3)
    stack.write("go", "")
    stack.ready("a")
    assert ask(port)


def test_ready_timeout(stack):
    port = free_port()
    stack.procfile(a=actor(), b=actor())
    stack.conf("service a { restart = \"never\"  port main { number = %d }"
               "  ready { listen = true  timeout = \"400ms\" } }\n" % port)
    stack.up(settled=False)
    stack.wait_row("a", state="failed")
    assert stack.saw("a.*(ready|listen)", "hr")


def test_same_port_in_two_services_is_an_error(stack):
    stack.procfile(a=actor(), b=actor())
    stack.conf("service a { port p { number = 8123 } }\n"
               "service b { port p { number = 8123 } }\n")
    done = stack.hr("check")
    assert "8123" in done.both


def test_lock_keeps_two_stacks_apart(stacks):
    first, second = stacks(), stacks()
    shared = os.path.join(first.base, "shared.db")
    for s in (first, second):
        s.procfile(a=actor("--flock=" + shared))
        s.conf("service a { lock = {\"%s\"} }\n" % shared)
    first.up()
    first.wait_journal("start", "a.1")
    second.up(settled=False)
    second.wait_out("lock|held|shared.db", "hr")
    stays(lambda: not second.journal("start"))
    assert second.saw(str(first.process.pid)) or \
        any(second.saw(r"\b%d\b" % p) for p in first.roles())
    first.stop()
    second.wait_journal("start", "a.1")
    assert not second.saw("database is locked")


# --------------------------------------------------- policies and back-off

@pytest.mark.parametrize("policy, end, again", [
    ("always", "--exit=0", True), ("always", "--exit=1", True),
    ("on-failure", "--exit=0", False), ("on-failure", "--exit=1", True),
    ("on-failure", "--kill=9", True), ("never", "--exit=0", False),
    ("never", "--exit=1", False)])
def test_restart_policy(stack, policy, end, again):
    stack.procfile(a=actor(end), b=actor())
    stack.conf("service a { restart = \"%s\"  backoff = \"30ms\" }\n" %
               policy)
    stack.up(settled=False)
    if again:
        stack.wait_journal("start", "a.1", n=3)
        assert stack.row("a")["restarts"] >= 2
    else:
        stack.wait_row("a", state="done" if end == "--exit=0" else "failed")
        stays(lambda: len(stack.journal("start", "a.1")) == 1)
        assert stack.row("a")["pid"] in (0, None)


def test_back_off_doubles(stack):
    stack.procfile(a=actor("--exit=1"), b=actor())
    stack.conf("service a { backoff = \"100ms\" }\n")
    stack.up(settled=False)
    starts = [stack.wait_journal("start", "a.1", n=n + 1).at
              for n in range(5)]
    gaps = [(y - x) / 1e6 for x, y in zip(starts, starts[1:])]
    for gap, least in zip(gaps, (95, 195, 395, 795)):
        assert least <= gap < least * 2 + 300, gaps
    assert stack.saw("a.*exit.* 1", "hr")


def test_max_restarts(stack):
    stack.procfile(a=actor("--exit=1"), b=actor())
    stack.conf("service a { backoff = \"20ms\"  max_restarts = 2 }\n")
    stack.up(settled=False)
    stack.wait_row("a", state="failed")
    assert len(stack.journal("start", "a.1")) == 3


def test_back_off_is_shown_and_start_ends_it(stack):
    stack.procfile(a="test -e ok || exit 3; exec " + actor(), b=actor())
    stack.conf("service a { backoff = \"60s\" }\n")
    stack.up(settled=False)
    stack.wait_row("a", state="backoff")
    stack.write("ok", "")
    assert stack.hr("restart", "a").code == 0
    stack.ready("a")


def test_stop_during_back_off(stack):
    stack.procfile(a=actor("--exit=3"), b=actor())
    stack.conf("service a { backoff = \"300ms\" }\n")
    stack.up(settled=False)
    stack.wait_row("a", state="backoff")
    assert stack.hr("stop", "a").code == 0
    n = len(stack.journal("start", "a.1"))
    stays(lambda: len(stack.journal("start", "a.1")) == n, 0.8)
    assert stack.row("a")["state"] == "stopped"


def test_ctrl_c_during_back_off(stack):
    stack.procfile(a=actor("--exit=3"))
    stack.conf("service a { backoff = \"60s\" }\n")
    stack.up(settled=False)
    stack.wait_row("a", state="backoff")
    assert took(stack.stop) < 3


# ------------------------------------------------------------ cannot start

def exec_case(stack, command):
    stack.procfile(a=command, b=actor())
    stack.conf("defaults { restart = \"never\" }\n")
    stack.up(settled=False)
    stack.wait_row("a", state="failed")
    stack.ready("b")
    stack.wait_journal("start", "b.1")
    text = "\n".join(stack.lines("hr") + stack.lines("a"))
    assert stack.stop() == 130
    return text


def test_command_not_found(stack):
    text = exec_case(stack, "no-such-program --x")
    assert "no-such-program" in text
    assert re.search("not found|no such file", text, re.I)


def test_command_not_found_path(stack):
    text = exec_case(stack, "./bin/none --x")
    assert "./bin/none" in text
    assert re.search("not found|no such file", text, re.I)


def test_command_not_found_in_a_shell(stack):
    text = exec_case(stack, "no-such-program --x && true")
    assert "no-such-program" in text and re.search("not found", text)


def test_not_executable(stack):
    stack.write("plain", "#!/bin/sh\n", 0o644)
    text = exec_case(stack, "./plain")
    assert "./plain" in text and re.search(
        "permission denied|not executable", text, re.I)


def test_bad_interpreter(stack):
    stack.write("script", "#!/no/such/interpreter\n", 0o755)
    text = exec_case(stack, "./script")
    assert "script" in text
    assert re.search("interpreter|no such file|not found", text, re.I)


def test_command_is_a_directory(stack):
    os.mkdir(stack.path("bin"))
    text = exec_case(stack, "./bin")
    assert "./bin" in text
    assert re.search("permission denied|is a directory", text, re.I)


def test_not_a_program(stack):
    stack.write("garbage", "\x7fELF nonsense", 0o755)
    text = exec_case(stack, "./garbage")
    assert "garbage" in text


def test_directory_of_a_service_is_gone(stack):
    stack.procfile(a=actor(), b=actor())
    os.mkdir(stack.path("there"))
    stack.conf("service a { dir = \"there\"  restart = \"never\" }\n")
    stack.up()
    stack.wait_journal("start", "a.1")
    pid = stack.pid("b")
    os.rmdir(stack.path("there"))
    done = stack.hr("restart", "a")
    assert done.code == 1
    assert "there" in done.both
    stack.wait_row("a", state="failed")
    assert stack.pid("b") == pid
    os.mkdir(stack.path("there"))
    assert stack.hr("start", "a").code == 0


def test_an_executable_mended_later(stack):
    stack.procfile(a="./late", b=actor())
    stack.conf("service a { backoff = \"50ms\" }\n")
    stack.up(settled=False)
    stack.wait_out("a.*late", "hr")
    stack.script("late", "exec %s\n" % ACTOR)
    stack.wait_journal("start", "a.1")
    stack.ready("a")
