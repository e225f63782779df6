"""What every model that ranks can do, and which of them a folder holds."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.factors import ITEM_FACTORS_FILE, USER_FACTORS_FILE, FactorModel
from models.item_knn import INDPTR_FILE, NEIGHBOURS_FILE, SHAPE_FILE, SIMILARITIES_FILE, ItemKnnModel
from models.top_k import Ranked

FACTOR_FILES = frozenset({USER_FACTORS_FILE, ITEM_FACTORS_FILE})
ITEM_KNN_FILES = frozenset({SHAPE_FILE, INDPTR_FILE, NEIGHBOURS_FILE, SIMILARITIES_FILE})


class RankingModel(Protocol):
    """What can order the unseen items of a user."""

    @property
    def n_users(self) -> int:
        """Users it was fitted for, numbered from 0."""
        ...

    @property
    def n_items(self) -> int:
        """Items it ranks, numbered from 0."""
        ...

    def rank(
        self, users: NDArray[np.integer], seen_indptr: NDArray[np.int64], seen_items: NDArray[np.int32], k: int
    ) -> Ranked:
        """Return the k best unseen items of each of users and their scores, as models.top_k.top_k does."""
        ...


def load_ranking_model(folder: Path) -> FactorModel | ItemKnnModel:
    """Return the model whose files are in folder.

    Raises:
        FileNotFoundError: If there are none of any model, or one file is missing.
        ValueError: If there are files of two models, or a file is not what the model's save wrote.
    """
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    has_factors, has_neighbours = bool(found & FACTOR_FILES), bool(found & ITEM_KNN_FILES)
    if has_factors and has_neighbours:
        raise ValueError(
            f"{folder} holds {sorted(found & (FACTOR_FILES | ITEM_KNN_FILES))}; expected the files of one model. "
            "Save each model in a folder of its own."
        )
    if has_factors:
        return FactorModel.load(folder)
    if has_neighbours:
        return ItemKnnModel.load(folder)
    raise FileNotFoundError(
        f"{folder} holds {sorted(found) or 'nothing'}; expected {sorted(FACTOR_FILES)} or {sorted(ITEM_KNN_FILES)}. "
        "Name the folder that a model was saved in."
    )
