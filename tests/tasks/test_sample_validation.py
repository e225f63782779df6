"""Whom candidates are compared on: of a large validation part a sample, of others all."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from loguru import logger
from prefect import Flow
from prefect.task_runners import ThreadPoolTaskRunner
from sample_artifacts import N_USERS, publish_dataset

from evaluation.options import SplitOptions
from flows.pipeline import Trials, finalists
from flows.run_options import RunOptions
from flows.settings import Environment
from models.registry import ModelOptions
from storage.manifest import Manifest
from tasks import rolling
from tasks import search as searching
from tasks.dataset import split_dataset
from tasks.options import EvaluationOptions, PlaceOptions, SearchOptions, SelectionOptions
from tasks.search import sample_validation


@pytest.mark.parametrize(
    ("method", "n_users", "n_rows", "asked", "expected"),
    [
        ("leave-last", 192_403, 192_403, None, 50_000),
        ("leave-last", 50_000, 50_000, None, None),
        ("rolling", 40_000, 200_000, None, 10_000),
        ("rolling", 7_000, 2_000_000, None, 4_000),
        ("rolling", 30, 2_000_000, None, None),
        ("rolling", 40_000, 50_000, None, None),
        ("random-per-user", 40_000, 200_000, None, None),
        ("leave-last", 192_403, 192_403, 7, 7),
        ("leave-last", 192_403, 192_403, 192_403, 192_403),
    ],
)
def test_a_large_validation_part_is_sampled_unless_so_many_users_are_asked_for(
    method, n_users, n_rows, asked, expected
):
    counts = {"method": method, "validation_n_users": n_users, "validation_n_rows": n_rows}
    split = Manifest("splits", "1f3a", {}, {}, "", (), counts)
    assert sample_validation(split, EvaluationOptions(evaluate_users=asked)).evaluate_users == expected


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A validation part of tens of lists is a large one."""
    monkeypatch.setattr(searching, "MOST_LISTS", 50)
    monkeypatch.setattr(rolling, "LEAST_USERS", 1)


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize(
    ("days_apart", "asked"), [(0, {"split": "leave-last"}), (30, {"split": "rolling", "rolling_share": 0.25})]
)
def test_a_training_compares_on_the_sample_says_so_and_tests_on_all_users(
    tmp_path: Path, prefect_api: str, days_apart: int, asked: dict[str, Any]
):
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    dataset = publish_dataset(places.open_store(), tmp_path / "dataset", days_apart=days_apart)
    split = split_dataset.fn(places, dataset, SplitOptions(**asked))
    trials = Trials(Environment(places=places, run=RunOptions()), split, EvaluationOptions())
    options = SearchOptions(search_kinds="item-knn", search_tries=2)

    def train() -> Any:
        tried, choice = trials.search(ModelOptions(), options, SelectionOptions(guard="warn"))
        return tried, choice, trials.on_test(finalists([one.scored for one in tried], choice.scored))

    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    tried, choice, tested = Flow(train, name="train", task_runner=ThreadPoolTaskRunner(2))()
    logger.remove(sink)
    sample = trials.validation.evaluate_users
    assert sample is not None
    assert sample < N_USERS
    assert {one.scored.scores.count("n_users") for one in tried} == {sample}
    assert {one.scores.count("n_users") for one in tested} == {N_USERS}
    assert {one.n_users for one in choice.guard.wanted.comparisons} == {sample}
    note = f", on a sample of {sample} users"
    assert [one.endswith(f"on validation{note}\n") for one in said if one.startswith("Chosen: ")] == [True]
    for key in ("candidates", "search"):
        shown = httpx.get(f"{prefect_api}/artifacts/{key}/latest").json()
        assert note in shown["description"]
