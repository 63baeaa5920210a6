# SPDX-License-Identifier: MIT
"""`hr up` and `hr down`: what starts, what is shown, how it ends."""
import os
import re
import shutil
import signal
import time

import pytest

from harness import ACTOR, LINE, actor, alive, ask, eventually, free_port, \
    stays


def test_procfile_alone_runs_like_foreman(stack):
    stack.procfile(web=actor("--print=hello"), worker=actor("--print=hallo"))
    stack.up()
    stack.wait_out("^hello$", "web")
    stack.wait_out("^hallo$", "worker")
    assert len(stack.journal("start")) == 2
    assert stack.stop() == 130
    stack.gone()
    assert {e.id for e in stack.journal("end")} == {"web.1", "worker.1"}


def test_says_once_that_nothing_is_watched(stack):
    stack.procfile(a=actor(), b=actor())
    stack.up()
    stack.wait_out("watch", "hr")
    assert sum("watch" in t for t in stack.lines("hr")) == 1


def test_prefix_is_time_and_padded_name(stack):
    stack.procfile(a=actor("--print=from-a"),
                   longest=actor("--print=from-longest"))
    stack.up()
    stack.wait_out("from-a")
    stack.wait_out("from-longest")
    for line in stack.out().splitlines():
        assert LINE.match(line), line
        assert line[17:19] == "| ", line
    assert re.search(r"^\d\d:\d\d:\d\d a       \| from-a$", stack.out(), re.M)
    assert re.search(r"^\d\d:\d\d:\d\d longest \| from-longest$",
                     stack.out(), re.M)


def test_no_colour_off_a_terminal_and_colour_on_one(stack):
    stack.procfile(a=actor("--print=x"))
    stack.env["TERM"] = "xterm-256color"
    stack.up()
    stack.wait_out(r"\| x")
    assert "\x1b" not in stack.out()
    stack.stop()
    stack.up(use_pty=True)
    stack.wait_out("\x1b\\[")
    stack.stop()


def test_no_color_and_color_option(stack):
    stack.procfile(a=actor("--print=x"))
    stack.env.update(TERM="xterm", NO_COLOR="1")
    stack.up(use_pty=True)
    stack.wait_out(r"\| x")
    assert "\x1b[" not in stack.out()
    stack.stop()
    del stack.env["NO_COLOR"]
    stack.env["CLICOLOR_FORCE"] = "1"
    stack.up()
    stack.wait_out("\x1b\\[")
    stack.stop()


def test_environment_of_services(stack):
    stack.procfile(a=actor("--env"), b=actor("--env"))
    stack.write(".env", "FROM_FILE='x y'\nHOME=/from/file\n")
    stack.env["FROM_SHELL"] = "yes"
    stack.up()
    stack.wait_out("env-end", "a")
    stack.wait_out("env-end", "b")
    a, b = stack.lines("a"), stack.lines("b")
    for text in ("PORT=5000", "PS=a.1", "HR_SERVICE=a", "HR_INSTANCE=1",
                 "HR_GENERATION=1", "FROM_FILE=x y", "HOME=/from/file",
                 "FROM_SHELL=yes"):
        assert "env " + text in a, text
    assert "env PORT=5100" in b
    assert "env PS=b.1" in b


def test_foreign_activation_variables_are_not_passed_on(stack):
    stack.procfile(a=actor("--env"))
    stack.env.update(LISTEN_FDS="1", LISTEN_PID="1", NOTIFY_SOCKET="/x",
                     WATCHDOG_USEC="1")
    stack.up()
    stack.wait_out("env-end", "a")
    assert not [t for t in stack.lines("a")
                if t.startswith(("env LISTEN_", "env NOTIFY_SOCKET",
                                 "env WATCHDOG_"))]


def test_a_service_gets_clean_descriptors_and_signals(stack):
    stack.procfile(a=actor("--fds", "--mask"))
    stack.up(pass_fds=())
    stack.wait_out("mask-end", "a")
    lines = stack.lines("a")
    # Lock files are meant to be inherited; 102 is the actor's own journal.
    fds = [t.split()[1] for t in lines if t.startswith("fd ")
           and not t.endswith(".lock")]
    assert sorted(set(fds) - {"102"}) == ["0", "1", "2"], lines
    ids = next(t for t in lines if t.startswith("ids "))
    pid, pgid, sid = re.findall(r"=(\d+)", ids)
    assert pid == pgid == sid
    blocked = next(t for t in lines if t.startswith("SigBlk"))
    ignored = next(t for t in lines if t.startswith("SigIgn"))
    assert int(blocked.split()[1], 16) == 0
    assert int(ignored.split()[1], 16) == 0


