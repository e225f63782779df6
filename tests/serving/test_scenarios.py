"""Scenarios of a store are replaced as a whole, only where they can be read again, and by one thread at a time."""

import json
import threading

import pytest

from serving.problems import Problem
from serving.rules import Scenario
from serving.scenarios import MOST_BYTES, Scenarios, key_of
from storage.memory import MemoryStore


def scenario_with(n_labels):
    """Return one whose body is smaller than the limit, and whose file grows by 2 lines for each label."""
    ids = tuple(f"{n:04}" + "é" * 252 for n in range(1000))
    return Scenario(allow=ids, deny=ids, brands=ids[:n_labels], categories=ids[:n_labels])


class ListsWhileOthersWrite(MemoryStore):
    """A store that starts another thread when it is listed, and gives it time to end."""

    def __init__(self, write):
        super().__init__("busy")
        self.writer = threading.Thread(target=lambda: write(self))

    def list(self, prefix):
        found = list(super().list(prefix))
        if self.writer.ident is None:
            self.writer.start()
            self.writer.join(timeout=0.3)
        return iter(found)


@pytest.mark.parametrize("name", ["new", "home"])
def test_a_scenario_whose_file_could_not_be_read_again_is_refused_before_it_is_written(name):
    store, scenarios, large = MemoryStore("large"), Scenarios(), scenario_with(20)
    body = json.dumps(large.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False, separators=(",", ":"))
    assert len(body.encode()) < MOST_BYTES
    before = scenarios.current.get(name)
    with pytest.raises(Problem, match=f"{name}.*1052875 bytes; at most {MOST_BYTES}") as found:
        scenarios.replace(store, name, large, before and before.version)
    assert found.value.status == 413
    assert (store.head(key_of(name)), scenarios.current.get(name), scenarios.problems) == (None, before, {})


def test_a_large_scenario_that_is_taken_is_read_again_elsewhere():
    store, scenarios, elsewhere = MemoryStore("fits"), Scenarios(), Scenarios()
    written = scenarios.replace(store, "new", scenario_with(15), None)
    elsewhere.refresh(store)
    assert (written, elsewhere["new"]) == (scenarios["new"], written)


def test_a_scenario_that_is_written_during_a_refresh_stays():
    scenarios = Scenarios()
    store = ListsWhileOthersWrite(lambda store: scenarios.replace(store, "new", Scenario(n=3), None))
    scenarios.refresh(store)
    store.writer.join()
    assert scenarios["new"].scenario.n == 3
