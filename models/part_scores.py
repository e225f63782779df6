"""Scores of the parts of a blend for some people, and how widely each person's are spread over all items."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ials import IalsModel
from models.item_item import ItemItemModel
from models.top_k import Rough, bound_errors, score_exactly
from schema.arrays import Floats, Indices
from schema.histories import Histories


class PartScores(NamedTuple):
    """Scores of one part for some people, with what is needed to add them to those of others.

    Attributes:
        scores: float32 of shape (n_people, n_items).
        rough: Their errors, and how to know them better.
        scale: What they are multiplied by, shape (n_people).
    """

    scores: NDArray[np.float32]
    rough: Rough
    scale: Floats


def rescore(scored: Sequence[PartScores], some: Indices, columns: NDArray[np.intp]) -> Floats:
    """Return the scores of all parts together in double precision, of some columns of some rows."""
    return np.asarray(sum(one.scale[some, None] * one.rough.rescore(some, columns) for one in scored))


def score_by_links(part: ItemItemModel, histories: Histories) -> PartScores:
    """Return the scores of linked items; their scale is their standard deviation."""
    scores = part.score_histories(histories)
    exactly = Rough(np.zeros(len(scores)), lambda some, columns: scores[some[:, None], columns].astype(np.float64))
    return PartScores(scores, exactly, scores.std(axis=1, dtype=np.float64))


def score_by_factors(part: IalsModel, vectors: NDArray[np.float32], covariance: Floats) -> PartScores:
    """Return the products of the vectors of people and items; their scale is the standard deviation over all items."""
    factors, exact = np.asarray(part.item_factors), vectors.astype(np.float64)
    turned = np.matmul(exact[:, None, :], covariance)[:, 0]  # row by row: the same in any company
    spread = np.sqrt(np.maximum(np.einsum("nr,nr->n", turned, exact), 0))
    rough = Rough(
        bound_errors(vectors, part.longest_item),
        lambda some, columns: score_exactly(vectors[some], factors, columns),
    )
    return PartScores(vectors @ factors.T, rough, spread)


def covariance_of(part: IalsModel) -> Floats:
    """Return the covariance of the factors of all items, shape (rank, rank)."""
    mean = np.asarray(part.item_factors).mean(axis=0, dtype=np.float64)
    return np.asarray(part.gram / max(part.n_items, 1) - np.outer(mean, mean))
