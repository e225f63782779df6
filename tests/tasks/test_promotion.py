"""The models that are compared, and what stands in the way of a promotion; on stores of a few bytes."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sample_artifacts import publish_folder

from reports.verdicts import say_finding
from schema.errors import CorruptObject, InvalidInput, VersionConflict
from storage import artifacts, layout
from storage.champion import ChampionHistory, ChampionTerm, promote, read_history, replace_champion
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.options import ModelChoice, PlaceOptions
from tasks.promotion import Challenge, find_challenge, find_predecessor, make_champion

JULY, MAY = datetime(2014, 7, 1, tzinfo=UTC), datetime(2014, 5, 1, tzinfo=UTC)


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


def publish(places: PlaceOptions, kind: str, name: str, inputs: dict[str, str], **about: Any) -> Manifest:
    """Publish an artifact with a table of one interaction."""
    folder = places.work_dir / kind / name
    folder.mkdir(parents=True)
    moment = int(about.get("last", JULY).timestamp())
    rows = pa.table({"user_idx": [0], "item_idx": [0], "timestamp": [moment]})
    write_parquet([rows], folder / layout.INTERACTIONS, rows.schema)
    counts = {"has_timestamps": True, "has_ratings": about.get("has_ratings", True)}
    origin = {"inputs": inputs, "parameters": about.get("parameters"), "counts": counts}
    return publish_folder(places.open_store(), folder, kind, name, **origin)


def add_model(places: PlaceOptions, name: str, model: str = "popularity", **about: Any) -> Manifest:
    """Publish a model with a dataset and a split of its own."""
    publish(places, layout.DATASETS, f"d-{name}", {}, **about)
    publish(places, layout.SPLITS, f"s-{name}", {"dataset": f"d-{name}"}, **about)
    parameters = {"model": model, "select_by": "ndcg_10"}
    inputs = {"dataset": f"d-{name}", "split": f"s-{name}"}
    return publish(places, layout.MODELS, name, inputs, parameters=parameters)


def add_bundle(places: PlaceOptions, name: str) -> Manifest:
    """Publish what stands for the bundle of a model."""
    return publish(places, layout.BUNDLES, f"{name}-00000000", {"model": name})


def add_models(places: PlaceOptions, **written_at: float) -> None:
    """Publish models whose manifests were written so many seconds after 1970."""
    for name, moment in written_at.items():
        add_model(places, name)
        os.utime(Path(places.store_uri) / layout.manifest_key(layout.MODELS, name), (moment, moment))


def serve(places: PlaceOptions, *names: str) -> None:
    for name in names:
        store = places.open_store()
        promote(store, ChampionTerm(name, "then", "why", "p"), read_history(store))


def challenge(places: PlaceOptions, model_id: str | None = None) -> Challenge:
    found: Challenge = find_challenge.fn(places, ModelChoice(model_id=model_id))
    return found


def test_the_newest_model_is_the_challenger_where_none_is_named(places):
    add_models(places, b=1e9, c=3e9, a=2e9)
    assert challenge(places).challenger.id == "c"
    assert challenge(places, "b").challenger.id == "b"


def test_a_model_that_was_left_by_a_rollback_is_not_the_challenger_again(places):
    add_models(places, old=1e9, refused=2e9, left=3e9)
    serve(places, "old", "left", "old")
    assert challenge(places).challenger.id == "refused"
    serve(places, "refused")
    assert challenge(places).challenger.id == "refused"


def test_where_all_models_gave_way_there_is_no_challenger(places):
    add_model(places, "left")
    serve(places, "left", "gone")
    with pytest.raises(InvalidInput, match="has no model to promote that did not serve before; 1 did"):
        challenge(places)


def test_a_model_that_was_left_can_be_named_and_is_told(places):
    add_model(places, "old")
    add_model(places, "left", "item-knn")
    serve(places, "old", "left")
    make_champion.fn(places, *going_back(places, "old"))
    [finding] = challenge(places, "left").findings
    assert finding.is_warning
    assert say_finding(finding) == (
        "The challenger was the champion before, until models/old took its place (now: it repeats itself)."
    )


def going_back(places: PlaceOptions, name: str) -> tuple[Manifest, Manifest, ChampionTerm, ChampionHistory]:
    model = artifacts.find(places.open_store(), layout.MODELS, name)
    assert model is not None
    return (
        model,
        add_bundle(places, name),
        ChampionTerm(name, "now", "it repeats itself"),
        read_history(places.open_store()),
    )


def test_the_split_is_the_challengers(places):
    add_model(places, "old")
    add_model(places, "new", "item-knn")
    serve(places, "old")
    found = challenge(places, "new")
    assert (found.champion and found.champion.id, found.split.id) == ("old", "s-new")
    assert [one.model for one in found.candidates] == ["item-knn", "popularity"]


def test_a_challenger_of_older_data_is_told(places):
    add_model(places, "july", last=JULY)
    add_model(places, "may", "item-knn", last=MAY)
    serve(places, "july")
    [finding] = challenge(places, "may").findings
    assert finding.is_warning
    assert "older data than the champion: its last interaction is of 2014-05-01" in say_finding(finding)
    assert "the champion's of 2014-07-01" in say_finding(finding)


def test_a_challenger_of_newer_data_is_none_of_older_data(places):
    add_model(places, "may", last=MAY)
    add_model(places, "july", "item-knn", last=JULY)
    serve(places, "may")
    assert challenge(places, "july").findings == ()


def test_the_same_parameters_on_other_data_are_told(places):
    add_model(places, "may", last=MAY)
    add_model(places, "july", last=JULY)
    serve(places, "may")
    [finding] = challenge(places, "july").findings
    assert not finding.is_warning
    assert "fits of the same parameters to different data" in say_finding(finding)


def test_the_same_parameters_on_the_same_data_are_told_as_that(places):
    add_model(places, "may", last=MAY)
    inputs = {"dataset": "d-may", "split": "s-may"}
    publish(places, layout.MODELS, "twin", inputs, parameters={"model": "popularity", "select_by": "precision_10"})
    serve(places, "may")
    [finding] = challenge(places, "twin").findings
    assert "fits of the same parameters to the same data" in say_finding(finding)


@pytest.mark.parametrize("model_id", [None, "nobody"])
def test_without_such_a_model_there_is_no_challenge(model_id, places):
    with pytest.raises(InvalidInput, match="has no model"):
        challenge(places, model_id)


def test_a_champion_that_is_gone_is_told_with_what_to_do(places):
    add_model(places, "new")
    serve(places, "gone")
    with pytest.raises(InvalidInput, match=r"no longer has models/gone\. .* --rollback --model ID --reason TEXT"):
        challenge(places, "new")


def test_a_champion_that_needs_ratings_is_not_compared_without_them(places):
    add_model(places, "old", "bias")
    add_model(places, "new", has_ratings=False)
    serve(places, "old")
    with pytest.raises(InvalidInput, match=r"The champion, bias, cannot be fitted .*: it has no ratings\."):
        challenge(places, "new")


@pytest.mark.parametrize("broken", [layout.MODELS, layout.BUNDLES])
def test_a_model_that_is_not_whole_or_whose_bundle_is_not_is_not_promoted(places, broken):
    model, bundle = add_model(places, "new"), add_bundle(places, "new")
    serve(places, "old")
    history = read_history(places.open_store())
    name = next(one.id for one in (model, bundle) if one.kind == broken)
    path = Path(places.store_uri) / broken / name / layout.INTERACTIONS
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptObject, match=rf"models/new cannot serve: {broken}/{name}: .* has the SHA-256"):
        make_champion.fn(places, model, bundle, ChampionTerm("new"), history)
    path.unlink()
    with pytest.raises(CorruptObject, match=rf"models/new cannot serve: {broken}/{name}: .* is missing"):
        make_champion.fn(places, model, bundle, ChampionTerm("new"), history)
    assert read_history(places.open_store()) == history


def test_of_two_that_decided_against_the_same_champion_the_second_is_told_who_won(places):
    _, first, second = (add_model(places, name) for name in ("old", "first", "second"))
    serve(places, "old")
    histories = [challenge(places, name).history for name in ("first", "second")]
    make_champion.fn(places, first, first, ChampionTerm("first", "now", "it was faster"), histories[0])
    with pytest.raises(VersionConflict, match=r"models/first became the champion \(now: it was faster\)"):
        make_champion.fn(places, second, second, ChampionTerm("second"), histories[1])
    assert [entry.model_id for entry in read_history(places.open_store()).terms] == ["first", "old"]


def test_one_goes_back_to_the_champion_before_or_to_a_model_that_is_named(places):
    for name in ("one", "two", "other"):
        add_model(places, name)
    serve(places, "one", "two")
    history = read_history(places.open_store())
    assert find_predecessor.fn(places, ModelChoice(model_id=None), history).id == "one"
    assert find_predecessor.fn(places, ModelChoice(model_id="other"), history).id == "other"
    with pytest.raises(InvalidInput, match="has no model 'nobody'"):
        find_predecessor.fn(places, ModelChoice(model_id="nobody"), history)


def test_the_first_champion_has_none_to_go_back_to(places):
    nothing = ModelChoice(model_id=None)
    with pytest.raises(InvalidInput, match="its champion is none"):
        find_predecessor.fn(places, nothing, read_history(places.open_store()))
    replace_champion(places.open_store(), {"model_id": "1f3a"}, None)
    with pytest.raises(InvalidInput, match="its champion is models/1f3a, the first"):
        find_predecessor.fn(places, nothing, read_history(places.open_store()))
