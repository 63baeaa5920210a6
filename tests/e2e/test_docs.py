# SPDX-License-Identifier: MIT
"""
Every example of README.md and docs/ is tried.

A fenced block says what it is by its first word: Procfile, hr.conf, .env
blocks go through `hr check`; "sh" blocks: each `hr VERB` must exist. Blocks
of the same file that follow each other without a heading between belong
together. Files in examples/ are checked too.
"""
import glob
import os
import re
import shlex

import pytest

from harness import ROOT

PAGES = sorted([os.path.join(ROOT, "README.md")] +
               glob.glob(os.path.join(ROOT, "docs", "*.md")))
FENCE = re.compile(r"^( *)```+ *(\S*)[^\n]*\n(.*?)^\1```+ *$", re.M | re.S)
ROLES = ("watcher", "worker", "keeper")     # how ps shows hr's processes
FILES = ("Procfile", "hr.conf", ".env")


def blocks(page):
    with open(page) as f:
        text = f.read()
    for m in FENCE.finditer(text):
        line = text.count("\n", 0, m.start()) + 1
        yield text[:m.start()], line, m.group(2), m.group(3)


def groups():
    """Sets of files that the reader is to have at the same time."""
    found = []
    for page in PAGES:
        last_heading = None
        for before, line, kind, body in blocks(page):
            if kind not in FILES:
                continue
            headings = len(re.findall(r"^#+ ", before, re.M))
            if headings != last_heading or kind in found[-1][1]:
                found.append(["%s:%d" % (os.path.relpath(page, ROOT), line),
                              {}])
            last_heading = headings
            found[-1][1][kind] = body
    return [pytest.param(files, id=place) for place, files in found]


def fragment(files):
    """A lone hr.conf block may speak of services whose command is in a
    Procfile that is not shown, and show keys of a service alone."""
    conf = files.get("hr.conf", "")
    if "Procfile" in files:
        return files
    names = re.findall(r"^service +([\w.-]+)", conf, re.M)
    if not names and not re.search(r"^(defaults|[a-z_]+ *=)", conf, re.M):
        return files
    names += [n for n in re.findall(r'"([a-z]\w*)(?::\w+)?"', " ".join(
        re.findall(r"(?:after|reload_with) *= *\{(.*?)\}", conf, re.S)))]
    return dict(files, Procfile="".join(
        "%s: sleep 1\n" % n for n in dict.fromkeys(names or ["web"])))


@pytest.mark.parametrize("files", groups())
def test_example_files(stack, files):
    for name, text in fragment(files).items():
        stack.write(name, text)
    if "Procfile" not in files and "hr.conf" not in files:
        stack.write("Procfile", "web: sleep 1\n")
    for d in ("src", "config", "ingest", "web", "templates"):
        os.makedirs(stack.path(d), exist_ok=True)
    done = stack.hr("check")
    assert done.code == 0, done.both


def commands():
    """`hr …` in the text and in tables, and lines `$ hr …` or of sh blocks."""
    found = set()
    for page in PAGES:
        with open(page) as f:
            text = f.read()
        found.update(re.findall(r"`(hr [a-z-][^`\n]*)`", text))
        found.update(re.findall(r"^ *\$ +(hr [^#\n]*)", text, re.M))
        for _, _, kind, body in blocks(page):
            if kind in ("sh", "console", "shell", "bash"):
                found.update(re.findall(r"^(hr [^#\n]*)", body, re.M))
    return sorted(re.sub(r"[][…]", "", c).split("  ")[0].strip()
                  for c in found if c.split()[1] not in ROLES)


@pytest.mark.parametrize("command", commands())
def test_commands_exist(stack, command):
    words = shlex.split(command, comments=True)
    i = 1
    while i < len(words) and words[i].startswith("-"):
        i += 1 if words[i].startswith("--") else 2
    assert i < len(words), command
    done = stack.hr("help", words[i])
    assert done.code == 0, done.both
    for option in words[i + 1:]:
        if re.match(r"-{1,2}[a-zA-Z]", option):
            name = option.split("=")[0]
            assert name in done.out, "%s does not know %s" % (words[i], name)


def test_there_are_examples():
    assert os.path.exists(os.path.join(ROOT, "README.md"))
    assert len(groups()) >= 3
    assert commands()


@pytest.mark.parametrize("path", sorted(
    os.path.relpath(os.path.dirname(p), ROOT) for p in
    glob.glob(os.path.join(ROOT, "examples", "*", "Procfile"))))
def test_examples_directory(stack, path):
    done = stack.hr("-C", os.path.join(ROOT, path), "check")
    assert done.code == 0, done.both


def test_every_key_of_the_model_is_documented():
    """docs/hr.conf.md has a line for each key of the interface."""
    with open(os.path.join(ROOT, "docs", "hr.conf.md")) as f:
        text = f.read()
    keys = """stack env_file port_base shutdown_delay on_exit env_precedence
        backpressure notify include command dir env instances enabled oneshot
        tty build build_timeout on_build_error debounce max_wait kill_signal
        kill_scope kill_delay restart backoff max_restarts after reload_with
        lock drain hold handoff ready alive log watch rule port dirs ext
        exclude exclude_regex gitignore follow_symlinks poll unchanged match
        number host mode http tcp exec listen timeout interval failures file
        max_size keep colour timestamps""".split()
    missing = [k for k in keys if not re.search(r"`[^`]*\b%s\b[^`]*`" % k,
                                                text)]
    assert not missing
