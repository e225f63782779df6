"""How services are stopped: those that watch over work let it end first."""

import sys
from pathlib import Path

import pytest

from deployments.stack.health import Check
from deployments.stack.keeper import Keeper
from deployments.stack.service import Service

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]])
child.wait()
import time
time.sleep(600)
"""
CHILD = """
import os, pathlib, signal, sys, time
parent = os.getppid()
def end(*_):
    time.sleep(0.5)
    os.kill(parent, 0)
    pathlib.Path(sys.argv[1]).write_text("ended in order" if os.getppid() == parent else "orphaned")
    sys.exit()
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1]).write_text("at work")
signal.pause()
"""


class AtWork(Check):
    """Whether the child has said so."""

    def problem(self) -> str | None:
        """Return why not."""
        return None if Path(self.url).exists() else "not yet"


@pytest.mark.parametrize(("ends_children_first", "said"), [(True, "ended in order"), (False, "at work")])
def test_work_ends_before_what_watches_over_it_where_that_is_asked_for(
    tmp_path: Path, *, ends_children_first: bool, said: str
) -> None:
    told = tmp_path / "told"
    command = (sys.executable, "-c", PARENT, CHILD, str(told))
    service = Service("watching", command, "waits", (AtWork(url=str(told)),), ends_children_first=ends_children_first)
    keeper = Keeper([service], tmp_path / "stack", {}, lambda _: None)
    keeper.start()
    keeper.stop()
    assert told.read_text() == said
