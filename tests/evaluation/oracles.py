"""The metrics of one user's list by their definitions, in plain Python."""

import math


def measure(ranked: list[int], relevant: set[int], k: int) -> dict[str, float]:
    """Return each ranking metric of the top k of a list without repeats."""
    hits = [rank for rank, item in enumerate(ranked[:k], start=1) if item in relevant]
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return {
        "ndcg": sum(1 / math.log2(rank + 1) for rank in hits) / ideal,
        "recall": len(hits) / len(relevant),
        "precision": len(hits) / k,
        "hit_rate": float(bool(hits)),
        "mrr": 1 / hits[0] if hits else 0.0,
        "map": sum(n_hits / rank for n_hits, rank in enumerate(hits, start=1)) / len(relevant),
    }
