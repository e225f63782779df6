"""Options of splits and promotions, and limits of the comparison between deliveries of reviews."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field, field_validator, model_validator

from schema.options import FrozenModel

SplitMethod = Literal["leave-last", "rolling", "time", "random", "random-per-user", "files"]
SplitCore = Literal["before-test", "all"]


class SplitOptions(FrozenModel):
    """How to hold interactions out."""

    split: SplitMethod | None = Field(
        None,
        description="leave-last: the last interactions of each user; rolling: all of the last stretch of time, each "
        "predicted from what was known before its day; time: all from a moment on, predicted from what was known then; "
        "random: any rows; random-per-user: any rows of each user; files: the pairs that files name. Left out: "
        "rolling where the order of timestamps can be trusted, else leave-last, and random without timestamps",
    )
    leave_last_n: int = Field(
        1, ge=1, description="leave-last: interactions per user in the test part, and as many in validation"
    )
    rolling_share: float = Field(
        0.1,
        gt=0,
        lt=0.5,
        description="rolling: share of all rows in the test part, and as many in the validation part before it; whole "
        "days (UTC)",
    )
    rolling_refits: int | None = Field(
        None,
        ge=1,
        description="rolling: how many times a model is fitted within a part, at equal distances in days, the first at "
        "its start; left out: as often as its kind can afford, and less often on many rows",
    )
    split_at: datetime | date | None = Field(
        None, description="time: first day, or moment, of the test part (UTC); left out: as test_share says"
    )
    split_until: datetime | date | None = Field(
        None, description="time: first day, or moment, after the test part (UTC); later rows are in no part"
    )
    split_gap_days: int = Field(
        0, ge=0, description="time: days before validation and before the test part whose rows are in no part"
    )
    test_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="time and random: share of all rows in the test part; random-per-user: of the rows of each user",
    )
    validation_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="time and random: share of the rows outside test in the validation part; random-per-user: of all "
        "rows of each user",
    )
    split_core: SplitCore | None = Field(
        None,
        description="Of which rows the k-core of --min-interactions is taken: before-test: of those outside the test "
        "part, so that no figure profits from knowing who goes on; users and items outside it are cold, and only the "
        "published model learns from them. all: of the test part's too, the usual way of papers. Left out: before-test "
        "where the test part is a stretch of time and keeps half of its rows at least, else all. A split by files is "
        "as its files say",
    )
    split_seed: int = Field(42, ge=0, description="random rows, and the order of rows with the same timestamp")
    split_train_file: str | None = Field(
        None,
        description="files: table of user and item ids to train on, in any form that reviews may have; left out: all "
        "that the others do not name",
    )
    split_validation_file: str | None = Field(None, description="files: table of user and item ids to choose by")
    split_test_file: str | None = Field(None, description="files: table of user and item ids to test on")


class DriftLimits(FrozenModel):
    """How far reviews may be from those of the run before."""

    drift_max_psi: float = Field(
        0.25,
        ge=0,
        allow_inf_nan=False,
        description="Highest population stability index of ratings, and of interactions per user; by convention below "
        "0.1 is no shift, and above 0.25 a large one.",
    )
    drift_min_row_ratio: float = Field(
        0.5, ge=0, allow_inf_nan=False, description="Least number of reviews, as a multiple of those before."
    )
    drift_max_new_user_share: float = Field(
        0.5, ge=0, le=1, description="Highest share of users, 0 to 1, that had no review before."
    )
    drift_max_new_item_share: float = Field(
        0.5, ge=0, le=1, description="Highest share of items, 0 to 1, that had no review before."
    )
    drift_max_gone_share: float = Field(
        0.25, ge=0, le=1, description="Highest share of the earlier users, and of the earlier items, that are gone."
    )
    drift_max_days_back: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Days by which the newest review may be older than the newest one before.",
    )
    drift_max_quarantine_rise: float = Field(
        0.02, ge=0, le=1, description="Rise of the share of rows in quarantine, 0 to 1, above that before."
    )


class PromotionOptions(FrozenModel):
    """Promotion, rollback and history."""

    promotion_margin: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Share of the champion's metric that a challenger must be shown not to lose more of; 0: it must be "
        "shown to be better.",
    )
    promotion_online: Literal["off", "require"] = Field(
        "off",
        description="Whether a challenger must be shown to be no worse than the champion in an A/B test too, by its "
        "click-through.",
    )
    promotion_reason: str | None = Field(
        None,
        min_length=1,
        max_length=500,
        description="Why, for the history; a promotion has its figures as a reason of its own, a rollback needs one.",
        json_schema_extra={"flag": "--reason", "metavar": "TEXT", "variable": False},
    )
    roll_back: bool = Field(
        default=False,
        description="Go back to the champion before this one, or to the one that --model names, without a comparison.",
        json_schema_extra={"flag": "--rollback", "variable": False},
    )
    show_history: bool = Field(
        default=False,
        description="Print who was the champion when and why, and change nothing.",
        json_schema_extra={"flag": "--history", "variable": False},
    )

    @field_validator("promotion_reason")
    @classmethod
    def _without_margins(cls, reason: str | None) -> str | None:
        if reason is not None and not reason.strip():
            raise ValueError("expected a reason, in words")
        return reason and reason.strip()

    @model_validator(mode="after")
    def _check_what_is_asked(self) -> "PromotionOptions":
        if self.roll_back and self.promotion_reason is None:
            raise ValueError("--rollback needs --reason TEXT: it stands in the history in place of a comparison.")
        if self.roll_back and self.show_history:
            raise ValueError("--rollback changes the champion and --history changes nothing; give one of the two.")
        return self
