# SPDX-License-Identifier: MIT
"""The way of an edit: save, quiet time, build, replacement."""
import os
import re
import shutil
import subprocess
import time

import pytest

from harness import ACTOR, actor, alive, ask, eventually, free_port, stays

WATCH = "watch { dirs = {\"src\"} }\n"


def service(stack, body="", options=(), read="src/a.c", watch=WATCH):
    """`a` reads src/a.c at its start and is watched; returns after that."""
    if not os.path.exists(stack.path("src/a.c")):
        stack.write("src/a.c", "1")
    stack.procfile(a=actor("--read=" + read, *options))
    stack.conf("service a {\n%s%s\n}\n" % (watch, body))
    stack.up()
    stack.wait_journal("read", "a.1")
    stack.ready("a")


def contents(stack):
    return [e.note for e in stack.journal("read", "a.1")]


def until_content(stack, text, limit=None):
    eventually(lambda: contents(stack)[-1:] == [text], limit,
               lambda: "content %s: %s" % (text, contents(stack)))
    stack.ready("a")


def quiet(stack):
    """Nothing more comes: the number of starts stays what it is."""
    n = len(stack.journal("start"))
    stays(lambda: len(stack.journal("start")) == n)


BUILD = """
echo "start $HR_GENERATION $(cat src/a.c)" >>../builds
exec 9>../building
flock -n 9 || echo "two at once" >>../builds
grep -q slow src/a.c && { echo "sleeping" >>../builds; sleep 60; }
grep -q bad src/a.c && { echo "a.c:1: syntax error" >&2; exit 1; }
cp src/a.c "$HR_OUT"
echo "done $HR_GENERATION $(cat "$HR_OUT")" >>../builds
"""


def with_build(stack, more="", options=()):
    stack.script("build.sh", BUILD)
    service(stack, "build = './build.sh'\n" + more, options)


def builds(stack, word=""):
    try:
        with open(os.path.join(stack.base, "builds")) as f:
            return [line.strip() for line in f if line.startswith(word)]
    except FileNotFoundError:
        return []


# ---------------------------------------------------------------- the edit

def test_save_makes_a_new_generation(stack):
    service(stack)
    first = stack.row("a")
    stack.write("src/a.c", "2")
    until_content(stack, "2")
    row = stack.row("a")
    assert row["generation"] > first["generation"]
    assert row["pid"] != first["pid"]
    assert row["reloads"] == 1
    assert row["last_reload"]["result"] == "ready"
    assert row["last_reload"]["trigger"] == ["src/a.c"]
    stack.wait_out("a.*src/a.c", "hr")
    stack.wait_out("a.*generation %d.*ready" % row["generation"], "hr")
    ends = stack.journal("end", "a.1")
    assert len(ends) == 1 and ends[0].at < stack.journal("start")[1].at
    quiet(stack)


def test_only_the_changed_service_is_replaced(stack):
    stack.write("one/x", "1")
    stack.write("two/x", "1")
    stack.procfile(a=actor("--read=one/x"), b=actor("--read=two/x"))
    stack.conf("service a { watch { dirs = {\"one\"} } }\n"
               "service b { watch { dirs = {\"two\"} } }\n")
    stack.up()
    stack.wait_journal("read", "b.1")
    stack.wait_journal("read", "a.1")
    stack.write("one/x", "2")
    stack.wait_journal("read", "a.1", n=2)
    stack.ready("a")
    stays(lambda: len(stack.journal("start", "b.1")) == 1)


def test_two_services_on_the_same_directory(stack):
    stack.write("src/x", "1")
    stack.procfile(a=actor("--read=src/x"), b=actor("--read=src/x"))
    stack.conf("service a { watch { dirs = {\"src\"} } }\n"
               "service b { watch { dirs = {\"src\"} } }\n")
    stack.up()
    stack.wait_journal("read", "a.1")
    stack.wait_journal("read", "b.1")
    stack.write("src/x", "2")
    assert stack.wait_journal("read", "a.1", n=2).note == "2"
    assert stack.wait_journal("read", "b.1", n=2).note == "2"


