"""The guard, the choice and the gate on scores that are in a store; without Spark, Dask and Prefect."""

import json
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from sample_artifacts import N_USERS, publish, publish_dataset

from evaluation.options import PromotionOptions, SplitOptions
from models.registry import Candidate, yardsticks
from schema.errors import InvalidInput
from schema.metric import Metric
from spark.options import SparkOptions
from storage import layout
from storage.champion import ChampionHistory
from storage.manifest import Manifest
from tasks import choose as choosing
from tasks.choose import choose
from tasks.dataset import split_dataset
from tasks.fit import fit
from tasks.options import EvaluationOptions, PlaceOptions, SelectionOptions
from tasks.promotion import Challenge, decide
from tasks.score import Scored, score

KNN = Candidate(model="item-knn", parameters={"knn_neighbours": 20, "knn_shrinkage": 1.0})


@dataclass(frozen=True)
class Scene:
    """A split of a dataset with two tastes, and what is scored on its validation and test parts."""

    places: PlaceOptions
    split: Manifest
    validated: list[Scored]
    tested: list[Scored]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("choose")
    places = PlaceOptions(store_uri=str(folder / "store"), work_dir=folder / "work")
    split = split_dataset.fn(places, publish_dataset(places.open_store(), folder / "dataset"), SplitOptions())
    candidates = [*yardsticks(), KNN]

    def scores(parts: tuple[str, ...], part: str) -> list[Scored]:
        fits = [fit.fn(places, split, parts, one, SparkOptions()) for one in candidates]
        found = zip(candidates, fits, strict=True)
        return [Scored(one, made, score.fn(places, split, made, one, part, EvaluationOptions())) for one, made in found]

    return Scene(places, split, scores(("train",), "validation"), scores(("train", "validation"), "test"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The rows of the table of candidates, which no Prefect server is asked to keep."""
    rows: list[dict[str, Any]] = []
    monkeypatch.setattr(choosing, "create_table_artifact", lambda table, **_: rows.extend(table))
    return rows


def test_the_best_on_validation_is_chosen_by_a_metric_that_is_fit(scene, shown):
    choice = choose.fn(scene.places, scene.split, scene.validated, SelectionOptions(), EvaluationOptions())
    assert (choice.scored.candidate, choice.metric) == (KNN, Metric("ndcg", 10))
    assert (choice.guard.is_fit, choice.lead.winner) == (True, KNN.label)
    tried = {str(trial.metric) for trial in (choice.guard.wanted, *choice.guard.others)}
    assert tried == {*get_args(SelectionOptions.model_fields["select_by"].annotation)}
    assert [row["chosen"] for row in shown] == ["", "", "yes"]


def test_a_metric_that_no_model_can_fail_may_not_choose_unless_that_is_asked_for(scene, shown):
    options = SelectionOptions(select_by="held_out_only_precision_10")
    with pytest.raises(InvalidInput, match=r"--select-by held_out_only_precision_10 choose a model: .* --guard warn"):
        choose.fn(scene.places, scene.split, scene.validated, options, EvaluationOptions())
    warned = options.model_copy(update={"guard": "warn"})
    choice = choose.fn(scene.places, scene.split, scene.validated, warned, EvaluationOptions())
    assert not choice.guard.is_fit
    assert len(shown) == len(scene.validated)


def publish_models(scene: Scene) -> list[Manifest]:
    """Publish the two candidates that are no yardstick of chance as models."""
    found = []
    for one in scene.tested[1:]:
        name, parameters = one.candidate.model, {"model": one.candidate.model, **one.candidate.parameters}
        inputs = {"split": scene.split.id}
        found.append(publish(scene.places.open_store(), layout.MODELS, name, inputs, {"a": b""}, parameters))
    return found


@pytest.mark.parametrize(("is_better", "unmet"), [(True, []), (False, ["not worse than the champion"])])
def test_the_gate_lets_the_better_model_pass_and_publishes_its_reasons(scene, is_better, unmet):
    champion, challenger = publish_models(scene) if is_better else publish_models(scene)[::-1]
    challenge = Challenge(challenger, champion, scene.split, ChampionHistory((), None), ())
    asked = (SelectionOptions(), EvaluationOptions(), PromotionOptions())
    decision = decide.fn(scene.places, challenge, scene.tested, *asked)
    record = decision.record
    assert (decision.is_new, record["promoted"], record["metric"]) == (True, is_better, "ndcg_10")
    assert [one["name"] for one in record["conditions"] if not one["met"]] == unmet
    assert (record["challenger"]["model_id"], record["champion"]["model_id"]) == (challenger.id, champion.id)
    assert record["difference"]["n_users"] == N_USERS
    assert (record["difference"]["value"] > 0) == is_better
    stored = scene.places.open_store().read(f"promotions/{decision.artifact.id}/{layout.DECISION}")
    assert json.loads(stored) == record
    again = decide.fn(scene.places, challenge, scene.tested, *asked)
    assert (again.is_new, again.artifact) == (False, decision.artifact)


def test_models_are_not_compared_by_a_metric_that_is_not_kept_for_each_user(scene):
    challenger = publish_models(scene)[1]
    challenge = Challenge(challenger, None, scene.split, ChampionHistory((), None), ())
    options = SelectionOptions(select_by="held_out_only_ndcg_10")
    with pytest.raises(InvalidInput, match="ranks held-out rows only, and is not kept for each user"):
        decide.fn(scene.places, challenge, scene.tested, options, EvaluationOptions(), PromotionOptions())
