"""Spark's alternating least squares on this machine: the same loss, solved many rows at once (`models.row_solver`)."""

import os

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.base import Interactions
from models.confidence import Confidence, weigh
from models.engine import Factors
from models.row_solver import RowsByLength, diagonalise
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.options import FrozenModel

MOST_INTERACTIONS = 50_000_000
"""Up to so many, a fit on this machine takes some GiB and minutes."""


class LocalFactorisation(FrozenModel):
    """Parameters of one factorisation: those of Spark's, less its blocks."""

    implicit: bool
    rank: int = Field(ge=1)
    reg: float = Field(gt=0)
    alpha: float = Field(gt=0)
    confidence: Confidence = "interactions"
    half_life_days: float = Field(365.0, gt=0)
    maxiter: int = Field(ge=1)
    seed: int = 42


def factorise_locally(interactions: Interactions, given: LocalFactorisation) -> tuple[Factors, Factors] | None:
    """Return the factors of users and items, float32, a row for each; None for values that only Spark can judge.

    The loss is the one of Spark's ALS, whose regularisation counts the interactions of each row, with
    n_u and n_i of them:

    - implicit: the sum over all pairs of c (p - x_u'y_i)^2, where c = 1 + alpha w and p = 1 for an interaction of
      weight w (`models.confidence.weigh`) and c = 1, p = 0 for other pairs, + reg (n_u |x_u|^2 + n_i |y_i|^2);
    - explicit: the sum over ratings of (rating - x_u'y_i)^2, with the same regularisation.

    As Spark does, it begins with factors of users of length 1 and solves for items, then for users. Its first factors
    are other random ones, so that losses agree and factors do not.

    Example:
        >>> interactions = Interactions.of(2, 3, user_idx=[0, 0, 1], item_idx=[0, 1, 2], rating=[5, 4, 3])
        >>> given = LocalFactorisation(implicit=False, rank=2, reg=0.01, alpha=1, maxiter=9)
        >>> users, items = factorise_locally(interactions, given)
        >>> (users @ items.T).round(1)[0, :2].tolist()
        [5.0, 4.0]
    """
    histories = _read(interactions, given)
    values = _values_of(histories, given)
    if values is None:
        return None
    of_users = histories.items
    of_items = ItemsByUser.from_pairs(of_users.items, of_users.rows, interactions.n_items)
    by_item = np.argsort(of_users.items, kind="stable")
    weights = given.alpha * values if given.implicit else np.ones_like(values)
    targets = (1 + weights) / weights if given.implicit else values

    n_threads = os.cpu_count() or 1
    users_rows = RowsByLength.of(of_users, weights, given.reg * of_users.counts, targets)
    items_rows = RowsByLength.of(of_items, weights[by_item], given.reg * of_items.counts, targets[by_item])

    def step(rows: RowsByLength[np.float32], factors: Factors) -> tuple[Factors, Factors]:
        """Return the factors, perhaps turned, and those of the rows of the other side."""
        spectrum = np.zeros(given.rank)
        if given.implicit:
            factors, spectrum = diagonalise(factors, n_threads)
        return factors, rows.solve(factors, spectrum, n_threads)

    rng = np.random.default_rng(given.seed)
    users = rng.standard_normal((interactions.n_users, given.rank), dtype=np.float32)
    users *= (of_users.counts > 0)[:, None] / np.linalg.norm(users, axis=1, keepdims=True)
    for _ in range(given.maxiter):
        _, items = step(items_rows, users)
        items, users = step(users_rows, items)
    return users, items


def _read(interactions: Interactions, given: LocalFactorisation) -> Histories:
    """Return what each user has, with the ratings or times that the values are made of alone."""
    n = len(interactions.user_idx)
    rating, timestamp = np.full(n, np.nan, dtype=np.float32), np.full(n, -1, dtype=np.int64)
    if not given.implicit or given.confidence == "ratings":
        rating = np.asarray(interactions.rating, dtype=np.float32)
    elif given.confidence == "recency":
        timestamp = np.nan_to_num(interactions.timestamp, nan=-1).astype(np.int64)
    columns = interactions.user_idx, interactions.item_idx, rating, timestamp
    return Histories.from_columns(*columns, interactions.n_users)


def _values_of(histories: Histories, given: LocalFactorisation) -> NDArray[np.float32] | None:
    """Return the weight, or the rating, of each interaction; None where one is missing, or a weight not above 0."""
    if not given.implicit:
        is_fit, values = np.isfinite(histories.rating), histories.rating
    else:
        values = weigh(histories, given.confidence, given.half_life_days).astype(np.float32)
        is_fit = values > 0
        if given.confidence == "ratings":
            is_fit &= histories.rating > 0
        elif given.confidence == "recency":
            is_fit &= histories.timestamp >= 0
    return values if len(values) and is_fit.all() else None
