# SPDX-License-Identifier: MIT
"""What hr costs when nothing happens, and with many services."""
import os
import re
import time

from harness import actor, eventually, stays

ASAN = os.environ.get("HR_BUILD_MODE") == "asan"


def switches(pid):
    with open("/proc/%d/status" % pid) as f:
        text = f.read()
    return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", text))


def test_nothing_wakes_when_idle(stack):
    stack.write("src/a.c", "1")
    stack.procfile(a=actor("--print=x"), b=actor(), c=actor())
    stack.conf("service a { watch { dirs = {\"src\"} }  build = 'true' }\n")
    stack.up()
    stack.wait_journal("start", "c.1")
    roles = stack.roles()
    assert len(roles) >= 8, roles      # master, watcher, 3 + 3
    # Measured over 2 s; what still settles gets three tries.
    for attempt in range(3):
        before = {p: switches(p) for p in roles}
        stays(lambda: True, 2)
        moved = {p: switches(p) - before[p] for p in roles
                 if switches(p) != before[p]}
        if not moved:
            return
    assert not moved, {open("/proc/%d/cmdline" % p).read(): n
                       for p, n in moved.items()}


def test_a_hundred_services(stack):
    stack.write("Procfile", "".join("s%02d: sleep 1000\n" % i
                                    for i in range(100)))
    began = time.monotonic()
    stack.up(settled=False)
    eventually(lambda: len(stack.ps()) == 100 and all(
        r["state"] == "ready" for r in stack.ps()), 30)
    took = time.monotonic() - began
    assert took < (30 if ASAN else 10)
    assert len({r["pid"] for r in stack.ps()}) == 100
    assert len(stack.hr("ps").out.splitlines()) >= 100
    began = time.monotonic()
    assert stack.stop(limit=30) == 130
    assert time.monotonic() - began < (30 if ASAN else 10)
    stack.gone()
