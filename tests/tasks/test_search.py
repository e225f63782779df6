"""The search on a split that is in a store: what it draws, drops and finds again; without Spark, Dask and Prefect."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loguru import logger
from sample_artifacts import publish_dataset

from evaluation.options import SplitOptions
from models.blend import Blend
from models.item_knn import ItemKnn, ItemKnnOptions
from models.registry import KINDS, Candidate, ModelOptions, yardsticks
from models.space import Choice
from schema.errors import CorruptObject
from schema.metric import Metric
from schema.verdicts import Comparison
from spark.options import SparkOptions
from storage import layout
from storage.code_version import reached_symbols
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from tasks import blending, racing
from tasks import search as searching
from tasks.blending import combine_best, find_weights, leave_one_out
from tasks.dataset import split_dataset
from tasks.fit import fit
from tasks.options import EvaluationOptions, PlaceOptions, SearchOptions
from tasks.racing import Budget, Race, Tried
from tasks.score import Scored, score
from tasks.search import describe, search
from tasks.store import PART_FILES, local_file, publish_once

NDCG = Metric("ndcg", 10)
KNN = Candidate(model="item-knn", parameters=ItemKnnOptions().model_dump())


@dataclass
class Scene:
    """A store with a split, and which candidates were measured on how many users."""

    places: PlaceOptions
    split: Manifest
    measured: list[tuple[Candidate, int | None]] = field(default_factory=list)
    fits: list[int | None] = field(default_factory=list)
    fails_after: int | None = None

    def measure(self, candidate: Candidate, evaluation: EvaluationOptions, fits: int | None) -> Scored:
        if len(self.measured) == self.fails_after:
            raise InterruptedError
        self.measured.append((candidate, evaluation.evaluate_users))
        self.fits.append(fits)
        return self.score(candidate, evaluation, fits=fits)

    def score(
        self, candidate: Candidate, evaluation: EvaluationOptions, part: str = "validation", fits: int | None = None
    ) -> Scored:
        fitted = fit.fn(self.places, self.split, ("train",), candidate, SparkOptions())
        about = self.places, self.split, fitted, candidate, part, evaluation
        return Scored(candidate, fitted, score.fn(*about, asked_fits=fits))

    def search(self, models: Any = None, *, others: Sequence[Candidate] = (), **options: Any) -> list[Tried]:
        fixed = [self.score(one, EvaluationOptions()) for one in [*yardsticks(), KNN, *others]]
        asked = SearchOptions(**{"search_kinds": "auto,item-knn", **options}), EvaluationOptions(), NDCG
        return search(self.places, self.split, self.measure, fixed, models or ModelOptions(), *asked)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The table by kind, which no Prefect server is asked to keep."""
    rows: list[dict[str, Any]] = []
    monkeypatch.setattr(searching, "create_table_artifact", lambda table, **_: rows.extend(table))
    return rows


@pytest.fixture
def new_scene(tmp_path: Path, shown: list[dict[str, Any]]) -> Callable[[str], Scene]:
    def make(name: str, days_apart: int = 0, **options: Any) -> Scene:
        assert shown == []
        places = PlaceOptions(store_uri=str(tmp_path / name), work_dir=tmp_path / "work")
        dataset = publish_dataset(places.open_store(), tmp_path / f"{name}-dataset", days_apart=days_apart)
        return Scene(places, split_dataset.fn(places, dataset, SplitOptions(**{"split": "leave-last", **options})))

    return make


@pytest.fixture
def scene(new_scene: Callable[[str], Scene]) -> Scene:
    return new_scene("store")


GRAPH = Candidate(model="item-graph", parameters={"neighbours": 20, "time": "off"})
IALS = Candidate(model="ials", parameters={"ials_rank": 8, "ials_unseen": 5.0, "ials_sweeps": 2})


