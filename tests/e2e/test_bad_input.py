# SPDX-License-Identifier: MIT
"""
The machine or the user is in the way: a clear message, the right exit code,
and nothing half started is left behind.
"""
import os
import re
import resource
import shutil
import socket
import subprocess

import pytest

from harness import ACTOR, HR, actor, eventually, free_port

NOBODY = 65534
FORK = "resource temporarily unavailable|limit of processes"
FILES = "too many open files|limit of open files|limit of descriptors"


def refused(stack, *args, code=None, says=(), **kw):
    """`hr ARGS` ends by itself with an error that says all of it."""
    done = stack.hr(*(args or ("up",)), **kw)
    assert done.code != 0, done.both
    assert done.code > 0, "died by a signal: %d" % done.code
    if code is not None:
        assert done.code == code, done.both
    assert done.err.strip()
    for pattern in says:
        assert re.search(pattern, done.err, re.I), (pattern, done.err)
    assert not stack.journal("start")
    assert not stack.processes()
    return done


def as_nobody(stack):
    """Root ignores permissions: run hr as another user then. The programs
    are copied, since that user may not reach where they are."""
    if os.geteuid() != 0:
        return
    if not shutil.which("setpriv"):
        pytest.skip("needs setpriv when run as root")
    stack.as_user = ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                     "--clear-groups"]
    stack.hr_path = shutil.copy(HR, stack.base)
    stack.actor = shutil.copy(ACTOR, stack.base)
    give_to(stack, NOBODY)
    os.chmod(stack.base, 0o755)
    stack.env["HOME"] = stack.base


def give_to(stack, uid):
    """Everything of the stack, and leave to write a sanitizer's reports.
    The leak check needs a process and descriptors of its own: without."""
    for top, _, files in os.walk(stack.base):
        for name in [top] + [os.path.join(top, f) for f in files]:
            os.chown(name, uid, uid)
    options = stack.env.get("ASAN_OPTIONS", "")
    folder = re.search(r"log_path=([^:]+)/", options)
    if folder:
        os.chmod(folder.group(1), 0o1777)
    stack.env["ASAN_OPTIONS"] = "detect_leaks=0:" + options


def own_actor(stack, *options):
    return actor(*options).replace(ACTOR, getattr(stack, "actor", ACTOR))


# ------------------------------------------------------------- the files

def test_missing_procfile(stack):
    refused(stack, code=2, says=["Procfile"])
    refused(stack, "-f", "nope", "up", code=2, says=["nope"])
    refused(stack, "-c", "nope.conf", "up", code=2, says=["nope.conf"])


def test_unreadable_procfile(stack):
    stack.procfile(a=actor())
    as_nobody(stack)
    os.chmod(stack.path("Procfile"), 0)
    refused(stack, code=2, says=["Procfile", "permission denied"])


def test_unreadable_conf(stack):
    stack.procfile(a=actor())
    stack.conf("")
    as_nobody(stack)
    os.chmod(stack.path("hr.conf"), 0)
    refused(stack, code=2, says=["hr.conf", "permission denied"])


def test_procfile_is_a_directory(stack):
    os.mkdir(stack.path("Procfile"))
    refused(stack, code=2, says=["Procfile", "directory"])


def test_procfile_is_a_fifo(stack):
    """Nobody writes to it: hr must not wait for ever."""
    os.mkfifo(stack.path("Procfile"))
    refused(stack, code=2, says=["Procfile"], timeout=10)


def test_procfile_is_binary(stack):
    with open(stack.path("Procfile"), "wb") as f:
        f.write(os.urandom(5000))
    done = refused(stack, code=2, says=["Procfile"])
    assert "\x1b" not in done.err


def test_procfile_is_huge(stack):
    with open(stack.path("Procfile"), "w") as f:
        f.truncate(1 << 30)
    refused(stack, code=2, says=["Procfile"])


def test_empty_procfile(stack):
    stack.write("Procfile", "")
    refused(stack, code=2, says=["Procfile"])


