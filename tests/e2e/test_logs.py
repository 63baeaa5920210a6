# SPDX-License-Identifier: MIT
"""Every byte a service wrote is shown, once, in order; no reader stalls it."""
import os
import re
import signal
import subprocess
import threading

import pytest

from harness import actor, alive, eventually, stays

ASAN = os.environ.get("HR_BUILD_MODE") == "asan"


def numbers(lines):
    return [int(m.group(1)) for m in
            (re.match(r"line (\d{8}) ", t) for t in lines) if m]


def test_all_bytes_before_death_are_shown(stack):
    stack.procfile(a=actor("--flood=3000:60", "--kill=9"), b=actor())
    stack.conf("service a { restart = \"never\" }\n")
    stack.up()
    stack.wait_row("a", state="failed")
    stack.wait_out("SIGKILL", "hr")
    assert numbers(stack.lines("a")) == list(range(1, 3001))


def test_output_stands_before_the_message_of_the_exit(stack):
    stack.procfile(a=actor("--flood=500:40", "--partial=last words",
                           "--exit=3"), b=actor())
    stack.conf("service a { restart = \"never\" }\n")
    stack.up()
    stack.wait_out("exit.* 3", "hr")
    lines = stack.lines()
    words = next(i for i, li in enumerate(lines) if li == ("a", "last words"))
    exit_ = next(i for i, li in enumerate(lines)
                 if li[0] == "hr" and re.search("exit.* 3", li[1]))
    assert words < exit_


def test_words_during_the_stop_are_shown(stack):
    stack.procfile(a=actor("--on-int=after:100"))
    stack.up()
    stack.wait_journal("start", "a.1")
    stack.stop()
    assert stack.lines("a")[-2:] == ["got SIGINT", "drained"]


def test_words_of_all_services_during_ctrl_c(stack):
    names = ["s%d" % i for i in range(10)]
    stack.procfile(**{n: actor("--on-int=after:50", "--print=up")
                      for n in names})
    stack.up()
    for n in names:
        stack.wait_out("^up$", n)
    stack.stop()
    for n in names:
        assert stack.lines(n) == ["up", "got SIGINT", "drained"], n


def test_stderr_too_and_in_order(stack):
    stack.procfile(a=actor("--print=one", "--err=two", "--print=three",
                           "--err=four"))
    stack.up()
    stack.wait_out("^four$", "a")
    assert stack.lines("a") == ["one", "two", "three", "four"]


def test_partial_line_is_shown_soon_and_closed(stack):
    stack.procfile(a=actor("--partial=password: "), b=actor("--print=x"))
    stack.up()
    stack.wait_out("password: *", "a")
    stack.stop()
    for line in stack.out().splitlines():
        assert re.match(r"\d\d:\d\d:\d\d (a|b|hr) *\|", line), line


def test_partial_line_at_death(stack):
    stack.procfile(a=actor("--partial=no newline", "--exit=0"), b=actor())
    stack.up()
    stack.wait_row("a", state="done")
    stack.wait_out("^no newline$", "a")


def test_a_hundred_thousand_lines(stack):
    stack.procfile(a=actor("--flood=100000:50", "--print=over"),
                   b=actor("--flood=20000:50", "--print=over"),
                   c=actor("--flood=20000:-50", "--print=over"))
    # Without a reader's help nothing may be skipped: ours is a file.
    stack.up()
    for n in "abc":
        stack.wait_out("^over$", n, limit=30)
    for line in stack.out().splitlines():
        assert re.match(r"\d\d:\d\d:\d\d (a|b|c|hr) +\| ", line), line
    assert numbers(stack.lines("a")) == list(range(1, 100001))
    assert numbers(stack.lines("b")) == list(range(1, 20001))
    assert numbers(stack.lines("c")) == list(range(1, 20001))
    texts = stack.lines("a")[:1000]
    assert all(len(t) == 50 for t in texts if t.startswith("line"))


def test_very_long_line(stack):
    stack.procfile(a="head -c 3000000 /dev/zero | tr '\\0' x; echo; "
                   "exec " + actor("--print=after"))
    stack.up()
    stack.wait_out("^after$", "a")
    assert sum(t.count("x") for t in stack.lines("a")
               if set(t) == {"x"}) == 3000000