def test_default_directory_is_the_stack_and_own_files_are_left_out(stack):
    stack.write("a.c", "1")
    stack.procfile(a=actor("--read=a.c"))
    stack.conf("service a { watch { } build = 'cp a.c $HR_OUT' }\n")
    stack.up()
    stack.wait_journal("read", "a.1")
    for name in ("x.c~", ".x.c.swp", "4913", "#x.c#", ".#x.c"):
        stack.write(name, "x")
    stack.write("node_modules/m/index.js", "x")
    stack.write(".git/index", "x")
    quiet(stack)
    stack.write("a.c", "2")
    assert stack.wait_journal("read", "a.1", n=2).note == "2"
    quiet(stack)


def test_touch_and_chmod_and_same_bytes_do_nothing(stack):
    service(stack)
    os.utime(stack.path("src/a.c"))
    os.chmod(stack.path("src/a.c"), 0o755)
    stack.write("src/a.c", "1")
    stack.write("src/tmp", "x")
    os.unlink(stack.path("src/tmp"))
    quiet(stack)
    stack.write("src/a.c", "2")
    until_content(stack, "2")


def test_deleted_and_renamed_files_count(stack):
    stack.write("src/b.c", "b")
    service(stack)
    os.unlink(stack.path("src/b.c"))
    stack.wait_journal("start", "a.1", n=2)
    stack.ready("a")
    os.rename(stack.path("src/a.c"), stack.path("src/c.c"))
    stack.wait_journal("start", "a.1", n=3)
    stack.ready("a")
    os.rename(stack.path("src/c.c"), stack.path("src/a.c"))
    stack.wait_journal("start", "a.1", n=4)


def test_ten_saves_end_with_the_last_content(stack):
    service(stack, options=("--on-int=after:30",))
    for n in range(2, 12):
        stack.write("src/a.c", "content %d" % n)
        os.sched_yield()
    until_content(stack, "content 11")
    quiet(stack)
    assert contents(stack)[-1] == "content 11"


@pytest.mark.parametrize("phase", ["signal", "start", "read", "end"])
def test_an_edit_during_the_replacement_is_not_lost(stack, phase):
    service(stack, options=("--on-int=after:100", "--sleep=50"))
    n = len(stack.journal(phase, "a.1"))
    stack.write("src/a.c", "2")
    stack.wait_journal(phase, "a.1", n=n + 1)
    stack.write("src/a.c", "3")
    until_content(stack, "3")
    quiet(stack)


def test_an_edit_while_it_drains_goes_into_one_new_generation(stack):
    service(stack, options=("--on-int=after:500",))
    stack.write("src/a.c", "2")
    stack.wait_journal("signal", "a.1")
    stack.write("src/a.c", "3")
    until_content(stack, "3")
    assert len(stack.journal("signal", "a.1")) <= 2


def test_many_files_at_once_make_one_reload(stack):
    service(stack)
    for i in range(300):
        stack.write("src/d%d/f%d.c" % (i % 10, i), "x")
    stack.write("src/a.c", "2")
    until_content(stack, "2")
    quiet(stack)
    assert len(stack.journal("start", "a.1")) <= 3


def test_new_nested_directory_and_file(stack):
    service(stack, read="src/x/y/z/deep.c")
    os.makedirs(stack.path("src/x/y/z"))
    stack.write("src/x/y/z/deep.c", "deep 1")
    until_content(stack, "deep 1")
    stack.write("src/x/y/z/deep.c", "deep 2")
    until_content(stack, "deep 2")


def test_directory_replaced_by_another(stack):
    service(stack)
    stack.write("new/a.c", "from new")
    os.rename(stack.path("src"), stack.path("old"))
    os.rename(stack.path("new"), stack.path("src"))
    until_content(stack, "from new")
    stack.write("src/a.c", "again")
    until_content(stack, "again")


def test_watched_directory_deleted_and_made_again(stack):
    service(stack)
    shutil.rmtree(stack.path("src"))
    eventually(lambda: contents(stack)[-1].startswith("(no"))
    stack.write("src/a.c", "back")
    until_content(stack, "back")