def test_very_long_command(stack):
    stack.procfile(a="true " + "x" * 100000)
    stack.hr("check")
    stack.procfile(a="true " + "x" * 2000000)
    done = stack.hr("up", timeout=20)
    assert done.code >= 0


@pytest.mark.parametrize("text", [
    "service a {", "service a { command = \"x }", "}", "service {}",
    "include(\"nope.conf\")", "service a { }\n" * 2,
    "\0", "/*",
    "service \"a b\" { command = 'x' }", "port_base = 99999",
    "service a { port p { number = 0 } }",
    "service a { port p { number = 70000 } }",
    "service a { kill_signal = \"SIGFOO\" }",
    "service a { debounce = \"-1s\" }", "service a { debounce = \"1h\" }}",
    "service a { debounce = 200 }", "service a { instances = -1 }",
    "service a { after = {\"a\"} }", "service a { after = {\"b\"} }",
    "service a { rule r { match = {\"*\"}  do = \"explode\" } }"])
def test_broken_conf(stack, text):
    stack.procfile(a=actor())
    stack.conf(text)
    refused(stack, code=2, says=["hr.conf"])


def test_directory_is_gone(stack):
    stack.procfile(a=actor())
    gone = os.path.join(stack.base, "gone")
    os.mkdir(gone)
    refused(stack, "-C", gone + "/x", "up", code=2, says=["gone/x"])
    done = subprocess.run(
        ["sh", "-c", "cd %s && rmdir %s && exec %s up" % (gone, gone, HR)],
        capture_output=True, text=True, env=stack.env, timeout=10)
    assert done.returncode == 2
    assert done.stderr.strip()


def test_stack_directory_goes_away_while_it_runs(stack):
    stack.procfile(a=actor("--on-int=after:50"))
    stack.up()
    stack.wait_journal("start", "a.1")
    shutil.rmtree(stack.dir)
    os.mkdir(stack.dir)
    assert stack.stop() == 130
    stack.wait_journal("end", "a.1")
    stack.gone()


# -------------------------------------------------------------------- .hr

def test_state_directory_not_writable(stack):
    stack.procfile(a=actor())
    as_nobody(stack)
    os.chown(stack.dir, os.geteuid(), os.getegid())
    os.chmod(stack.dir, 0o555)
    refused(stack, says=[r"\.hr", "permission denied"])
    os.chmod(stack.dir, 0o755)


def test_state_directory_of_somebody_else(stack):
    if os.geteuid() != 0:
        pytest.skip("needs root to make one")
    stack.procfile(a=actor())
    as_nobody(stack)
    os.mkdir(stack.path(".hr"))
    os.chown(stack.path(".hr"), 0, 0)
    os.chmod(stack.path(".hr"), 0o700)
    refused(stack, says=[r"\.hr", "permission denied|owned by|belongs"])


def test_state_directory_is_a_file(stack):
    stack.procfile(a=actor())
    stack.write(".hr", "")
    refused(stack, says=[r"\.hr", "not a directory|exists"])


def test_read_only_file_system(stack):
    if os.geteuid() != 0 or not mounts_work():
        pytest.skip("needs root and unshare -m")
    stack.procfile(a=actor())
    stack.as_user = ["unshare", "-m", "sh", "-c",
                     "mount --bind %s %s && mount -o remount,bind,ro %s && "
                     "cd %s && exec \"$@\"" % ((stack.dir,) * 4), "sh"]
    refused(stack, says=[r"\.hr", "read-only"])


def test_long_path(stack):
    """Longer than a socket address: works all the same, from every verb."""
    stack.dir = os.path.join(stack.base, *["d" * 50] * 6)
    os.makedirs(stack.dir)
    stack.procfile(a=actor())
    stack.up()
    stack.wait_journal("start", "a.1")
    assert stack.hr("restart", "a").code == 0
    assert stack.hr("down").code == 0
    assert stack.wait() == 0


def mounts_work():
    return subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True).returncode == 0