def rss_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


def test_a_stalled_reader_stalls_nothing(stack):
    stack.procfile(a=actor("--flood=400000:100", "--mark=flooded",
                           "--tick=20"),
                   b=actor("--print=quiet"))
    r, w = os.pipe()
    try:
        stack.up(settled=False, stdout=w, stderr=w)
        os.close(w)
        w = None
        # 40 MB go by although nobody reads.
        stack.wait_journal("mark", "a.1", limit=30)
        if not ASAN:
            assert rss_kb(stack.process.pid) < 40000
        assert stack.hr("ps").code == 0
        assert stack.hr("restart", "b").code == 0
        # Now somebody reads: what was skipped is counted, what comes is new.
        seen = []
        stop = threading.Event()

        def read():
            while not stop.is_set():
                data = os.read(r, 65536)
                if not data:
                    return
                seen.append(data)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            eventually(lambda: re.search(rb"a +\| tick \d+", b"".join(
                seen)), None, lambda: b"".join(seen)[-500:])
            eventually(lambda: re.search(rb"skipped|dropped", b"".join(
                seen)), None, lambda: b"".join(seen)[-500:])
            text = b"".join(seen).decode()
            for line in text.splitlines()[:-1]:
                assert re.match(r"\d\d:\d\d:\d\d (a|b|hr) +\| ?", line), line
            code = stack.stop()
        finally:
            stop.set()
            if stack.process.poll() is None:
                stack.process.kill()
            reader.join(15)
        assert code == 130
    finally:
        os.close(r)
        if w is not None:
            os.close(w)


def test_stop_does_not_hang_on_a_stalled_reader(stack):
    stack.procfile(a=actor("--flood=20000:100", "--mark=flooded"))
    r, w = os.pipe()
    try:
        stack.up(settled=False, stdout=w, stderr=w)
        os.close(w)
        stack.wait_journal("mark", "a.1")
        assert stack.stop() == 130
        stack.gone()
    finally:
        os.close(r)


@pytest.mark.parametrize("verb", [("logs", "-f"), ("events", "-f", "--json")])
def test_a_stalled_client_stalls_nothing(stack, verb):
    stack.procfile(a=actor("--until=go", "--flood=200000:100",
                           "--mark=flooded"), b=actor())
    stack.up()
    client = stack.popen(*verb, stdout=subprocess.PIPE)
    stack.helpers.append(client)
    stays(lambda: client.poll() is None, 0.1)
    os.kill(client.pid, signal.SIGSTOP)
    stack.write("go", "")
    stack.wait_journal("mark", "a.1", limit=30)
    if not ASAN:
        assert rss_kb(stack.process.pid) < 40000
    for _ in range(5):
        assert stack.hr("restart", "b").code == 0
    os.kill(client.pid, signal.SIGCONT)
    client.kill()
    client.wait()
    client.stdout.close()


def test_closed_stdout(stack):
    """`hr up | head -1`: the reader goes, the stack is stopped or goes on,
    but never spins or leaves anything."""
    stack.procfile(a=actor("--tick=20", "--on-int=after:100"))
    r, w = os.pipe()
    stack.up(settled=False, stdout=w, stderr=w)
    os.close(w)
    os.read(r, 100)
    os.close(r)
    stack.wait_journal("start", "a.1")
    stays(lambda: True, 0.3)
    if stack.process.poll() is None:
        stack.stop()
    stack.wait_journal("end", "a.1")
    stack.gone()


def test_output_closed_from_the_start(stack):
    stack.procfile(a=actor("--print=x"))
    stack.up(settled=False, stdout=None, stderr=None,
             preexec_fn=lambda: (os.close(1), os.close(2)))
    stack.wait_journal("start", "a.1")
    assert stack.hr("ps").code == 0
    assert stack.stop() == 130


