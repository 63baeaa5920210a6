# SPDX-License-Identifier: MIT
"""Fixtures: stacks that are ended and checked after each test."""
import os
import shutil
import signal

import pytest

from harness import ACTOR, HR, Stack, make_base

# Started by nohup or as a shell's background job, these are ignored, which
# hr respects; the tests are about the ordinary case.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


def _finish(stacks, request):
    complaints = []
    for s in stacks:
        try:
            complaints += s.close()
        finally:
            s.kill_left()
    call = getattr(request.node, "rep_call", None)
    red = complaints or (call is not None and call.failed)
    if complaints:
        for s in stacks:
            request.node.add_report_section("teardown", s.base, s.report())
    if not (red and os.environ.get("HR_TEST_KEEP")):
        for s in stacks:
            shutil.rmtree(s.base, ignore_errors=True)
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def stacks(request):
    """A function that makes stacks; all are ended and checked."""
    made = request.node.hr_stacks = []

    def make(**kw):
        made.append(Stack(make_base(**kw)))
        return made[-1]
    yield make
    _finish(made, request)


@pytest.fixture
def stack(stacks):
    return stacks()


@pytest.fixture
def stack_outside_tmp(stacks):
    """For vim, which saves differently below /tmp (backupskip)."""
    return stacks(outside_tmp=True)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, "rep_" + report.when, report)
    if report.failed and report.when == "call":
        for s in getattr(item, "hr_stacks", []):
            report.sections.append(("stack " + s.base, s.report()))


def pytest_sessionstart(session):
    if hasattr(session.config, "workerinput"):
        return
    for path in (HR, ACTOR):
        if not os.access(path, os.X_OK):
            pytest.exit("%s is missing: run `make` first, or set HR and "
                        "ACTOR" % path, returncode=4)
