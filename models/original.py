"""The two sweeps of the original project, to be run again beside honest figures.

It split at random 80 to 20, fitted explicit ALS, and reported RMSE, and precision and NDCG at 10 over each user's own
held-out rows. Alpha is no parameter of explicit ALS: it stands in the grid and changes nothing.
"""

from itertools import product
from typing import TYPE_CHECKING

from models.als import ExplicitAls
from models.registry import Candidate, options_of

if TYPE_CHECKING:
    from models.registry import ModelOptions

SPLIT = {"split": "random", "test_share": 0.2, "split_core": "all"}
SWEEPS = {
    "regularisation and alpha": tuple(product((20,), (0.05, 0.1, 0.2), (0.5, 1.0, 2.0))),
    "rank": tuple(product((10, 20, 50, 100, 150, 200), (0.1,), (1.0,))),
}


def original_sweeps(options: "ModelOptions") -> dict[str, list[tuple[str, Candidate]]]:
    """Return the rows of each sweep in the order of its table, by the sweep's name: the row's label, and its candidate.

    Args:
        options: Their iterations, blocks and seed are used.
    """
    kind = ExplicitAls()
    fixed = options_of(kind, options).fixed
    return {
        name: [
            (
                f"ALS, rank {rank}, reg {reg:g}, alpha {alpha:g}",
                Candidate(model=kind.name, parameters={"rank": rank, "reg": reg, **fixed}),
            )
            for rank, reg, alpha in grid
        ]
        for name, grid in SWEEPS.items()
    }
