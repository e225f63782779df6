"""Contestants of the benchmark of ALS: each reads the same rows, fits, and returns its loss."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.measuring import Run

ROWS = "rows.parquet"

Factors = NDArray[np.float32]


@contextmanager
def open_spark(folder: str, n_users: int, n_items: int, **given: Any) -> Iterator[Run]:
    """Yield a fit by Spark, whose JVM is up, and its loss."""
    from spark.factorise import Factorisation, factorise, factors_of
    from spark.options import SparkOptions
    from spark.session import open_session

    path = Path(folder, ROWS)
    with open_session(SparkOptions(spark_driver_memory="8g"), "als") as session:

        def run() -> float:
            model = factorise(session, [path.as_uri()], Factorisation(**given))
            return loss(path, given, *factors_of(model, n_users, n_items))

        yield run


@contextmanager
def open_local(folder: str, n_users: int, n_items: int, **given: Any) -> Iterator[Run]:
    """Yield a fit by this machine, and its loss."""
    from threadpoolctl import threadpool_limits

    from models.als_local import LocalFactorisation, factorise_locally
    from models.base import Interactions

    path = Path(folder, ROWS)

    def run() -> float | None:
        table = pq.read_table(path)
        interactions = Interactions(n_users, n_items, lambda name: np.asarray(table[name]))
        factors = factorise_locally(interactions, LocalFactorisation(**given))
        return factors and loss(path, given, *factors)

    with threadpool_limits(limits=1, user_api="blas"):
        yield run


@contextmanager
def open_implicit(folder: str, n_users: int, n_items: int, **given: Any) -> Iterator[Run]:
    """Yield a fit by the library, and the loss that it does not minimise."""
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    path = Path(folder, ROWS)

    def run() -> float:
        table = pq.read_table(path)
        pairs = np.asarray(table["user_idx"]), np.asarray(table["item_idx"])
        matrix = csr_matrix((np.ones(len(table), dtype=np.float32), pairs), shape=(n_users, n_items))
        chosen = {"alpha": given["alpha"], "iterations": given["maxiter"], "random_state": given["seed"]}
        model = AlternatingLeastSquares(factors=given["rank"], regularization=given["reg"], **chosen)
        model.fit(matrix, show_progress=False)
        return loss(path, given, model.user_factors, model.item_factors)

    with threadpool_limits(limits=1, user_api="blas"):
        yield run


OPENERS = {"spark": open_spark, "local": open_local, "implicit": open_implicit}


def loss(path: Path, given: Mapping[str, Any], users: Factors, items: Factors) -> float:
    """Return what ALS minimises, for each interaction: see `models.als_local.factorise_locally`."""
    table = pq.read_table(path)
    user, item = np.asarray(table["user_idx"]), np.asarray(table["item_idx"])
    at = np.einsum("nd,nd->n", users[user], items[item], dtype=np.float64)
    squares = [np.einsum("nd,nd->n", factors, factors, dtype=np.float64) for factors in (users, items)]
    total = given["reg"] * sum(float(of[index].sum()) for of, index in zip(squares, (user, item), strict=True))
    if given["implicit"]:
        grams = [factors.T.astype(np.float64) @ factors for factors in (users, items)]
        total += float(np.sum(grams[0] * grams[1])) - float(at @ at)
        total += (1 + given["alpha"]) * float(np.sum((1 - at) ** 2))
    else:
        total += float(np.sum((np.asarray(table["rating"]) - at) ** 2))
    return float(total / len(table))
