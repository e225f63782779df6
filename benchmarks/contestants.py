"""Contestants of the evaluation benchmark, and the split and fit that they share, published as the pipeline does it."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.measuring import Run
from benchmarks.synthetic import Pairs, Size, draw_factors, draw_interactions
from models.als import ImplicitAls
from models.factors import FactorModel
from models.top_k import BLOCK_USERS
from schema.errors import ObjectNotFound, RecommenderError
from storage import artifacts, layout
from storage.local import LocalStore
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.store import LEARNT, PART_FILES

PRODUCT, EVALUATION, SPARK = "product", "evaluation", "spark"
SPLIT_ID, FIT_ID = "made-split", "made-fit"
STORE, SIZE = "store", "size.json"
FIRST_TIMESTAMP = 1_000_000_000


def publish_input(folder: Path, size: Size, seed: int) -> None:
    """Draw an input and publish it: split "leave last", fit on train and validation.

    Args:
        folder: Where the store and the size go; made where it is missing.
        size: Of the input.
        seed: Of the draw; the same size and seed give the same input.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = draw_interactions(size, seed)
    factors = draw_factors(size, np.bincount(pairs[1], minlength=size.items), seed + 1)
    counts = {"n_users": size.users, "n_items": size.items, "has_ratings": False, "has_timestamps": True}
    fitted = {"parts": list(LEARNT), "model": ImplicitAls.name, "rank": size.rank, "keep_spark_model": False}
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        split, fit = Path(scratch, "split"), Path(scratch, "fit")
        split.mkdir()
        _write_parts(split, pairs)
        factors.save(fit / layout.FACTORS)
        _publish(folder, layout.SPLITS, SPLIT_ID, split, {"dataset": "made"}, {"split": "leave-last"}, counts)
        _publish(folder, layout.FITS, FIT_ID, fit, {"split": SPLIT_ID}, fitted, {})
    (folder / SIZE).write_text(json.dumps(vars(size)), "utf-8")


def find_input(folder: Path) -> tuple[Size, Manifest, Manifest]:
    """Return the size, the split and the fit that `publish_input` left in a folder.

    Raises:
        ObjectNotFound: If they are not there.
    """
    store = LocalStore(folder / STORE)
    split, fit = artifacts.find(store, layout.SPLITS, SPLIT_ID), artifacts.find(store, layout.FITS, FIT_ID)
    if split is None or fit is None:
        raise ObjectNotFound(f"{folder} lacks a split or a fit; publish_input makes both.")
    return Size(**json.loads((folder / SIZE).read_text("utf-8"))), split, fit


def read_factors(folder: Path, fit: Manifest) -> FactorModel:
    """Return the factors of a published fit."""
    return FactorModel.load(artifacts.checkout(LocalStore(folder / STORE), fit, layout.FACTORS, folder))


def name_parts(user_idx: NDArray[np.int32]) -> dict[str, NDArray[np.bool_]]:
    """Return which rows each part has: the last of a user is for test, the one before it for validation.

    Args:
        user_idx: Of each row, those of a user side by side.

    Example:
        >>> {part: rows.tolist() for part, rows in name_parts(np.array([0, 0, 0], np.int32)).items()}
        {'train': [True, False, False], 'validation': [False, True, False], 'test': [False, False, True]}
    """
    is_last = np.append(user_idx[1:] != user_idx[:-1], True)
    is_before_last = np.append(is_last[1:], False)
    return {"train": ~is_last & ~is_before_last, "validation": is_before_last, "test": is_last}


@contextmanager
def prepare(contestant: str, folder: str) -> Iterator[Run]:
    """Yield the work of a contestant on the input in a folder, with its threads, workers or JVM started."""
    openers = {PRODUCT: _open_product, EVALUATION: _open_pipeline, SPARK: _open_spark}
    with openers[contestant](Path(folder)) as run:
        yield run


@contextmanager
def _open_product(folder: Path) -> Iterator[Run]:
    """Yield the floor: the scores of all users for all items, in blocks, on all cores, computed and thrown away."""
    _, _, fit = find_input(folder)
    model = read_factors(folder, fit)
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
def _open_pipeline(folder: Path) -> Iterator[Run]:
    """Yield the pipeline's task that publishes all metrics of the fit on the test rows, and its NDCG@10.

    It runs within a Dask task, so that the blocks of users go to all workers, and without a Prefect run.
    """
    from distributed import Client

    from flows.log_stream import prepare_process
    from flows.runtime import open_dask
    from flows.settings import Environment, RunOptions
    from models.registry import Candidate
    from tasks.options import EvaluationOptions, PlaceOptions
    from tasks.score import score

    log = RunOptions(log_level="WARNING")
    prepare_process(log)
    size, split, fit = find_input(folder)
    places = PlaceOptions(store_uri=str(folder / STORE), work_dir=folder / "work")
    candidate = Candidate(model=ImplicitAls.name, parameters={"rank": size.rank})

    def run() -> float:
        task = client.submit(score.fn, places, split, fit, candidate, "test", EvaluationOptions(), pure=False)
        scores: Any = task.result()
        if scores.count("n_users") != size.users:
            raise RecommenderError(f"{scores.count('n_users')} of {size.users} users were evaluated; no figure counts.")
        return float(scores.counts["ndcg_10"])

    with open_dask(Environment(run=log)) as address, Client(address) as client:
        yield run


@contextmanager
def _open_spark(folder: Path) -> Iterator[Run]:
    from benchmarks.spark_contestant import open_spark_lists

    _, split, fit = find_input(folder)
    test = artifacts.checkout(LocalStore(folder / STORE), split, layout.TEST, folder)
    with open_spark_lists(read_factors(folder, fit), test, folder) as run:
        yield run


def _write_parts(folder: Path, pairs: Pairs) -> None:
    user_idx, item_idx = pairs
    timestamp = FIRST_TIMESTAMP + np.arange(len(user_idx), dtype=np.int64)
    for part, is_in in name_parts(user_idx).items():
        rating = pa.nulls(int(is_in.sum()), pa.float32())
        columns = {"user_idx": user_idx[is_in], "item_idx": item_idx[is_in], "rating": rating}
        rows = pa.table({**columns, "timestamp": timestamp[is_in]})
        write_parquet([rows], folder / PART_FILES[part], rows.schema)


def _publish(
    folder: Path,
    kind: str,
    artifact_id: str,
    files: Path,
    inputs: Mapping[str, str],
    parameters: Mapping[str, object],
    counts: Mapping[str, int | bool],
) -> None:
    about: dict[str, Any] = {"inputs": inputs, "parameters": parameters, "counts": counts}
    artifacts.publish(LocalStore(folder / STORE), kind, artifact_id, files, code_version="benchmark", **about)