def test_shell_syntax_runs_in_a_shell(stack):
    stack.procfile(
        a="X=1; echo \"two words\" && echo pipe | tr a-z A-Z; exec " +
        actor("--print=end"),
        b="GREETING=salut " + actor("--env"))
    stack.up()
    stack.wait_out("^two words$", "a")
    stack.wait_out("^PIPE$", "a")
    stack.wait_out("^end$", "a")
    stack.wait_out("^env GREETING=salut$", "b")


def test_instances_by_m(stack):
    stack.procfile(web=actor("--print=x"), db=actor("--print=y"))
    stack.up("-m", "web=3")
    starts = stack.wait_journal("start", "web.3") and stack.journal("start")
    assert sorted(e.id for e in starts) == ["db.1", "web.1", "web.2", "web.3"]
    stack.wait_out("^x$", r"web.2")
    rows = [(r["name"], r["instance"], r["port"]) for r in stack.ps()]
    assert sorted(r[:2] for r in rows) == [
        ("db", 1), ("web", 1), ("web", 2), ("web", 3)]
    stack.stop()


@pytest.mark.parametrize("bad", ["web", "web=x", "web=-1", "nope=2",
                                 "web=1000"])
def test_wrong_m_is_refused(stack, bad):
    stack.procfile(web=actor())
    done = stack.hr("up", "-m", bad)
    assert done.code == 2
    assert done.err
    assert not stack.journal("start")


def test_names_start_only_these_and_what_they_come_after(stack):
    stack.procfile(db=actor(), api=actor(), web=actor(), other=actor())
    stack.conf("service api { after = {\"db\"} }\n"
               "service web { after = {\"api\"} }\n")
    stack.up("web")
    stack.wait_journal("start", "web.1")
    assert [e.id for e in stack.journal("start")] == [
        "db.1", "api.1", "web.1"]
    assert {r["name"] for r in stack.ps() if r["state"] == "ready"} == {
        "db", "api", "web"}


def test_unknown_name_is_refused_with_the_nearest(stack):
    stack.procfile(ingest=actor(), web=actor())
    done = stack.hr("up", "ingets")
    assert done.code == 2
    assert "ingets" in done.err and "ingest" in done.err
    assert not stack.journal("start")


def test_after_waits_for_ready(stack):
    port = free_port()
    stack.procfile(db=actor("--sleep=200", "--listen=%d" % port),
                   web=actor())
    stack.conf("service db { port main { number = %d } }\n"
               "service web { after = {\"db\"} }\n" % port)
    stack.up()
    listen = stack.wait_journal("listen", "db.1")
    assert stack.wait_journal("start", "web.1").at > listen.at


def test_after_done_waits_for_exit_0(stack):
    stack.procfile(migrate=actor("--sleep=100", "--exit=0"), web=actor())
    stack.conf("service migrate { oneshot = true }\n"
               "service web { after = {\"migrate:done\"} }\n")
    stack.up()
    end = stack.wait_journal("end", "migrate.1")
    assert stack.wait_journal("start", "web.1").at > end.at
    assert stack.row("migrate")["state"] == "done"


def test_after_done_of_a_failure_does_not_start(stack):
    stack.procfile(migrate=actor("--exit=3"), web=actor(), other=actor())
    stack.conf("service migrate { oneshot = true  restart = \"never\" }\n"
               "service web { after = {\"migrate:done\"} }\n")
    stack.up(settled=False)
    stack.wait_row("migrate", state="failed")
    stays(lambda: not stack.journal("start", "web.1"))
    assert stack.row("web")["state"] == "waiting"


def test_after_cycle_is_an_error(stack):
    stack.procfile(a=actor(), b=actor())
    stack.conf("service a { after = {\"b\"} }\nservice b { after = {\"a\"} }")
    done = stack.hr("up")
    assert done.code == 2
    assert "a -> b -> a" in done.err and not stack.journal("start")