def test_a_blend_of_the_best_of_each_kind_is_made_of_fits_that_are_there(scene, monkeypatch):
    used: list[Any] = []
    monkeypatch.setattr(searching, "publish_once", lambda *a, **k: used.extend(k["uses"]) or publish_once(*a, **k))
    starts: list[Any] = []
    monkeypatch.setattr(blending, "find_weights", lambda _value, start: starts.append(start) or [1.0, 2.0])
    monkeypatch.setattr(Blend, "fit", None)
    worse = GRAPH.model_copy(update={"parameters": {"neighbours": 1, "time": "off"}})
    *rest, blend = scene.search(others=[worse, GRAPH, IALS])
    assert [one.scored.candidate for one in rest] == [*yardsticks(), KNN, worse, GRAPH, IALS]
    assert blend.scored.candidate.label == (
        "blend, item-graph 1 (neighbours 20, time off) + ials 2 (ials_rank 8, ials_unseen 5, ials_sweeps 2)"
    )
    assert leave_one_out(blend.scored.candidate) == {
        "item-graph 1 (neighbours 20, time off)": IALS,
        "ials 2 (ials_rank 8, ials_unseen 5, ials_sweeps 2)": GRAPH,
    }
    assert (len(manifests(scene, layout.FITS)), blend.value) == (7, blend.scored.value(NDCG))
    assert (blend.is_dropped, starts) == (True, [[1.0, 3.0]])
    [record] = manifests(scene, layout.SEARCHES)
    assert record.counts["n_drawn"] == 1
    assert ("models.blend", "BlendModel") in reached_symbols([search, *used])


def test_a_blend_is_kept_only_where_it_is_shown_to_be_better_than_its_best_part(scene, monkeypatch):
    parts = [scene.score(one, EvaluationOptions()) for one in (GRAPH, IALS)]
    rivals = []

    def compare(scored: Scored, other: Scored, difference: float) -> Comparison:
        rivals.append(other)
        return Comparison("", "", NDCG, difference, difference - 0.1, difference + 0.1, 0.01, 0.01, 100)

    for difference in (0.2, 0.05, -0.2):
        about = scene.places, scene.split, parts, ["blend"], NDCG, lambda one: scene.score(one, EvaluationOptions())
        [found] = combine_best(*about, partial(compare, difference=difference))
        assert found.is_better == (difference == 0.2)
    assert rivals == 3 * [max(parts, key=lambda one: one.value(NDCG))]


def test_two_parts_of_one_kind_are_left_out_one_by_one():
    shares = [{"model": "item-graph", "parameters": GRAPH.parameters, "weight": weight} for weight in (1, 2)]
    left = leave_one_out(Candidate(model="blend", parameters={"shares": shares}))
    assert len(left) == 2
    assert set(map(str, left.values())) == {str(GRAPH)}


def test_a_blend_that_is_no_better_names_its_parts(scene, monkeypatch):
    monkeypatch.setattr(blending, "find_weights", lambda _value, _n: [1.0, 0.0])
    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    scene.search(others=[GRAPH, IALS])
    logger.remove(sink)
    assert "No blend of item-graph, ials is better than its parts\n" in said


def test_without_two_kinds_of_part_there_is_no_blend(scene):
    assert len(scene.search(others=[GRAPH], search_kinds="auto")) == 4
    assert len(scene.search(others=[GRAPH, IALS], search_kinds="item-graph,ials")) == 5


def test_weights_are_found_and_what_adds_nothing_is_left_out():
    wanted = np.log([2.0, 12.0])

    def value(weights: np.ndarray) -> float:
        return -abs(np.log(weights[1] + 1e-9) - np.log(weights[0] + 1e-9) - (wanted[1] - wanted[0])) - weights[2]

    assert find_weights(value, [1, 1, 1]) == [1, pytest.approx(6, rel=0.1), 0]


def candidates(tried: list[Tried]) -> list[Candidate]:
    return [one.scored.candidate for one in tried]


def test_without_minutes_and_tries_the_fixed_candidates_are_all(scene):
    assert candidates(scene.search()) == [*yardsticks(), KNN]
    assert candidates(scene.search(search_tries=0, budget_minutes=1)) == [*yardsticks(), KNN]
    assert (scene.measured, list(list_artifacts(scene.places.open_store(), layout.SEARCHES))) == ([], [])


def test_as_many_are_drawn_as_asked_for_and_the_seed_decides_which(scene, shown):
    tried = scene.search(search_tries=3)
    drawn = candidates(tried)[3:]
    assert [one.model for one in drawn] == ["item-knn"] * 3
    assert len({one.label for one in drawn}) == 3
    assert all(one.value == pytest.approx(one.scored.value(NDCG), rel=1e-12) for one in tried)
    assert [(row["kind"], row["tried"], row["dropped"]) for row in shown] == [("item-knn", 4, 3)]
    assert candidates(scene.search(search_tries=3, search_seed=1))[3:] != drawn


