"""What a challenger is held against beside the champion; on stores of a few bytes."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
from loguru import logger
from sample_artifacts import publish_folder

from models.registry import Candidate
from reports.verdicts import say_finding
from schema.errors import Unavailable
from schema.metric import Metric
from storage import artifacts, layout
from storage.champion import ChampionHistory, ChampionTerm, promote, read_history
from storage.manifest import Manifest
from tasks.best import Best, compare_standing, count_tries, find_best, try_champion
from tasks.fit import candidate_of
from tasks.model import Champion
from tasks.options import PlaceOptions
from tasks.score import Scored

ANOTHER = Candidate(model="popularity", parameters={})
NDCG = Metric("ndcg", 10)


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    return PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")


def publish(places: PlaceOptions, kind: str, name: str, text: str = "{}", **origin: Any) -> Manifest:
    folder = places.work_dir / kind / name
    folder.mkdir(parents=True)
    (folder / layout.METRICS).write_text(text)
    return publish_folder(places.open_store(), folder, kind, name, **origin)


def add_split(places: PlaceOptions, name: str, method: str = "rolling", *, has_ratings: bool = True) -> Manifest:
    counts = {"has_ratings": has_ratings, "has_timestamps": True}
    return publish(places, layout.SPLITS, name, parameters={"split": method}, counts=counts)


def add_model(places: PlaceOptions, name: str, model: str = "item-knn") -> Manifest:
    return publish(places, layout.MODELS, name, parameters={"model": model, "select_by": "ndcg_10"})


def serve(places: PlaceOptions, model_id: str) -> None:
    store = places.open_store()
    promote(store, ChampionTerm(model_id), read_history(store))


def fail(error: object) -> NoReturn:
    raise error if isinstance(error, Exception) else AssertionError("nothing is to be tested")


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING", format="{message}")
    yield said
    logger.remove(sink)


def row(model: str, value: float) -> dict[str, Any]:
    about = {"model": model, "parameters": {}, "split": "test", "metric": "ndcg", "k": 10}
    return {**about, "value": value, "low": 0.97 * value, "high": 1.03 * value, "n_users": 9000}


def add_promotion(places: PlaceOptions, name: str, challenger: str, split: str = "s", value: float = 0.2) -> Manifest:
    text = json.dumps({"rows": [row("random", 0.01), row("popularity", 0.1), row("item-knn", value)]})
    return publish(places, layout.PROMOTIONS, name, text, inputs={"challenger": challenger, "split": split})


def test_the_best_so_far_is_the_challenger_of_the_promotion_that_the_pointer_names(places):
    split, champion, best = add_split(places, "s"), add_model(places, "new"), add_model(places, "good")
    promotion = add_promotion(places, "p", "good")
    history = ChampionHistory((ChampionTerm("new", promotion="q", best="p"),), "1")
    assert find_best(places.open_store(), history, champion, split) == Best(best, promotion)


@pytest.mark.parametrize("term", [ChampionTerm("new"), ChampionTerm("new", promotion="gone", best="also-gone")])
def test_the_champion_is_the_best_so_far_where_nothing_else_is_known(places, term):
    split, champion = add_split(places, "s"), add_model(places, "new")
    assert find_best(places.open_store(), ChampionHistory((term,), "1"), champion, split) == Best(champion, None)


def test_a_pointer_of_before_names_the_champion_with_its_own_promotion(places):
    split, champion, promotion = add_split(places, "s"), add_model(places, "new"), add_promotion(places, "p", "new")
    history = ChampionHistory((ChampionTerm("new", promotion="p"),), "1")
    assert find_best(places.open_store(), history, champion, split) == Best(champion, promotion)


@pytest.mark.parametrize(("model", "why"), [("bias", "it has no ratings"), (None, "the store has this model no more")])
def test_the_champion_stands_in_for_a_best_that_cannot_be_fitted_and_that_is_told(places, model, why):
    split, champion = add_split(places, "s", has_ratings=False), add_model(places, "new")
    add_promotion(places, "p", "good")
    if model:
        add_model(places, "good", model)
    history = ChampionHistory((ChampionTerm("new", promotion="q", best="p"),), "1")
    found = find_best(places.open_store(), history, champion, split)
    assert (found.model, found.promotion) == (champion, None)
    [finding] = found.findings
    assert finding.is_warning
    assert f"those of models/good, cannot be fitted to this split: {why}" in say_finding(finding)


def test_tries_are_the_challengers_of_one_split(places):
    split, new = add_split(places, "s"), add_model(places, "new")
    assert count_tries(places.open_store(), new, split) == 1
    for number, (challenger, its_split) in enumerate([("a", "s"), ("a", "s"), ("b", "s"), ("c", "t"), ("new", "s")]):
        add_promotion(places, f"p{number}", challenger, its_split)
    assert count_tries(places.open_store(), new, split) == 3


@pytest.mark.parametrize(("value", "is_warning"), [(0.1, True), (0.19, False)])
def test_what_a_promotion_measured_is_held_against_today(places, value, is_warning):
    split, best = add_split(places, "s"), Best(add_model(places, "good"), add_promotion(places, "p", "good"))
    finding = compare_standing(places, best, split, NDCG, [row("popularity", 0.1), row("item-knn", value)], 0.05)
    assert finding is not None
    assert finding.is_warning == is_warning
    assert (finding.figures["then"], finding.figures["now"]) == (pytest.approx(2), pytest.approx(10 * value))


def test_standings_are_not_compared_where_rows_were_held_out_in_another_way(places):
    add_split(places, "s", "leave-last")
    split, rows = add_split(places, "t"), [row("popularity", 0.1), row("item-knn", 0.1)]
    model, promotion = add_model(places, "good"), add_promotion(places, "p", "good")
    assert compare_standing(places, Best(model, promotion), split, NDCG, rows, 0.05) is None
    assert compare_standing(places, Best(model, None), split, NDCG, rows, 0.05) is None
    same = artifacts.find(places.open_store(), layout.SPLITS, "s")
    assert same is not None
    assert compare_standing(places, Best(model, promotion), same, NDCG, rows[:1], 0.05) is None


def test_the_champion_is_fitted_and_tested_where_its_parameters_are_not_those_chosen(places):
    split, champion = add_split(places, "s"), add_model(places, "good")
    serve(places, "good")
    asked: list[Candidate] = []

    def on_test(candidates: Sequence[Candidate]) -> list[Scored]:
        asked.extend(candidates)
        return [Scored(one, champion, champion) for one in candidates]

    tried = try_champion(places, split, ANOTHER, on_test)
    assert tried == Champion("good", Scored(candidate_of(champion), champion, champion))
    assert asked == [candidate_of(champion)]
    assert try_champion(places, split, candidate_of(champion), on_test) is None
    assert len(asked) == 1


def test_without_a_champion_nothing_is_tested(places):
    assert try_champion(places, add_split(places, "s"), ANOTHER, fail) is None


@pytest.mark.parametrize("error", [Unavailable("Spark ended"), ValueError("singular"), KeyError("kind"), TypeError()])
def test_a_champion_that_cannot_be_fitted_is_left_out_with_a_warning(places, error, warnings):
    split, _ = add_split(places, "s"), add_model(places, "good")
    serve(places, "good")
    assert try_champion(places, split, ANOTHER, lambda _: fail(error)) is None
    assert "the champion cannot be compared" in warnings[0]


@pytest.mark.parametrize(
    ("model", "why"), [("bias", "it has no ratings"), (None, "the store has it no more"), ("broken", "champion.json")]
)
def test_a_champion_that_cannot_be_read_is_left_out_with_a_warning(places, model, why, warnings):
    split = add_split(places, "s", has_ratings=False)
    if model == "broken":
        places.open_store().create(layout.CHAMPION, b"{}")
    else:
        serve(places, "good")
    if model == "bias":
        add_model(places, "good", model)
    assert try_champion(places, split, ANOTHER, fail) is None
    assert why in warnings[0]