def test_disabled_service_waits_for_start(stack):
    stack.procfile(a=actor(), b=actor())
    stack.conf("service b { enabled = false }\n")
    stack.up()
    stack.wait_journal("start", "a.1")
    assert stack.row("b")["state"] == "stopped"
    assert stack.hr("start", "b").code == 0
    stack.wait_journal("start", "b.1")
    stack.ready("b")


def test_no_watch(stack):
    stack.write("src/a.c", "1")
    stack.procfile(a=actor())
    stack.conf("service a { watch { dirs = {\"src\"} } }\n")
    stack.up("--no-watch")
    stack.write("src/a.c", "2")
    stays(lambda: len(stack.journal("start")) == 1)
    assert not stack.roles("watcher")


def test_in_the_background(stack):
    port = free_port()
    stack.procfile(a=actor("--sleep=150", "--listen=%d" % port), b=actor())
    stack.conf("service a { port main { number = %d } }\n" % port)
    done = stack.hr("up", "-d")
    assert done.code == 0, done.both
    assert ask(port)
    assert all(r["state"] == "ready" for r in stack.ps())
    done = stack.hr("down")
    assert done.code == 0, done.both
    assert not stack.processes()
    assert stack.hr("ps").code == 3


def test_in_the_background_one_fails(stack):
    stack.procfile(a=actor(), b=actor("--print=no-way", "--exit=4"))
    stack.conf("service b { restart = \"never\"  "
               "port p { number = %d } }\n" % free_port())
    done = stack.hr("up", "-d")
    assert done.code == 1
    assert "b" in done.both and "4" in done.both
    stack.hr("down")
    assert not stack.processes()


def test_in_the_background_does_not_hold_the_terminal(stack):
    """The caller's pipes close although the stack runs on."""
    stack.procfile(a=actor())
    done = stack.hr("up", "-d", timeout=10)   # waits for EOF of both pipes
    assert done.code == 0
    master = stack.hr("ps", "--json").out
    assert '"pid"' in master
    for pid in stack.processes():
        with open("/proc/%d/stat" % pid) as f:
            tty = f.read().rsplit(")", 1)[1].split()[4]
        assert tty == "0"
    stack.hr("down")


def test_in_the_background_configuration_error(stack):
    stack.write("Procfile", "a:\n")
    done = stack.hr("up", "-d")
    assert done.code == 2
    assert "Procfile:1" in done.err


def test_down_waits_for_all(stack):
    stack.procfile(a=actor("--on-int=after:300"), b=actor())
    stack.up()
    stack.wait_journal("start", "a.1")
    assert stack.hr("down").code == 0
    left = set(stack.processes()) - {stack.process.pid}
    assert not left
    assert stack.wait() == 0
    assert stack.journal("end", "a.1")
    assert stack.hr("down").code == 3


def test_second_up_is_refused_after_git_clean(stack):
    """`git clean -fdx` takes .hr away, and must not take the lock."""
    stack.procfile(a=actor())
    first = stack.up()
    stack.wait_journal("start", "a.1")
    shutil.rmtree(stack.path(".hr"))
    second = stack.hr("up")
    assert second.code == 1
    assert str(first.pid) in second.err
    ps = stack.hr("ps")
    assert ps.code == 3
    assert str(first.pid) in ps.err and ".hr" in ps.err
    assert len(stack.journal("start", "a.1")) == 1
    stack.stop(signal.SIGTERM)
    stack.gone()


def test_second_up_is_refused_with_the_pid(stack):
    stack.procfile(a=actor())
    first = stack.up()
    os.mkdir(stack.path("deep"))
    for cwd in (stack.dir, stack.path("deep")):
        done = stack.hr("up", cwd=cwd)
        assert done.code != 0
        assert str(first.pid) in done.err
    assert stack.row("a")["state"] == "ready"
    assert len(stack.journal("start")) == 1


def test_stale_state_is_no_obstacle(stack):
    stack.procfile(a=actor("--on-int=after:200"))
    stack.up()
    stack.wait_journal("start", "a.1")
    stack.process.kill()
    stack.process.wait()
    assert os.path.exists(stack.path(".hr/hr.sock"))
    stack.up()        # at once: the old service still drains
    second = stack.wait_journal("start", "a.1", n=2)
    assert stack.wait_journal("end", "a.1").at < second.at
    stack.no_overlap()


