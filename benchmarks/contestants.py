"""Contestants of the evaluation benchmark, and the split and fit that they share, published as the pipeline does it."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from benchmarks.measuring import Run
from benchmarks.synthetic import Size, draw_factors, draw_interactions
from evaluation.options import SplitOptions
from evaluation.splits import split_interactions
from models.als import ImplicitAls
from models.factors import FactorModel
from models.item_graph import ItemGraph
from models.top_k import BLOCK_USERS
from schema.errors import ObjectNotFound, RecommenderError
from storage import artifacts, layout
from storage.local import LocalStore
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.store import LEARNT, PART_FILES

SPLIT_ID, FIT_ID = "made-split", "made-fit"
STORE = "store"
FIRST_TIMESTAMP = 1_000_000_000


def publish_input(folder: Path, size: Size, seed: int) -> None:
    """Draw an input and publish it in a store in a folder: split "leave last", fit on train and validation.

    The same size and seed give the same input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    user_idx, item_idx = draw_interactions(size, seed)
    timestamp = FIRST_TIMESTAMP + np.arange(len(user_idx), dtype=np.int64)
    rating = pa.nulls(len(user_idx), pa.float32())
    pairs = {"user_idx": user_idx, "item_idx": item_idx}
    split = split_interactions(
        pa.table({**pairs, "rating": rating, "timestamp": timestamp}), SplitOptions(split="leave-last")
    )
    sizes = {"n_users": size.users, "n_items": size.items}
    counts = {**sizes, "has_ratings": False, "has_timestamps": True, "method": split.counts.method}
    fitted = {
        "parts": list(LEARNT),
        "model": ImplicitAls.name,
        "rank": size.rank,
        "reg": 1.0,
        "keep_spark_model": False,
    }
    publish = partial(artifacts.publish, LocalStore(folder / STORE), code_version="benchmark")
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        for part, file in PART_FILES.items():
            rows: pa.Table = getattr(split, part)
            write_parquet([rows], Path(scratch, "split", file), rows.schema)
        draw_factors(size, np.bincount(item_idx, minlength=size.items), seed + 1).save(
            Path(scratch, "fit", ImplicitAls.folder)
        )
        how = {"split": split.counts.method}
        publish(
            layout.SPLITS, SPLIT_ID, Path(scratch, "split"), inputs={"dataset": "made"}, parameters=how, counts=counts
        )
        publish(layout.FITS, FIT_ID, Path(scratch, "fit"), inputs={"split": SPLIT_ID}, parameters=fitted, counts={})


def find_input(folder: Path) -> tuple[Manifest, Manifest]:
    """Return the split and the fit that `publish_input` left in a folder.

    Raises:
        ObjectNotFound: If they are not there.
    """
    store = LocalStore(folder / STORE)
    split, fit = artifacts.find(store, layout.SPLITS, SPLIT_ID), artifacts.find(store, layout.FITS, FIT_ID)
    if split is None or fit is None:
        raise ObjectNotFound(f"{folder} lacks a split or a fit; publish_input makes both.")
    return split, fit


def read_factors(folder: Path) -> FactorModel:
    """Return the factors of the published fit."""
    _, fit = find_input(folder)
    return FactorModel.load(artifacts.checkout(LocalStore(folder / STORE), fit, ImplicitAls.folder, folder))


@contextmanager
def open_product(folder: str) -> Iterator[Run]:
    """Yield the floor: the scores of all users for all items, in blocks, on all cores, computed and thrown away."""
    model = read_factors(Path(folder))
    n_threads = len(os.sched_getaffinity(0))
    blocks = range(0, model.n_users, BLOCK_USERS)

    def multiply(first: int) -> None:
        scores = np.empty((min(BLOCK_USERS, model.n_users), model.n_items), dtype=np.float32)
        for start in blocks[first::n_threads]:
            users = model.user_factors[start : start + BLOCK_USERS]
            np.matmul(users, model.item_factors.T, out=scores[: len(users)])

    def run() -> None:
        for done in [pool.submit(multiply, first) for first in range(n_threads)]:
            done.result()

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        yield run


@contextmanager
def open_pipeline(folder: str) -> Iterator[Run]:
    """Yield the pipeline's task that publishes all metrics of the fit on the test rows, and its NDCG@10.

    It runs within a Dask task, so that the blocks of users go to all workers, and without a Prefect run.
    """
    from distributed import Client

    from flows.log_stream import prepare_process
    from flows.run_options import RunOptions
    from flows.runtime import open_dask
    from flows.settings import Environment
    from models.registry import Candidate
    from tasks.options import EvaluationOptions, PlaceOptions
    from tasks.score import score

    log = RunOptions(log_level="WARNING")
    prepare_process(log)
    split, fit = find_input(Path(folder))
    n_users = split.count("n_users")
    places = PlaceOptions(store_uri=f"{folder}/{STORE}", work_dir=Path(folder, "work"))
    candidate = Candidate(model=ImplicitAls.name, parameters={"rank": fit.parameters["rank"]})

    def run() -> float:
        task = client.submit(score.fn, places, split, fit, candidate, "test", EvaluationOptions(), pure=False)
        scores: Any = task.result()
        if scores.count("n_users") != n_users:
            raise RecommenderError(f"{scores.count('n_users')} of {n_users} users were evaluated; no figure counts.")
        return float(scores.counts["ndcg_10"])

    with open_dask(Environment(run=log)) as address, Client(address) as client:
        yield run


@contextmanager
def open_graph(folder: str) -> Iterator[Run]:
    """Yield the item graph with the times of events: its fit, and lists of 20 of all users over the workers of Dask."""
    from distributed import Client

    from flows.log_stream import prepare_process
    from flows.run_options import RunOptions
    from flows.runtime import open_dask
    from flows.settings import Environment
    from models.registry import Candidate
    from spark.options import SparkOptions
    from tasks.fit import fit
    from tasks.options import EvaluationOptions, PlaceOptions
    from tasks.recommend import rank_users

    log = RunOptions(log_level="WARNING")
    prepare_process(log)
    split, _ = find_input(Path(folder))
    places = PlaceOptions(store_uri=f"{folder}/{STORE}", work_dir=Path(folder, "work"))
    candidate, users = Candidate(model=ItemGraph.name, parameters={}), np.arange(split.count("n_users"))

    def list_all() -> int:
        fitted = fit.fn(places, split, LEARNT, candidate, SparkOptions())
        return len(rank_users(places, split, fitted, LEARNT, users, 20, EvaluationOptions().evaluate_block_users))

    def run() -> float:
        return float(client.submit(list_all, pure=False).result())

    with open_dask(Environment(run=log)) as address, Client(address) as client:
        yield run
