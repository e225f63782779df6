"""The names of the columns that the tables of the project share."""

from typing import Final


class Columns:
    """One constant per column; `user_id` is the outside id and `user_idx` the dense one."""

    USER_ID: Final = "user_id"
    ITEM_ID: Final = "item_id"
    USER_IDX: Final = "user_idx"
    ITEM_IDX: Final = "item_idx"
    RATING: Final = "rating"
    TIMESTAMP: Final = "timestamp"
    LINE: Final = "line"
    N_INTERACTIONS: Final = "n_interactions"
    MEAN_RATING: Final = "mean_rating"
