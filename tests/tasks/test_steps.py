"""The time that the steps of a run take."""

from types import SimpleNamespace
from typing import Any

import pytest

from tasks import steps
from tasks.steps import REST, show_steps, step, timing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock of the steps shows, one reading after the other; other threads have their own."""
    readings: list[float] = []
    monkeypatch.setattr(steps, "time", SimpleNamespace(monotonic=lambda: readings.pop(0)))
    return readings


def test_a_step_that_is_taken_twice_is_one_and_what_is_in_none_is_the_rest(clock):
    clock += [0.0, 1.0, 4.0, 5.0, 6.0, 6.0, 8.0, 10.0]
    with timing() as taken:
        with step("fit"):
            pass
        with step("report"):
            pass
        with step("fit"):
            pass
    assert taken == {"fit": 5.0, "report": 1.0, REST: 4.0}


def test_a_step_outside_of_a_run_is_nothing_special(clock):
    clock += [0.0, 1.0]
    with step("fit"):
        pass


def test_the_table_has_the_seconds_and_the_share_of_each_step(monkeypatch):
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(steps, "create_table_artifact", lambda rows, **_: shown.extend(rows))
    show_steps.fn({"fit": 6.0, REST: 2.0})
    assert [tuple(row.values()) for row in shown] == [
        ("fit", "6.0", "75%"),
        (REST, "2.0", "25%"),
        ("all", "8.0", "100%"),
    ]
