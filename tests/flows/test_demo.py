"""The demo: what make demo runs, from sample data to a champion."""

from collections.abc import Callable
from dataclasses import replace

from workplace import Workplace, artifact_ids

from storage.champion import champion_id


def test_the_demo_trains_on_sample_data_and_makes_its_model_the_champion_where_there_is_none(
    new_workplace: Callable[[], Workplace],
):
    place = new_workplace()
    workplace = replace(place, variables={**place.variables, "SEARCH_KINDS": "item-graph"})
    flags = ["--n-users", "600", "--n-items", "250"]
    record = workplace.result("demo", *flags)
    assert record["promotion"]["outcome"] == "promoted"
    assert champion_id(workplace.store) == record["ids"]["model"]
    assert (workplace.folder / "data" / "sample" / "sample-reviews.json.gz").exists()
    again = workplace.result("demo", *flags)
    assert artifact_ids(again) == artifact_ids(record)
    assert "promotion" not in again
