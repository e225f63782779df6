"""Rank one held-out item among sampled ones: a protocol of papers, to be put beside their figures and not to choose by.

Which of two models is better can change with the number of sampled items, so that such figures say little about lists
from the whole catalogue: Krichene and Rendle, "On sampled metrics for item recommendation" (KDD 2020).
"""

import numpy as np
from scipy.stats import hypergeom

from evaluation.ranking import Scores
from schema.arrays import Indices
from schema.metric import Metric

PREFIX = "sampled_"


def among_sampled(n_better: Indices, n_others: Indices, k: int, n_sampled: int = 100) -> Scores:
    """Return the hit rate and NDCG of one held-out item of each user among sampled items that the user does not have.

    Both are expected values over all draws without replacement, as a paper's figures are but for the noise of its one
    draw: the number of sampled items before the held-out one is hypergeometric, and r - 1 of them give it rank r, which
    counts 1 / log2(r + 1) if r <= k.

    Args:
        n_better: For each user, the items of the whole catalogue that stand before the held-out one; the user has none
            of them.
        n_others: For each user, all items that it does not have, the held-out one not counted.
        k: Cut-off, at least 1.
        n_sampled: Items that are drawn; all of them where there are no more.

    Returns:
        Metric -> value in [0, 1] of each user.

    Example:
        >>> scores = among_sampled(np.array([2, 300]), np.array([1000, 1000]), k=10)
        >>> {str(metric): values.round(3).tolist() for metric, values in scores.items()}
        {'sampled_hit_rate_10': [1.0, 0.0], 'sampled_ndcg_10': [0.929, 0.0]}
    """
    before = np.arange(min(k, n_sampled + 1))[:, None]
    chances = np.asarray(hypergeom.pmf(before, n_others, n_better, np.minimum(n_sampled, n_others)))
    gains = chances / np.log2(before + 2)
    return {Metric(f"{PREFIX}hit_rate", k): chances.sum(axis=0), Metric(f"{PREFIX}ndcg", k): gains.sum(axis=0)}
