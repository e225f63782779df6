"""The demo: what make demo runs, from sample data to a champion."""

from collections.abc import Callable
from dataclasses import replace

from workplace import Workplace, artifact_ids

from flows import demo
from storage.champion import champion_id


def test_the_demo_trains_on_sample_data_and_makes_its_model_the_champion_where_there_is_none(
    new_workplace: Callable[[], Workplace],
):
    place = new_workplace()
    workplace = replace(place, variables={**place.variables, "SEARCH_KINDS": "item-graph"})
    flags = ["--n-users", "600", "--n-items", "250"]
    record = workplace.result("demo", *flags, apart=True)
    assert record["promotion"]["outcome"] == "promoted"
    assert champion_id(workplace.store) == record["ids"]["model"]
    assert (workplace.folder / "data" / "sample" / "sample-reviews.json.gz").exists()
    again = workplace.result("demo", *flags)
    assert artifact_ids(again) == artifact_ids(record)
    assert "promotion" not in again


def test_the_search_is_short_unless_the_environment_says_how_long_it_is(monkeypatch):
    for name in ("SEARCH_TRIES", "BUDGET_MINUTES"):
        monkeypatch.delenv(name, raising=False)
    assert demo._budget() == {"search_tries": "3"}
    for name in ("SEARCH_TRIES", "BUDGET_MINUTES"):
        with monkeypatch.context() as environment:
            environment.setenv(name, "1")
            assert demo._budget() == {}