def test_ext_and_exclude(stack):
    service(stack, watch="watch { dirs = {\"src\"} ext = {\"c\", \"sql\"} "
            "exclude = {\"gen/\"} }\n")
    stack.write("src/readme.md", "x")
    stack.write("src/gen/a.c", "x")
    quiet(stack)
    stack.write("src/b.sql", "x")
    stack.wait_journal("start", "a.1", n=2)


def test_gitignore_in_a_directory_without_git(stack):
    stack.write("src/.gitignore", "*.log\n/out/\n")
    service(stack)
    stack.write("src/x.log", "x")
    stack.write("src/out/x.c", "x")
    quiet(stack)
    stack.write("src/x.c", "x")
    stack.wait_journal("start", "a.1", n=2)


def test_gitignore(stack):
    os.makedirs(stack.path(".git/info"))
    stack.write(".git/HEAD", "ref: refs/heads/main\n")
    stack.write(".git/info/exclude", "*.private\n")
    stack.write(".gitignore", "*.log\n/src/out/\n")
    service(stack)
    stack.write("src/x.log", "x")
    stack.write("src/out/x.c", "x")
    stack.write("src/x.private", "x")
    quiet(stack)
    stack.write("src/x.c", "x")
    stack.wait_journal("start", "a.1", n=2)


# ---------------------------------------------------------------- debounce

def test_debounce_fixed(stack):
    service(stack, "debounce = \"300ms\"\n")
    for n in range(2, 7):
        stack.write("src/a.c", str(n))
        stays(lambda: len(contents(stack)) == 1, 0.1)
    until_content(stack, "6")
    assert contents(stack) == ["1", "6"]
    assert stack.row("a")["last_reload"]["quiet_ms"] >= 300


def test_debounce_zero(stack):
    service(stack, "debounce = \"0ms\"\n")
    stack.write("src/a.c", "2")
    until_content(stack, "2")
    assert stack.row("a")["last_reload"]["quiet_ms"] < 50


def test_debounce_auto_is_quick_after_one_save(stack):
    service(stack)
    stack.write("src/a.c", "2")
    until_content(stack, "2")
    assert stack.row("a")["last_reload"]["quiet_ms"] < 100


def test_max_wait_ends_churn(stack):
    service(stack, watch="watch { dirs = {\"src\"} }\ndebounce = \"2s\"\n"
            "max_wait = \"500ms\"\n")
    until = time.monotonic() + 8
    n = 1
    while len(contents(stack)) == 1 and time.monotonic() < until:
        n += 1
        stack.write("src/a.c", str(n))
        time.sleep(0.02)
    assert len(contents(stack)) > 1
    until_content(stack, str(n))


# ------------------------------------------------------------------- rules

RULES = """
rule templates { match = {"*.html"}  do = "nothing" }
rule config    { match = {"*.conf"}  do = "restart" }
"""


def test_rules(stack):
    with_build(stack, RULES)
    first = stack.pid("a")
    assert len(builds(stack, "start")) == 1      # before the first start too
    stack.write("src/page.html", "<p>")
    quiet(stack)
    assert stack.pid("a") == first
    stack.write("src/x.conf", "1")
    stack.wait_journal("start", "a.1", n=2)
    row = stack.ready("a")
    assert len(builds(stack, "start")) == 1, "restart must not build"
    assert row["last_reload"]["rule"] == "config"
    stack.write("src/a.c", "2")
    until_content(stack, "2")
    assert len(builds(stack, "start")) == 2


def test_the_strongest_action_wins(stack):
    with_build(stack, RULES + "debounce = \"200ms\"\n")
    stack.write("src/page.html", "<p>")
    stack.write("src/x.conf", "1")
    stack.write("src/a.c", "2")
    stack.write("src/y.conf", "1")
    until_content(stack, "2")
    assert len(builds(stack, "start")) == 2
    quiet(stack)
    assert len(stack.journal("start", "a.1")) == 2


# ------------------------------------------------------------------ builds

