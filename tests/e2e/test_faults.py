# SPDX-License-Identifier: MIT
"""
kill -9 of every kind of process: the table of faults in docs/architecture.md.

After each: nothing survives that should not, others do not notice, and two
generations of a service never meet (the actors' journal would say "overlap").
"""
import os
import signal

import pytest

from harness import actor, alive, ask, eventually, free_port, stays


@pytest.fixture
def pair(stack):
    """`a`, which drains 200 ms and has a child of every kind, and `b`."""
    stack.procfile(
        a=actor("--on-int=after:200", "--spawn=plain", "--spawn=daemon",
                "--spawn=setsid,ignore", "--print=up"),
        b=actor())
    stack.conf("defaults { kill_delay = \"1s\"  backoff = \"50ms\" }\n")
    stack.up()
    stack.wait_out("^up$", "a")
    stack.wait_journal("start", "b.1")
    stack.b_pid = stack.pid("b")
    return stack


def tree_of(stack, name):
    """All processes of the generation: journal of main and children, daemons
    included."""
    return [e.pid for e in stack.journal()
            if e.id == name + ".1" and e.event in ("start", "child-start")]


def assert_b_untouched(stack):
    assert stack.row("b")["state"] == "ready"
    assert stack.pid("b") == stack.b_pid
    assert len(stack.journal("start", "b.1")) == 1


def assert_replaced(stack, old):
    stack.wait_journal("start", "a.1", n=2)
    new = stack.ready("a")
    assert new["pid"] not in old
    assert not any(alive(p) for p in old)
    stack.no_overlap()
    assert_b_untouched(stack)


def test_service(pair):
    old = tree_of(pair, "a")
    os.kill(pair.pid("a"), signal.SIGKILL)
    assert_replaced(pair, old)
    assert pair.saw("SIGKILL", "hr")


def test_keeper(pair):
    old = tree_of(pair, "a")
    keeper = pair.role("keeper", "a")
    os.kill(keeper, signal.SIGKILL)
    assert_replaced(pair, old)
    assert len(pair.roles("keeper", "a")) == 1


def test_worker(pair):
    old = tree_of(pair, "a")
    os.kill(pair.role("worker", "a"), signal.SIGKILL)
    assert_replaced(pair, old)
    # Its keeper stopped the tree in steps: the service could drain.
    assert pair.journal("end", "a.1")[0].note == "exit:0"
    assert len(pair.roles("worker", "a")) == 1
    assert pair.saw("worker", "hr")


def test_worker_many_times(pair):
    for n in range(2, 6):
        os.kill(pair.role("worker", "a"), signal.SIGKILL)
        pair.wait_journal("start", "a.1", n=n)
        pair.ready("a")
    pair.no_overlap()
    assert_b_untouched(pair)


def test_all_workers_at_once(stack):
    """Their ends are handled in one turn: one new worker each, not two."""
    names = ["a", "b", "c"]
    stack.procfile(**{n: actor() for n in names})
    stack.up()
    for n in names:
        stack.wait_journal("start", n + ".1")
    for round_ in range(2, 6):
        for pid in [stack.role("worker", n) for n in names]:
            os.kill(pid, signal.SIGKILL)
        for n in names:
            stack.wait_journal("start", n + ".1", n=round_)
            stack.ready(n)
            assert len(stack.roles("worker", n)) == 1
    stack.no_overlap()


def test_worker_and_keeper_together(pair):
    old = tree_of(pair, "a")
    for pid in (pair.role("worker", "a"), pair.role("keeper", "a")):
        os.kill(pid, signal.SIGKILL)
    assert_replaced(pair, old)


def test_master(pair):
    os.kill(pair.process.pid, signal.SIGKILL)
    pair.process.wait()
    pair.gone()
    ends = {e.id: e.note for e in pair.journal("end")}
    assert ends == {"a.1": "exit:0", "b.1": "exit:0"}


def test_master_and_up_at_once(pair):
    os.kill(pair.process.pid, signal.SIGKILL)
    pair.process.wait()
    pair.up()
    end = pair.wait_journal("end", "a.1")
    assert pair.wait_journal("start", "a.1", n=2).at > end.at
    pair.ready("a")
    pair.no_overlap()


def test_master_and_up_at_once_says_whom_it_waits_for(stack):
    stack.procfile(a=actor("--on-int=after:1500"))
    stack.up()
    stack.wait_journal("start", "a.1")
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait()
    stack.up(settled=False)
    eventually(stack.ps)
    events = stack.events()
    stack.wait_journal("start", "a.1", n=2)
    stack.no_overlap()
    assert stack.saw("lock", "hr") or events.of("lock_wait"), stack.out()


def test_master_and_everything_of_hr(pair):
    """Even the keepers die at the same moment: then nobody can stop the
    services, but the next `hr up` starts nothing beside them."""
    roles = pair.roles()
    for pid in roles:
        os.kill(pid, signal.SIGSTOP)
    for pid in roles:
        os.kill(pid, signal.SIGKILL)
    pair.process.wait()
    eventually(lambda: not any(alive(p) for p in roles))
    pair.kill_left()
    pair.up()
    pair.wait_journal("start", "a.1", n=2)
    pair.no_overlap()


