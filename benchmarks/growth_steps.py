"""Steps of a training, from the raw file to lists, each run as a flow runs it in a process of its own."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
from distributed import Client
from pyspark.sql import SparkSession

import spark.dataset
from benchmarks.measuring import Run, jvm_figures
from benchmarks.spark_traffic import summarise_traffic
from evaluation.options import SplitOptions
from flows.pipeline import ingest_reviews, split_as_asked
from flows.runtime import make_flow, open_dask, open_prefect_api
from flows.settings import Environment, read
from models.als import ImplicitAls
from models.item_graph import ItemGraph
from models.registry import Candidate
from reviews.options import IngestOptions
from schema.dataset import DatasetCounts
from schema.errors import ObjectNotFound
from spark.options import DatasetOptions
from storage import artifacts, layout
from storage.manifest import Manifest
from tasks.dataset import build_dataset
from tasks.fit import fit
from tasks.options import EvaluationOptions, ReviewsInput
from tasks.recommend import rank_users
from tasks.store import LEARNT

INGEST, DATASET, SPLIT, ALS, GRAPH, LISTS = "ingest", "dataset", "split", "als", "graph", "lists"
KINDS = {INGEST: layout.REVIEWS_KIND, DATASET: layout.DATASETS, SPLIT: layout.SPLITS, ALS: layout.FITS}
PARAMETERS = {"rank": 32, "reg": 4.0, "alpha": 10.0, "maxiter": 10, "seed": 42, "engine": "local"}
LIST_USERS, LIST_LENGTH = 20_000, 10

Ids = Mapping[str, str]
"""The path of the raw file, and the ids of what earlier steps published, by step."""


def _ingest(environment: Environment, before: Ids) -> str:
    return ingest_reviews(environment, ReviewsInput(input_reviews=before["path"]), IngestOptions())[1].id


def _dataset(environment: Environment, before: Ids) -> str:
    reviews = _find(environment, before, INGEST)
    return build_dataset(environment.places, reviews, DatasetOptions(), environment.spark).id


def _split(environment: Environment, before: Ids) -> str:
    return split_as_asked(environment.places, _find(environment, before, DATASET), SplitOptions()).id


def _als(environment: Environment, before: Ids) -> str:
    return _fit(environment, before, Candidate(model=ImplicitAls.name, parameters=PARAMETERS))


def _graph(environment: Environment, before: Ids) -> str:
    return _fit(environment, before, Candidate(model=ItemGraph.name, parameters={}))


def _fit(environment: Environment, before: Ids, candidate: Candidate) -> str:
    split = _find(environment, before, SPLIT)
    return fit(environment.places, split, LEARNT, candidate, environment.spark).id


def _lists(environment: Environment, before: Ids) -> str:
    """Rank for as many users in any size; where there are fewer, some are ranked for twice."""
    split, fitted = (_find(environment, before, step) for step in (SPLIT, ALS))
    users = np.arange(LIST_USERS) % split.count("n_users")
    about = environment.places, split, fitted, LEARNT, users, LIST_LENGTH, EvaluationOptions().evaluate_block_users
    with open_dask(environment) as address, Client(address) as client:
        lists: Any = client.submit(rank_users, *about, pure=False).result()
    return f"{len(lists)} lists"


STEPS: Mapping[str, Callable[[Environment, Ids], str]] = {
    INGEST: _ingest,
    DATASET: _dataset,
    SPLIT: _split,
    ALS: _als,
    GRAPH: _graph,
    LISTS: _lists,
}


def _find(environment: Environment, before: Ids, step: str) -> Manifest:
    found = artifacts.find(environment.places.open_store(), KINDS[step], before[step])
    if found is None:
        raise ObjectNotFound(f"{KINDS[step]}/{before[step]} is not in {environment.places.store_uri}.")
    return found


@contextmanager
def open_step(step: str, before: dict[str, str]) -> Iterator[Run]:
    """Yield a step as a flow that reports to a Prefect server; the environment says where its store is.

    The answer has the id of what it published, its seconds without the start and the end of the flow, memory and
    processor time of the JVM, and of the dataset what Spark moved.
    """
    traffic, original = dict[str, Any](), spark.dataset.build_dataset

    def build(session: SparkSession, *given: Any) -> DatasetCounts:
        counts = original(session, *given)
        traffic.update(summarise_traffic(session))
        return counts

    def body() -> Mapping[str, Any]:
        started = time.perf_counter()
        with patch("spark.dataset.build_dataset", build):
            published = STEPS[step](read(Environment), before)
        return {"id": published, "step_seconds": time.perf_counter() - started, "traffic": traffic}

    flow = make_flow(body, lambda **_: step)
    with open_prefect_api():

        def run() -> dict[str, Any]:
            record: Any = flow()
            return {name: record[name] for name in ("id", "step_seconds", "traffic")} | jvm_figures()

        yield run