def test_build_fails_and_nothing_changes(stack):
    port = free_port()
    with_build(stack, "port main { number = %d }\n" % port,
               options=("--listen=%d" % port,))
    events = stack.events()
    before = ask(port)
    stack.write("src/a.c", "bad")
    events.wait("build_failed", "a")
    stack.wait_out("a.c:1: syntax error", "a")
    stack.wait_out("a.*build.*fail", "hr")
    stays(lambda: ask(port) == before)
    row = stack.ready("a")
    assert row["pid"] == before[2]
    assert row["last_reload"]["result"] == "build_failed"
    assert not stack.journal("signal", "a.1")
    stack.write("src/a.c", "bad again")
    events.wait("build_failed", "a", n=2)
    assert ask(port) == before
    stack.write("src/a.c", "good")
    until_content(stack, "good")
    assert ask(port)[2] != before[2]
    assert stack.row("a")["last_reload"]["result"] == "ready"


def test_first_build_fails_then_is_mended(stack):
    stack.write("src/a.c", "bad")
    stack.script("build.sh", BUILD)
    stack.procfile(a=actor("--read=src/a.c"), b=actor())
    stack.conf("service a { %s build = './build.sh' }\n" % WATCH)
    stack.up(settled=False)
    stack.wait_out("syntax error", "a")
    stack.wait_journal("start", "b.1")
    stays(lambda: not stack.journal("start", "a.1"), 0.2)
    stack.write("src/a.c", "good")
    until_content(stack, "good")


def test_on_build_error_stop(stack):
    with_build(stack, "on_build_error = \"stop\"\n")
    stack.write("src/a.c", "bad")
    stack.wait_journal("end", "a.1")
    stack.wait_row("a", state=lambda s: s in ("failed", "stopped"))
    stack.write("src/a.c", "good")
    until_content(stack, "good")


def test_change_during_a_build_kills_it_and_builds_once_more(stack):
    with_build(stack)
    stack.write("src/a.c", "slow")
    eventually(lambda: builds(stack, "sleeping"))
    began = time.monotonic()
    stack.write("src/a.c", "3")
    until_content(stack, "3")
    assert time.monotonic() - began < 10
    assert not builds(stack, "two")
    assert len(builds(stack, "start")) == 3
    assert [b.split()[-1] for b in builds(stack, "done")] == ["1", "3"]
    assert contents(stack) == ["1", "3"]


def test_builds_never_overlap(stack):
    """The build's trees too: a compiler that ignores signals and one in a
    session of its own."""
    service(stack, "build = '%s && cp src/a.c $HR_OUT'\n" % actor(
        "--id=build", "--on-int=ignore", "--on-term=ignore",
        "--spawn=daemon,ignore", "--spawn=ignore", "--read=src/a.c",
        "--sleep=150", "--exit=0"))
    for n in range(2, 9):
        stack.write("src/a.c", str(n))
        stack.wait_journal("start", "build", n=n)
    until_content(stack, "8")
    stack.no_overlap()
    eventually(lambda: not any(alive(e.pid) for e in stack.journal()
                               if e.id == "build"))


def test_leftovers_of_a_build_are_ended(stack):
    service(stack, "build = '%s'\n" % actor(
        "--id=build", "--spawn=daemon,ignore", "--exit=0"))
    children = stack.journal("child-start", "build")
    assert children
    eventually(lambda: not any(alive(c.pid) for c in children))


def test_build_timeout(stack):
    service(stack, "build_timeout = \"300ms\"\n"
            "build = 'test ! -e slow || exec %s'\n" % actor(
                "--id=build", "--on-int=ignore", "--on-term=ignore",
                "--spawn=daemon,ignore"))
    pid = stack.pid("a")
    stack.write("slow", "")
    stack.write("src/a.c", "2")
    stack.wait_out("a.*(300|time)", "hr")
    stack.wait_row("a", state="ready", pid=pid)
    eventually(lambda: not any(alive(e.pid) for e in stack.journal()
                               if e.id == "build"))
    assert stack.row("a")["last_reload"]["result"] == "build_failed"


