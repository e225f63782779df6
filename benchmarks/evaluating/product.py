"""The floor: the scores of all users for all items, computed and thrown away."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.evaluating.publishing import STORE, find_input
from models.factors import FactorModel
from models.top_k import BLOCK_USERS
from storage import artifacts, layout
from storage.local import LocalStore


@contextmanager
def open_contestant(folder: Path) -> Iterator[Callable[[], None]]:
    """Yield what multiplies the factors in blocks of users, on as many threads as there are cores."""
    _, _, fit = find_input(folder)
    model = FactorModel.load(artifacts.checkout(LocalStore(folder / STORE), fit, layout.FACTORS, folder))
    n_threads = len(os.sched_getaffinity(0))
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        yield lambda: _multiply(model, pool, n_threads)


def _multiply(model: FactorModel, pool: ThreadPoolExecutor, n_threads: int) -> None:
    blocks = range(0, model.n_users, BLOCK_USERS)
    shares = [blocks[first::n_threads] for first in range(n_threads)]
    for future in [pool.submit(_multiply_blocks, model, starts) for starts in shares]:
        future.result()


def _multiply_blocks(model: FactorModel, starts: range) -> None:
    scores = np.empty((min(BLOCK_USERS, model.n_users), model.n_items), dtype=np.float32)
    for start in starts:
        users = model.user_factors[start : start + BLOCK_USERS]
        np.matmul(users, model.item_factors.T, out=scores[: len(users)])