def tiny_disk(stack, size="64k", full=True):
    if os.geteuid() != 0 or not shutil.which("unshare") or not mounts_work():
        pytest.skip("needs root and unshare -m")
    script = "mount -t tmpfs -o size=%s none %s && cp %s/* %s/ && cd %s && " \
        "%s exec \"$@\"" % (
            size, stack.dir, stack.base + "/seed", stack.dir, stack.dir,
            "{ head -c 1000000 /dev/zero >fill 2>/dev/null; true; } &&"
            if full else "")
    os.rename(stack.dir, stack.base + "/seed")
    os.mkdir(stack.dir)
    stack.as_user = ["unshare", "-m", "sh", "-c", script, "sh"]


def test_disk_full(stack):
    """Either it says so and leaves, or it needs no block and runs."""
    stack.procfile(a=actor("--print=up"), b=actor())
    tiny_disk(stack)
    p = stack.up(settled=False)
    eventually(lambda: p.poll() is not None or stack.journal("start"))
    if p.poll() is not None:
        assert p.returncode in (1, 2)
        assert stack.saw("no space left")
        assert not stack.journal("start")
    else:
        stack.wait_journal("start", "b.1")
        assert stack.stop() == 130
    stack.gone()


def test_disk_without_inodes(stack):
    stack.procfile(a=actor())
    tiny_disk(stack, "1m,nr_inodes=3", full=False)
    refused(stack, says=[r"\.hr", "no space left"])


def test_disk_full_during_a_build(stack):
    stack.procfile(a=actor(), b=actor())
    stack.conf("service a { build = 'head -c 3000000 /dev/zero >$HR_OUT' }\n")
    tiny_disk(stack, "1m", full=False)
    stack.up(settled=False)
    stack.wait_journal("start", "b.1")
    stack.wait_out("no space left", "a")
    stack.wait_out("a.*build.*fail", "hr")
    assert stack.stop() == 130


# -------------------------------------------------------------- resources

def test_port_held(stack):
    """Named by pid and command; the other service runs."""
    port = free_port()
    with socket.socket() as s:
        s.bind(("127.0.0.1", port))
        s.listen()
        stack.procfile(a=actor("--listen=%d" % port), b=actor())
        stack.conf("service a { port p { number = %d } }\n" % port)
        stack.up(settled=False)
        stack.wait_out(r"%d.*\b%d\b.*python" % (port, os.getpid()), "hr")
        stack.wait_journal("start", "b.1")
        assert stack.stop() == 130


def test_port_held_on_the_other_family(stack):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    port = free_port()
    with socket.socket(socket.AF_INET6) as s:
        try:
            s.bind(("::", port))
        except OSError:
            pytest.skip("no IPv6 here")
        s.listen()
        stack.procfile(a=actor("--listen=%d" % port), b=actor())
        stack.conf("service a { port p { number = %d } }\n" % port)
        stack.up(settled=False)
        stack.wait_out(r"%d.*\b%d\b" % (port, os.getpid()), "hr")
        assert stack.stop() == 130


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 10, 14])
def test_fork_refused(stack, n):
    """RLIMIT_NPROC at every count from too few to enough."""
    stack.procfile(a=actor("--print=up"), b=actor("--print=up"))
    as_nobody(stack)
    stack.procfile(a=own_actor(stack), b=own_actor(stack))
    if os.geteuid() != 0:
        pytest.skip("needs a user without other processes")
    uid = 60000 + os.getpid() % 5000 + n * 16
    give_to(stack, uid)
    stack.as_user = ["prlimit", "--nproc=%d" % n, "setpriv",
                     "--reuid=%d" % uid, "--regid=%d" % uid, "--clear-groups"]
    stack.conf("defaults { backoff = \"60s\" }\n")
    p = stack.up(settled=False)
    calm = ("ready", "backoff", "failed", "waiting", "stopped")
    limits = stack.as_user
    stack.as_user = limits[2:]      # clients are not what is tested

    def outcome():
        if p.poll() is not None:
            return True
        rows = stack.ps()
        return rows and all(r["state"] in calm for r in rows) and (
            all(r["state"] == "ready" for r in rows) or
            stack.saw(FORK))
    eventually(outcome, None, lambda: "%s\n%s" % (stack.ps(), stack.out()))
    if p.poll() is not None:
        assert p.returncode in (1, 2, 70), p.returncode
        assert stack.saw(FORK), stack.out()
    else:
        assert stack.stop() == 130
    stack.gone()
    shutil.rmtree("/tmp/hr-%d" % uid, ignore_errors=True)