def test_up_down_up(stack):
    stack.procfile(a=actor())
    for i in range(3):
        stack.up()
        stack.wait_journal("start", "a.1", n=i + 1)
        assert stack.hr("down").code == 0
        assert stack.wait() == 0


def test_state_directory(stack):
    stack.procfile(a=actor())
    stack.up()
    assert os.stat(stack.path(".hr")).st_mode & 0o777 == 0o700
    assert os.stat(stack.path(".hr/hr.sock")).st_mode & 0o777 == 0o600
    assert "*" in stack.read(".hr/.gitignore").split()


def test_ctrl_c_once_is_graceful_and_in_reverse_order(stack):
    stack.procfile(db=actor("--on-int=after:100"),
                   api=actor("--on-int=after:100"),
                   web=actor("--on-int=after:1500"))
    stack.conf("service api { after = {\"db\"} }\n"
               "service web { after = {\"api\"} }\n")
    stack.up(use_pty=True)
    stack.wait_journal("start", "web.1")
    pid = stack.pid("web")
    stack.type("\x03")
    assert stack.wait() == 130
    order = [(e.event, e.id) for e in stack.journal()
             if e.event in ("signal", "end")]
    assert order == [("signal", "web.1"), ("end", "web.1"),
                     ("signal", "api.1"), ("end", "api.1"),
                     ("signal", "db.1"), ("end", "db.1")]
    # It says whom it waits for: service, pid and signal.
    waits = [t for t in stack.lines("hr") if "web" in t and str(pid) in t
             and "SIGINT" in t]
    assert waits, stack.out()
    stack.gone()


def test_ctrl_c_reaches_services_once(stack):
    stack.procfile(a=actor("--on-int=after:200"))
    stack.up(use_pty=True)
    stack.wait_journal("start", "a.1")
    stack.type("\x03")
    assert stack.wait() == 130
    assert len(stack.journal("signal", "a.1")) == 1
    stack.wait_out("got SIGINT", "a")
    stack.wait_out("drained", "a")


def test_ctrl_c_twice_kills_now(stack):
    stack.procfile(a=actor("--on-int=ignore", "--on-term=ignore"),
                   b=actor("--on-int=after:60000"))
    stack.conf("defaults { kill_delay = \"60s\" }\n")
    stack.up(use_pty=True)
    stack.wait_journal("start", "b.1")
    stack.wait_journal("start", "a.1")
    stack.type("\x03")
    stack.wait_journal("signal", "b.1")
    stack.wait_out("waiting for b")     # a second one at once is the same one
    began = time.monotonic()
    stack.type("\x03")
    assert stack.wait() == 130
    assert time.monotonic() - began < 3
    stack.gone()


def test_sigterm_stops_gracefully(stack):
    stack.procfile(a=actor("--on-int=after:100"))
    stack.up()
    stack.wait_journal("start", "a.1")
    code = stack.stop(signal.SIGTERM)
    assert code in (0, 128 + signal.SIGTERM)
    assert stack.journal("end", "a.1")
    stack.gone()


def test_sighup_stops_gracefully(stack):
    stack.procfile(a=actor("--on-int=after:100"))
    stack.up()
    stack.wait_journal("start", "a.1")
    stack.stop(signal.SIGHUP)
    assert stack.journal("end", "a.1")
    stack.gone()


def test_closed_terminal_stops_gracefully(stack):
    stack.procfile(a=actor("--on-int=after:100", "--tick=20"))
    stack.up(use_pty=True)
    stack.wait_journal("start", "a.1")
    stack.hang_up()
    stack.wait()
    stack.wait_journal("end", "a.1")
    stack.gone()


def test_ends_when_everything_is_done_and_nothing_is_watched(stack):
    stack.procfile(a=actor("--print=x", "--exit=0"), b=actor("--exit=0"))
    stack.up(settled=False)
    assert stack.wait() == 0
    assert "x" in stack.lines("a")