def test_orphans_of_everything_keep_their_lock(pair):
    """Nobody is left who could stop the services: a new `hr up` names them
    and waits until somebody does."""
    roles = pair.roles()
    for signo in (signal.SIGSTOP, signal.SIGKILL):
        for pid in roles:
            os.kill(pid, signo)
    pair.process.wait()
    eventually(lambda: not any(alive(p) for p in roles))
    orphans = tree_of(pair, "a")
    pair.up(settled=False)
    pair.wait_out("a.*(lock|waits|held)", "hr")
    stays(lambda: len(pair.journal("start", "a.1")) == 1)
    for pid in orphans + tree_of(pair, "b"):
        os.kill(pid, signal.SIGKILL)
    pair.wait_journal("start", "a.1", n=2)
    pair.no_overlap()


def test_watcher(stack):
    stack.write("src/a.c", "1")
    stack.procfile(a=actor("--read=src/a.c"), b=actor())
    stack.conf("service a { watch { dirs = {\"src\"} } }\n")
    stack.up()
    stack.wait_journal("read", "a.1")
    pid = stack.pid("b")
    watcher = stack.role("watcher")
    os.kill(watcher, signal.SIGKILL)
    eventually(lambda: [p for p in stack.roles("watcher") if p != watcher])
    stack.write("src/a.c", "2")
    assert stack.wait_journal("read", "a.1", n=2).note == "2"
    assert stack.pid("b") == pid


def test_watcher_misses_nothing_while_away(stack):
    """The edit falls between the death and the new watcher's first scan."""
    stack.write("src/a.c", "1")
    stack.procfile(a=actor("--read=src/a.c"))
    stack.conf("service a { watch { dirs = {\"src\"} } }\n")
    stack.up()
    stack.wait_journal("read", "a.1")
    for n in range(2, 7):
        watcher = stack.role("watcher")
        os.kill(watcher, signal.SIGSTOP)       # sees nothing any more
        stack.write("src/a.c", str(n))
        os.kill(watcher, signal.SIGKILL)
        eventually(lambda: any(e.note == str(n)
                               for e in stack.journal("read", "a.1")))
        eventually(lambda: [p for p in stack.roles("watcher")
                            if p != watcher])
    stack.no_overlap()


def test_build_keeper(stack):
    """A build whose keeper is killed is a failed build; its tree is gone and
    the service untouched."""
    stack.write("src/a.c", "1")
    stack.procfile(a=actor())
    stack.conf("service a { watch { dirs = {\"src\"} }\n"
               "build = 'test ! -e slow || exec %s' }\n" %
               actor("--id=build", "--spawn=plain"))
    stack.up()
    pid = stack.pid("a")
    stack.write("slow", "")
    stack.write("src/a.c", "2")
    stack.wait_journal("start", "build")
    stack.wait_journal("child-start", "build")
    building = [e.pid for e in stack.journal() if e.id == "build"]
    mine = [k for k in stack.roles("keeper")
            if building[0] in children_of(k)]
    assert len(mine) == 1
    os.kill(mine[0], signal.SIGKILL)
    eventually(lambda: not any(alive(p) for p in building))
    stack.wait_row("a", state="ready", pid=pid)
    os.unlink(stack.path("slow"))
    stack.write("src/a.c", "3")
    stack.wait_journal("start", "a.1", n=2)


def children_of(pid):
    found = []
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/children" % (pid, task)) as f:
            found += [int(p) for p in f.read().split()]
    return found


def test_worker_during_a_build(stack):
    stack.write("src/a.c", "1")
    stack.procfile(a=actor("--on-int=after:100"), b=actor())
    stack.conf("service a { watch { dirs = {\"src\"} }\n"
               "build = 'test ! -e slow || exec %s' }\n" %
               actor("--id=build", "--spawn=daemon"))
    stack.up()
    stack.wait_journal("start", "a.1")
    stack.write("slow", "")
    stack.write("src/a.c", "2")
    stack.wait_journal("child-start", "build")
    os.unlink(stack.path("slow"))
    os.kill(stack.role("worker", "a"), signal.SIGKILL)
    stack.wait_journal("start", "a.1", n=2)
    stack.ready("a")
    eventually(lambda: not any(
        alive(e.pid) for e in stack.journal() if e.id == "build"))
    stack.no_overlap()


def test_a_client(pair):
    for verb in (("events", "-f"), ("logs", "-f")):
        client = pair.popen(*verb)
        pair.helpers.append(client)
        stays(lambda: client.poll() is None, 0.2)
        client.kill()
        client.wait()
        assert_b_untouched(pair)


def test_a_client_that_waits_for_a_restart(stack):
    port = free_port()
    stack.procfile(a=actor("--on-int=after:300", "--listen=%d" % port))
    stack.conf("service a { port main { number = %d } }\n" % port)
    stack.up()
    client = stack.popen("restart", "a")
    stack.wait_journal("signal", "a.1")
    client.kill()
    client.wait()
    stack.wait_journal("listen", "a.1", n=2)
    assert ask(port)[1] == 2
    assert stack.hr("restart", "a").code == 0


def test_stopped_services_stay_stopped_when_their_worker_dies(stack):
    stack.procfile(a=actor(), b=actor())
    stack.up()
    assert stack.hr("stop", "a").code == 0
    worker = stack.role("worker", "a")
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: [p for p in stack.roles("worker", "a")
                        if p != worker])
    stays(lambda: len(stack.journal("start", "a.1")) == 1)
    assert stack.hr("start", "a").code == 0
    stack.wait_journal("start", "a.1", n=2)