@pytest.mark.parametrize("n", list(range(4, 40, 3)))
def test_descriptors_exhausted(stack, n):
    stack.procfile(a=actor("--print=up"), b=actor("--print=up"))
    stack.conf("defaults { backoff = \"60s\" }\n")

    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
    p = stack.up(settled=False, preexec_fn=limit)

    def outcome():
        if p.poll() is not None:
            return True
        rows = stack.ps()
        ready = [r for r in rows if r["state"] == "ready"]
        return rows and (len(ready) == 2 or stack.saw(FILES))
    eventually(outcome, None, lambda: "%s\n%s" % (stack.ps(), stack.out()))
    if p.poll() is not None:
        assert p.returncode in (1, 2, 127), (p.returncode, stack.out())
        assert stack.saw(FILES + "|error while loading shared"), stack.out()
    else:
        assert stack.stop() == 130
    stack.gone()


def test_the_soft_limit_is_not_what_services_get(stack):
    """hr may raise its own limit; a service sees what the user has."""
    stack.procfile(a="ulimit -n; exec " + ACTOR)

    def limit():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    stack.up(settled=False, preexec_fn=limit)
    stack.wait_out("^256$", "a")


def test_inotify_exhausted(stack):
    """Instances used up: it says so, and the services run all the same."""
    if os.geteuid() != 0:
        pytest.skip("needs a user of its own")
    stack.write("src/a.c", "1")
    as_nobody(stack)
    uid = 66000 + os.getpid() % 5000
    stack.procfile(a=own_actor(stack))
    stack.conf("service a { watch { dirs = {\"src\"} } }\n")
    give_to(stack, uid)
    hold = subprocess.Popen(
        ["setpriv", "--reuid=%d" % uid, "--clear-groups", "/usr/bin/python3",
         "-c", "import ctypes, sys\n"
         "c = ctypes.CDLL(None)\n"
         "while c.inotify_init() >= 0: pass\n"
         "print('full', flush=True)\nsys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert hold.stdout.readline() == b"full\n"
        stack.as_user = ["setpriv", "--reuid=%d" % uid, "--regid=%d" % uid,
                         "--clear-groups"]
        stack.up(settled=False)
        stack.wait_out("inotify|watch", "hr")
        stack.wait_journal("start", "a.1")
        stack.ready("a")
        assert stack.stop() == 130
    finally:
        hold.kill()
        hold.wait()
        hold.stdin.close()
        hold.stdout.close()
        shutil.rmtree("/tmp/hr-%d" % uid, ignore_errors=True)


# ------------------------------------------------------- other users' eyes

def test_another_user_cannot_drive_it(stack):
    if os.geteuid() != 0:
        pytest.skip("needs root to become another")
    stack.procfile(a=actor())
    os.chmod(stack.base, 0o755)
    stack.up()
    other = shutil.copy(HR, stack.base)
    os.chmod(other, 0o755)
    done = subprocess.run(
        ["setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", other,
         "stop", "a"], cwd=stack.dir, capture_output=True, text=True,
        env=stack.env, timeout=10)
    assert done.returncode != 0
    assert re.search("permission denied", done.stderr, re.I)
    assert stack.row("a")["state"] == "ready"


def test_as_an_ordinary_user(stack):
    as_nobody(stack)
    port = free_port()
    stack.procfile(a=own_actor(stack, "--listen=%d" % port, "--spawn=daemon"))
    stack.conf("service a { port p { number = %d } }\n" % port)
    stack.up()
    stack.wait_journal("listen", "a.1")
    assert stack.hr("restart", "a").code == 0
    stack.wait_journal("listen", "a.1", n=2)
    assert stack.stop() == 130