def test_service_that_closes_its_output_runs_on(stack):
    stack.procfile(a=actor("--print=bye", "--close-out"))
    stack.up()
    stack.wait_out("^bye$", "a")
    stays(lambda: alive(stack.pid("a")))
    assert stack.hr("restart", "a").code == 0


def test_output_of_daemons_is_shown_too(stack):
    stack.procfile(a=actor("--spawn=daemon"))
    stack.up()
    stack.wait_journal("child-start", "a.1")
    stack.stop()
    assert "child got SIGINT" in stack.lines("a")


def up_on_pty_and_off(stack, text_hex):
    stack.env["TERM"] = "xterm-256color"
    stack.procfile(a=actor("--hex=" + text_hex, "--print=over"))
    stack.up(use_pty=True)
    stack.wait_out("over")
    line = [li for li in stack.out().splitlines() if "over" not in li
            and re.search(r"\ba +\|", li)]
    stack.stop()
    return "\n".join(line)


def test_colours_are_kept_and_closed(stack):
    text = up_on_pty_and_off(stack, "1b5b33316d726564" + "0a")  # red
    assert "\x1b[31mred" in text
    assert re.search("red\x1b\\[0?m", text)


def test_cursor_screen_and_title_are_dropped(stack):
    dirty = b"\x1b[2J\x1b[Hone\x1b[3Atwo\x1b]0;title\x07three\x1bcfour" \
        b"\x1b[?1049hfive\x1b[?25l\n"
    text = up_on_pty_and_off(stack, dirty.hex())
    assert "onetwothreefourfive" in text
    assert "title" not in text


def test_binary_and_invalid_utf8(stack):
    stack.procfile(a=actor("--hex=" + bytes(
        b"\xff\xfe caf\xc3\xa9 \x00 \xe2\x82\n").hex(), "--print=over"))
    stack.up()
    stack.wait_out("^over$", "a")
    assert stack.saw("caf\u00e9", "a")


def test_carriage_returns(stack):
    stack.procfile(a=actor("--hex=" + b"crlf\r\n".hex(), "--hex=" +
                           b"10%\r20%\r30%\n".hex(), "--print=over"))
    stack.up()
    stack.wait_out("^over$", "a")
    assert any(t.rstrip("\r") == "crlf" for t in stack.lines("a"))
    assert stack.saw("30%", "a")


def test_empty_lines_are_kept(stack):
    stack.procfile(a=actor("--hex=" + b"x\n\n\ny\n".hex()))
    stack.up()
    stack.wait_out("^y$", "a")
    assert stack.lines("a") == ["x", "", "", "y"]


def test_wide_and_cjk_text(stack):
    stack.write(".env", "T='日本語 한국어 ไทย Tiếng Việt'\n")
    stack.procfile(a="echo \"$T\"; exec " + actor())
    stack.up()
    stack.wait_out("^日本語 한국어 ไทย Tiếng Việt$", "a")


def test_memory_holds_the_last_megabyte_per_service(stack):
    stack.procfile(a=actor("--flood=60000:100", "--print=over"),
                   b=actor("--print=small"))
    stack.up()
    stack.wait_out("^over$", "a", limit=30)
    done = stack.hr("logs", "-n", "1000000", "a")
    assert 800000 < len(done.out) < 2500000
    kept = numbers(re.sub(r"^.*?\| ", "", li) for li in
                   done.out.splitlines())
    assert kept == list(range(kept[0], 60001))
    assert "small" in stack.hr("logs", "b").out


def test_a_draining_service_is_not_hurt_by_the_death_of_hr(stack):
    """Its log pipe stays open and is emptied: no SIGPIPE, no block."""
    stack.procfile(a=actor("--until=go", "--on-int=print",
                           "--flood=4000:100", "--mark=flooded", "--exit=0"))
    stack.conf("service a { kill_delay = \"9s\" }\n")
    stack.up()
    stack.wait_journal("start", "a.1")
    os.kill(stack.process.pid, signal.SIGKILL)
    stack.process.wait()
    stack.wait_journal("signal", "a.1")
    stack.write("go", "")
    stack.wait_journal("mark", "a.1")
    assert stack.wait_journal("end", "a.1").note == "exit:0"
    stack.gone()
