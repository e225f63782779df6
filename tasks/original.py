"""The two sweeps of the project that this one took the place of, to be run again beside honest figures.

It split at random 80 to 20, fitted explicit ALS, and reported RMSE, and precision and NDCG at 10 over each user's own
held-out rows. Alpha is no parameter of explicit ALS: it stands in the grid and changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from tasks.candidates import EXPLICIT, Candidate, SearchOptions

SPLIT = {"split": "random", "test_share": 0.2}
WEIGHTS_SWEEP = tuple(product((20,), (0.05, 0.1, 0.2), (0.5, 1.0, 2.0)))
RANK_SWEEP = tuple(product((10, 20, 50, 100, 150, 200), (0.1,), (1.0,)))
HONEST = ("ndcg", "precision")


@dataclass(frozen=True)
class SweepPoint:
    """A row of a sweep, and the candidate that it comes down to."""

    rank: int
    reg: float
    alpha: float
    candidate: Candidate

    @property
    def label(self) -> str:
        """The row as the original's table had it."""
        return f"ALS, rank {self.rank}, reg {self.reg:g}, alpha {self.alpha:g}"


def sweep_points(grid: Sequence[tuple[int, float, float]], options: SearchOptions) -> list[SweepPoint]:
    """Return the rows of a sweep in the order of its table.

    Args:
        grid: Rank, regularisation and alpha of each row.
        options: Iterations, blocks and seed.
    """
    fixed = {"maxiter": options.als_maxiter, "n_blocks": options.als_blocks, "seed": options.als_seed}
    return [
        SweepPoint(rank, reg, alpha, Candidate(model=EXPLICIT, parameters={"rank": rank, "reg": reg, **fixed}))
        for rank, reg, alpha in grid
    ]
