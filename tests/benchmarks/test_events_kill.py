"""Kills of a real server that takes events: a few here, and what is lost or twice is seen."""

from pathlib import Path

from benchmarks.events_kill import kill_often, look
from schema.events import Event
from serving.events import Journal
from storage.opening import open_store


def test_nothing_that_was_acknowledged_is_lost_or_twice_after_kills(tmp_path: Path) -> None:
    found = kill_often(tmp_path, n_kills=2, seconds=4.0, seed=3)
    assert (found["kills"], found["lost"], found["twice"]) == (2, 0, 0)
    assert found["acknowledged"] > 0


def test_a_lost_and_a_repeated_event_are_counted(tmp_path: Path) -> None:
    journal, other = Journal(tmp_path / "events"), Journal(tmp_path / "other")
    for one in (journal, other):
        one.add([Event(event_id="e1", type="view", user_id="user-1", item_id="kettle")])
        one.ship(open_store(str(tmp_path / "store")))
        one.close()
    assert look(tmp_path, ["e1"]) == (0, 1)
    assert look(tmp_path, ["e1", "e2"]) == (1, 1)