@pytest.mark.parametrize(("difference", "is_dropped"), [(0.2, False), (0.05, True)])
def test_what_is_drawn_stays_where_it_is_shown_to_be_better_than_the_usual(scene, monkeypatch, difference, is_dropped):
    found = Comparison("", "", NDCG, difference, difference - 0.1, difference + 0.1, 0.01, 0.01, 100)
    monkeypatch.setattr(racing, "compare_paired", lambda *_: found)
    drawn = [one for one in scene.search(search_tries=3) if one.seconds is not None]
    assert [one.is_dropped for one in drawn] == [is_dropped] * 3


def test_a_search_that_is_done_is_found_with_what_it_tried(scene):
    first = scene.search(search_tries=3)
    again = scene.search(search_tries=3)
    assert [(one.scored, one.value, one.is_dropped) for one in again] == [
        (one.scored, one.value, one.is_dropped) for one in first
    ]
    assert [one.counts["n_drawn"] for one in manifests(scene, layout.SEARCHES)] == [3]


def manifests(scene: Scene, kind: str) -> list[Manifest]:
    found = [one.manifest for one in list_artifacts(scene.places.open_store(), kind)]
    return [one for one in found if isinstance(one, Manifest)]


def test_a_search_that_was_cut_off_goes_on_to_the_same_end(scene, new_scene):
    scene.fails_after = 2
    with pytest.raises(InterruptedError):
        scene.search(search_tries=4)
    assert manifests(scene, layout.SEARCHES) == []
    scene.fails_after = None
    whole = new_scene("other").search(search_tries=4)
    assert [one.scored for one in scene.search(search_tries=4)] == [one.scored for one in whole]


def test_the_search_never_opens_the_test_part(scene):
    path = local_file(scene.places, scene.split, PART_FILES["test"])
    path.unlink()
    path.write_bytes(b"nobody may read this")
    assert len(scene.search(others=[GRAPH, IALS], search_tries=4)) >= 9
    with pytest.raises(CorruptObject):
        scene.score(KNN, EvaluationOptions(), part="test")


def test_what_is_clearly_worse_on_a_sample_is_dropped_there_and_never_leads(scene, monkeypatch, shown):
    monkeypatch.setattr(racing, "RACE_USERS", (40, 500))
    monkeypatch.setattr(ItemKnn, "ranges", {"knn_neighbours": Choice((1,))})
    tried = scene.search(search_tries=1)
    assert scene.measured[0] == (tried[3].scored.candidate, 40)
    dropped = [one for one in tried if one.is_dropped]
    assert [one.scored.candidate.parameters["knn_neighbours"] for one in dropped] == [1]
    assert all(one.scored.scores.counts["n_users"] == 40 for one in dropped)
    assert (dropped[0].scored.candidate, None) not in scene.measured
    assert dropped[0].value < tried[2].value
    [kind] = describe(scene.places, tried, NDCG)
    assert (kind.n_tried, kind.n_dropped, shown[0]["dropped"]) == (2, 1, 1)


def test_a_space_that_is_used_up_ends_the_search(scene, monkeypatch):
    monkeypatch.setattr(ItemKnn, "ranges", {"knn_neighbours": Choice((100,))})
    assert len(scene.search(search_tries=50)) == 3


def test_what_was_drawn_before_does_not_end_a_search(scene, monkeypatch):
    monkeypatch.setattr(ItemKnn, "ranges", {"knn_neighbours": Choice((5, 10, 20, 50, 100))})
    assert len(scene.search(search_tries=50)) == 7


def test_options_that_were_given_are_not_drawn_and_no_kind_is_that_was_not_asked_for(scene):
    given = ModelOptions(item_knn=ItemKnnOptions(knn_neighbours=100))
    drawn = candidates(scene.search(given, search_tries=2))[3:]
    assert {one.parameters["knn_neighbours"] for one in drawn} == {100}
    assert len({one.parameters["knn_shrinkage"] for one in drawn}) == 2
    assert len(scene.search(search_tries=2, search_kinds="popularity")) == 3