def test_stays_when_everything_is_done_but_watched(stack):
    stack.write("src/a.c", "1")
    stack.procfile(a=actor("--read=src/a.c", "--exit=0"))
    stack.conf("service a { oneshot = true  watch { dirs = {\"src\"} } }\n")
    stack.up()
    stack.wait_row("a", state="done")
    stays(lambda: stack.process.poll() is None)
    stack.write("src/a.c", "2")
    assert stack.wait_journal("read", "a.1", n=2).note == "2"


def test_keeps_running_when_one_of_two_ends(stack):
    stack.procfile(a=actor("--exit=0"), b=actor())
    stack.up()
    stack.wait_row("a", state="done")
    stays(lambda: stack.process.poll() is None)
    assert stack.row("b")["state"] == "ready"


@pytest.mark.parametrize("how, code", [
    ("--exit=3", 3), ("--exit=0", 0), ("--kill=9", 137), ("--kill=11", 139)])
def test_on_exit_stop_gives_the_code(stack, how, code):
    stack.procfile(a=actor("--until=go", how), b=actor("--on-int=after:100"))
    stack.conf("on_exit = \"stop\"\ndefaults { restart = \"never\" }\n")
    stack.up()
    stack.wait_journal("start", "b.1")
    stack.write("go", "")
    assert stack.wait() == code
    assert stack.journal("end", "b.1"), "b was not stopped gracefully"
    stack.gone()


def test_failed_service_keeps_the_rest_by_default(stack):
    stack.procfile(a=actor("--exit=3"), b=actor())
    stack.conf("service a { restart = \"never\" }\n")
    stack.up()
    stack.wait_row("a", state="failed")
    assert stack.row("b")["state"] == "ready"
    assert stack.saw("exit.* 3", "hr")
    assert stack.stop() == 130


def test_procfile_dev_and_conf_alone(stacks):
    one = stacks()
    one.write("Procfile.dev", "a: %s\n" % actor())
    one.up()
    one.wait_journal("start", "a.1")
    two = stacks()
    two.conf("service b { command = '%s' }\n" % actor())
    two.up()
    two.wait_journal("start", "b.1")


def test_other_files_and_directory(stack):
    stack.write("sub/My.procfile", "a: %s\n" % actor("--env"))
    stack.write("other.conf", "service a { env = {\"K=V\"} }\n")
    stack.write("more.env", "FROM_E=1\n")
    stack.up(settled=False, first=("-f", "sub/My.procfile", "-c",
                                   "other.conf", "-e", "more.env"))
    stack.wait_out("^env K=V$", "a")
    stack.wait_out("^env FROM_E=1$", "a")
    stack.stop()
    stack.procfile(z=actor())
    stack.up(first=("-C", stack.dir), cwd="/", settled=False)
    stack.wait_journal("start", "z.1")


def test_missing_env_file_is_an_error(stack):
    stack.procfile(a=actor())
    done = stack.hr("-e", "nope.env", "up")
    assert done.code == 2 and "nope.env" in done.err


def test_keys_without_effect_yet_are_named(stack):
    port = free_port()
    stack.procfile(a=actor("--listen=%d" % port))
    stack.conf("service a { handoff = \"overlap\"  port main { number = %d  "
               "mode = \"adopt\" } }\n" % port)
    stack.up()
    stack.wait_out("no effect yet", "hr")


def test_spaces_in_directory_names(stack):
    stack.dir = os.path.join(stack.base, "my stack ü")
    os.mkdir(stack.dir)
    stack.write("src dir/a.c", "1")
    stack.procfile(a=actor("--read=src dir/a.c"))
    stack.conf("service a { watch { dirs = {\"src dir\"} } }\n")
    stack.up()
    assert stack.wait_journal("read", "a.1").note == "1"
    stack.write("src dir/a.c", "2")
    assert stack.wait_journal("read", "a.1", n=2).note == "2"


def test_services_do_not_see_hr_as_their_terminal(stack):
    """A key typed at hr's terminal is not for the services."""
    stack.procfile(a="if read x; then echo got $x; else echo eof; fi; exec " +
                   ACTOR)
    stack.up(use_pty=True)
    stack.wait_out("^eof$", "a")


def test_hr_up_leaves_no_process_of_its_own(stack):
    stack.procfile(a=actor("--print=x"))
    stack.up()
    pids = stack.processes()
    assert len(pids) >= 4
    stack.stop()
    eventually(lambda: not any(alive(p) for p in pids))
