"""What one user's list is worth, metric by metric; evaluation.ranking does the same for many users at once.

Every definition is that of ranx (Bassani, ECIR 2022) with relevant items of gain 1, to the last digit.
"""

import math
from collections.abc import Collection, Sequence


def ndcg_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return the normalised discounted cumulative gain of one user's top k.

    Gains are binary; rank r counts from 1 and is weighted 1 / log2(r + 1). The sum over the hits is divided
    by the sum over the first min(k, len(relevant)) ranks (Järvelin and Kekäläinen, 2002).

    Args:
        ranked: Item indices, best first, without repeats; may be shorter than k.
        relevant: Held-out item indices of the same user; not empty.
        k: Cut-off, at least 1.

    Returns:
        Dimensionless, in [0, 1]; 1.0 when the first min(k, len(relevant)) are all hits.

    Raises:
        ValueError: If k < 1 or relevant is empty.

    Example:
        >>> round(ndcg_at_k([7, 3, 9], relevant={3, 5}, k=3), 4)
        0.3869
    """
    gain = sum(1 / math.log2(rank + 1) for rank in hit_ranks(ranked, relevant, k))
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))


def recall_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return the share of the relevant items that are in the top k; arguments and errors as in ndcg_at_k.

    Hits / len(relevant): below 1 whenever there are more relevant items than k.

    Example:
        >>> recall_at_k([7, 3, 9], relevant={3, 5}, k=3)
        0.5
    """
    return len(hit_ranks(ranked, relevant, k)) / len(relevant)


def precision_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return hits / k; arguments and errors as in ndcg_at_k.

    A list shorter than k is divided by k all the same.

    Example:
        >>> precision_at_k([7, 3], relevant={3, 5}, k=4)
        0.25
    """
    return len(hit_ranks(ranked, relevant, k)) / k


def hit_rate_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return 1.0 when any of the top k is relevant, else 0.0; arguments and errors as in ndcg_at_k.

    Example:
        >>> hit_rate_at_k([7, 3, 9], relevant={3, 5}, k=1)
        0.0
    """
    return float(bool(hit_ranks(ranked, relevant, k)))


def reciprocal_rank_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return 1 / rank of the first hit in the top k, or 0.0; arguments and errors as in ndcg_at_k.

    Its mean over users is the MRR (Voorhees, TREC-8, 1999).

    Example:
        >>> reciprocal_rank_at_k([7, 3, 9], relevant={3, 5}, k=3)
        0.5
    """
    ranks = hit_ranks(ranked, relevant, k)
    return 1 / ranks[0] if ranks else 0.0


def average_precision_at_k(ranked: Sequence[int], relevant: Collection[int], k: int) -> float:
    """Return the precisions at the hits of the top k, by relevant item; arguments and errors as in ndcg_at_k.

    Their sum is divided by the number of all relevant items, as in TREC and ranx, not by min(k, len(relevant)) as
    in some libraries. Its mean over users is the MAP.

    Example:
        >>> round(average_precision_at_k([3, 7, 5], relevant={3, 5}, k=3), 4)
        0.8333
    """
    ranks = hit_ranks(ranked, relevant, k)
    return sum(n_hits / rank for n_hits, rank in enumerate(ranks, start=1)) / len(relevant)


def hit_ranks(ranked: Sequence[int], relevant: Collection[int], k: int) -> list[int]:
    """Return the ranks, from 1, of the relevant items in the top k, in ascending order.

    Raises:
        ValueError: If k < 1, relevant is empty or ranked repeats an item.
    """
    if k < 1:
        raise ValueError(f"k is {k}; expected at least 1. Choose a cut-off such as 10.")
    if not relevant:
        raise ValueError("relevant is empty; expected one item or more. Leave out users with nothing held out.")
    if len(set(ranked)) < len(ranked):
        raise ValueError(f"ranked repeats an item: {list(ranked)[:20]}; expected each item once. Drop the repeats.")
    return [rank for rank, item in enumerate(ranked[:k], start=1) if item in relevant]