def test_on_a_rolling_split_one_fit_is_raced_and_the_best_of_each_kind_is_scored_with_all(new_scene):
    scene = new_scene("rolling", days_apart=30, split="rolling", rolling_share=0.25)
    tried = scene.search(search_tries=4)
    assert candidates(tried)[:3] == [*yardsticks(), KNN]
    assert scene.fits[:5] == [1] * 5
    drawn = tried[3:]
    kept = [one for one in drawn if not one.is_dropped]
    assert [one.fits for one in drawn if one.is_dropped] == [1] * (4 - len(kept))
    assert [(one.scored.candidate, one.fits) for one in kept] == [(scene.measured[-1][0], None)] * len(kept)
    assert all(one.value == one.scored.value(NDCG) != 0 for one in kept)
    again = scene.search(search_tries=4)
    assert [(one.scored, one.value, one.is_dropped) for one in again] == [
        (one.scored, one.value, one.is_dropped) for one in tried
    ]


@pytest.mark.parametrize(("n_rows", "turns"), [(4_999, 0), (9_000, 1), (100_000, 10), (250_000, 20), (1_000_000, 5)])
def test_the_usual_budget_rises_with_the_rows_and_falls_where_a_fit_takes_long(scene, n_rows, turns):
    split = replace(scene.split, counts={**scene.split.counts, "train_n_rows": n_rows})
    usual = Budget.of(SearchOptions(), split)
    assert (usual.turns, usual.minutes, usual.is_nothing) == (pytest.approx(turns, abs=1e-3), 5, n_rows < 5_000)
    assert Budget.of(SearchOptions(budget_minutes=2), split).turns == math.inf
    assert Budget.of(SearchOptions(search_tries=0), split).is_nothing


def test_kinds_take_turns_by_what_they_cost_and_a_poor_one_is_given_up_as_soon(scene, monkeypatch):
    costs = {"item-knn": 2, "item-graph": 6, "ials": 16}
    for name, cost in costs.items():
        monkeypatch.setattr(type(KINDS[name]), "cost", cost)
    fixed = {name: Tried(Scored(Candidate(model=name, parameters={}), scene.split, scene.split), 0.0) for name in costs}

    def draw(turns: int, beaten: str = "") -> list[str]:
        monkeypatch.setattr(Race, "_is_beaten", lambda _, model: model == beaten)
        about = dict.fromkeys(costs, ItemKnn.ranges), 0, Budget(turns=turns), EvaluationOptions(), NDCG, None, []
        race, left, drawn = Race(scene.places, scene.measure, *about), dict.fromkeys(costs, 0), []
        race.raced = [*fixed.values()]
        while model := race._next(left, drawn):
            left[model] += 1
            drawn.append(fixed[model])
        return [one.model for one in drawn]

    assert draw(12) == ["item-knn"] * 3 + ["item-graph"] + ["item-knn"] * 3 + ["item-graph"]
    assert draw(100).count("item-graph") > draw(100, beaten="item-graph").count("item-graph") == 2


def test_a_budget_for_what_has_nothing_to_draw_is_warned_of(scene):
    said: list[str] = []
    sink = logger.add(said.append, level="WARNING")
    scene.search(ModelOptions(item_knn=ItemKnnOptions(knn_neighbours=9, knn_shrinkage=1)), search_tries=2)
    logger.remove(sink)
    assert "Nothing is drawn: of auto, item-knn, no parameter is open" in "".join(said)


def test_what_a_parameter_explains_is_the_share_of_a_parabola(scene, monkeypatch):
    monkeypatch.setattr(searching, "N_LEAST", 4)
    values = [0.0, 1.0, 0.0, 1.0, 0.0, 9.0]
    parameters: list[dict[str, Any]] = [
        {"knn_neighbours": n, "knn_shrinkage": s} for n, s in [(20, 0), (141, 1), (1000, 2), (142, 3), (20, 4)]
    ] + [{}]
    tried = [
        Tried(Scored(Candidate(model="item-knn", parameters=one), scene.split, scene.split), value)
        for one, value in zip(parameters, values, strict=True)
    ]
    effects = searching._effects(tried)
    assert effects["knn_neighbours"] == pytest.approx(1, abs=1e-3)
    assert effects["knn_shrinkage"] < 0.6