def test_build_output_under_the_services_prefix(stack):
    service(stack, "build = 'echo compiling; echo warning >&2'\n")
    stack.wait_out("^compiling$", "a")
    stack.wait_out("^warning$", "a")


def test_command_uses_hr_out(stack):
    stack.write("src/a.c", "1")
    stack.procfile(a="$HR_OUT --read=src/a.c --env")
    stack.conf("service a { %s build = 'cp %s $HR_OUT' }\n" % (WATCH, ACTOR))
    stack.up()
    until_content(stack, "1")
    first = [t for t in stack.lines("a") if t.startswith("env HR_OUT=")]
    assert re.search(r"/stack/\.hr/build/a\.\d+$", first[0])
    stack.write("src/a.c", "2")
    until_content(stack, "2")
    outs = eventually(lambda: (lambda x: x if len(set(x)) == 2 else None)(
        [t for t in stack.lines("a") if t.startswith("env HR_OUT=")]))
    assert os.path.exists(outs[-1].split("=", 1)[1])


def test_restart_runs_the_last_good_build(stack):
    stack.write("src/a.c", "1")
    stack.script("build.sh", BUILD)
    stack.procfile(a=actor("--read=src/a.c", "--env"))
    stack.conf("service a { %s build = './build.sh' }\n" % WATCH)
    stack.up()
    until_content(stack, "1")
    stack.write("src/a.c", "bad")
    stack.wait_out("syntax error", "a")
    stack.wait_row("a", state="ready", last_reload=lambda r: r and
                   r["result"] == "build_failed")
    assert stack.hr("restart", "a").code == 0
    stack.wait_journal("start", "a.1", n=2)
    outs = eventually(lambda: (lambda x: x if len(x) == 2 else None)(
        [t.split("=", 1)[1] for t in stack.lines("a")
         if t.startswith("env HR_OUT=")]))
    assert outs[0] == outs[1]
    with open(outs[0]) as f:
        assert f.read() == "1"


def test_text_file_busy_never_surfaces(stack):
    """Each build writes a program that then runs at once, while a process
    forked meanwhile may still hold it open for writing."""
    stack.write("src/a.c", "1")
    stack.procfile(a="$HR_OUT --read=src/a.c", b="$HR_OUT --id=b")
    both = "%s build = 'cp %s $HR_OUT'  debounce = \"0ms\"" % (WATCH, ACTOR)
    stack.conf("service a { %s }\nservice b { %s }\n" % (both, both))
    stack.up()
    until_content(stack, "1")
    for n in range(2, 12):
        stack.write("src/a.c", str(n))
        until_content(stack, str(n))
    assert not stack.saw("text file busy")
    assert not stack.saw("exit 126")


def test_old_builds_are_removed(stack):
    with_build(stack)
    for n in range(2, 8):
        stack.write("src/a.c", str(n))
        until_content(stack, str(n))
    eventually(lambda: len(os.listdir(stack.path(".hr/build"))) <= 3)


def test_new_generation_fails_and_comes_back_by_an_edit(stack):
    stack.write("src/a.c", "good")
    stack.script("run.sh", "grep -q crash src/a.c && exit 7\nexec %s\n" %
                 actor("--read=src/a.c"))
    stack.procfile(a="./run.sh")
    stack.conf("service a { %s restart = \"never\" }\n" % WATCH)
    stack.up()
    until_content(stack, "good")
    stack.write("src/a.c", "crash")
    stack.wait_row("a", state="failed")
    assert stack.saw("exit.* 7", "hr")
    stack.write("src/a.c", "better")
    until_content(stack, "better")


def test_a_change_ends_a_back_off(stack):
    """Whoever mends the program does not wait for 32 s."""
    stack.write("src/a.c", "crash")
    stack.script("run.sh", "grep -q crash src/a.c && exit 7\nexec %s\n" %
                 actor("--read=src/a.c"))
    stack.procfile(a="./run.sh")
    stack.conf("service a { %s backoff = \"60s\" }\n" % WATCH)
    stack.up(settled=False)
    stack.wait_row("a", state="backoff")
    stack.write("src/a.c", "better")
    until_content(stack, "better")


def test_instances_share_one_build_and_all_are_replaced(stack):
    stack.script("build.sh", BUILD)
    stack.write("src/a.c", "1")
    stack.procfile(a=actor("--read=src/a.c"))
    stack.conf("service a { %s build = './build.sh'  instances = 2 }\n" %
               WATCH)
    stack.up()
    stack.wait_journal("read", "a.1")
    stack.wait_journal("read", "a.2")
    stack.write("src/a.c", "2")
    assert stack.wait_journal("read", "a.1", n=2).note == "2"
    assert stack.wait_journal("read", "a.2", n=2).note == "2"
    assert len(builds(stack, "start")) == 2


# ----------------------------------------------------------------- editors

def save_in_place(path, text):
    with open(path, "w") as f:
        f.write(text)


def save_slowly_in_place(path, text):
    """Truncated, then written in two parts: only the closed file counts."""
    with open(path, "w") as f:
        f.write(text[:1])
        f.flush()
        time.sleep(0.1)
        f.write(text[1:])


def save_by_rename(path, text):
    with open(path + ".tmp", "w") as f:
        f.write(text)
    os.rename(path + ".tmp", path)


def save_with_backup(path, text):
    """The original is moved away, a new file made, the backup deleted."""
    os.rename(path, path + "~")
    with open(path, "w") as f:
        f.write(text)
    os.unlink(path + "~")


def save_by_link(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.unlink(path)
    os.link(path + ".new", path)
    os.unlink(path + ".new")


def save_by_sed(path, text):
    subprocess.run(["sed", "-i", "s/.*/%s/" % text, path], check=True)


@pytest.mark.parametrize("save", [
    save_in_place, save_slowly_in_place, save_by_rename, save_with_backup,
    save_by_link, save_by_sed])
def test_ways_to_save(stack, save):
    service(stack)
    for n in (2, 3):
        save(stack.path("src/a.c"), "content-%d" % n)
        until_content(stack, "content-%d" % n)
        quiet(stack)
        assert len(contents(stack)) == n, contents(stack)


@pytest.mark.parametrize("option", ["", "set backup", "set nowritebackup",
                                    "set backupcopy=yes",
                                    "set backupcopy=no"])
def test_vim(stack_outside_tmp, option):
    if not shutil.which("vim"):
        pytest.skip("no vim here")
    stack = stack_outside_tmp
    service(stack)
    for n in (2, 3):
        subprocess.run(
            ["vim", "-u", "NONE", "-n" if n == 2 else "-N", "-es", "-c",
             option, "-c", "%%s/.*/content-%d/" % n, "-c", "wq", "src/a.c"],
            cwd=stack.dir, stdin=subprocess.DEVNULL, check=True,
            env=dict(os.environ, TERM="dumb"))
        until_content(stack, "content-%d" % n)
        quiet(stack)
        assert len(contents(stack)) == n, contents(stack)


def git(stack, *args):
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t",
                    "-c", "init.defaultBranch=main"] + list(args),
                   cwd=stack.dir, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL,
                   env=dict(os.environ, GIT_CONFIG_GLOBAL="/dev/null"))


def test_git_checkout(stack):
    if not shutil.which("git"):
        pytest.skip("no git here")
    git(stack, "init")
    stack.write(".gitignore", ".hr/\n")
    for i in range(200):
        stack.write("src/f%d.c" % i, "one\n")
    stack.write("src/a.c", "one\n")
    git(stack, "add", ".")
    git(stack, "commit", "-m", "one")
    git(stack, "checkout", "-b", "other")
    for i in range(200):
        stack.write("src/f%d.c" % i, "two\n")
    stack.write("src/a.c", "two\n")
    git(stack, "commit", "-am", "two")
    service(stack)
    until_content(stack, "two")
    git(stack, "checkout", "main")
    until_content(stack, "one")
    quiet(stack)
    assert len(contents(stack)) == 2, contents(stack)
    # There and back within one quiet time would be nothing; slower, it is
    # at most two.
    git(stack, "checkout", "other")
    until_content(stack, "two")
