"""What people did with recommendations, as figures: rates by model and scenario, and the comparison of two arms."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from schema.verdicts import ALPHA, LEAST_USERS, Outcome

CLICK_THROUGH: Final = "click-through"
PURCHASES_PER_IMPRESSION: Final = "purchases per impression"
PURCHASES_PER_USER: Final = "purchases per user"
RATES: Final = (CLICK_THROUGH, PURCHASES_PER_IMPRESSION, PURCHASES_PER_USER)

LEAST_ACTIVE: Final = 10
"""Users who clicked, or bought, without whom a rate has no interval that can be trusted."""
SPLIT_ALPHA: Final = 0.001
"""Below it, a split between arms is not the one that was asked for."""


@dataclass(frozen=True)
class Rate:
    """A rate over users.

    Attributes:
        value: Sum over users of what they did, by that of what they had.
        error: Its standard error.
        n_users: Users counted.
        n_effective: Users who, having equally much, would tell as much: sum(x)^2 / sum(x^2) of what users had.
        n_active: Those of them who did anything.
        low: Lower end of the 95 % interval; None where there are too few users.
        high: Upper end of it.
    """

    value: float
    error: float
    n_users: int
    n_effective: float
    n_active: int
    low: float | None
    high: float | None

    @property
    def has_enough(self) -> bool:
        """Whether there are enough users, and enough who did anything, for an interval and a test."""
        return self.n_effective >= LEAST_USERS and self.n_active >= LEAST_ACTIVE


@dataclass(frozen=True)
class OnlineRow:
    """The rates, by their names, of a model in an arm (None: in no test) and a scenario ('all': in all of them)."""

    model_id: str
    arm: str | None
    scenario: str
    n_impressions: int
    n_users: int
    rates: Mapping[str, Rate]


@dataclass(frozen=True)
class ArmDifference:
    """A rate of the challenger compared with that of the champion, users of the two being different people.

    Attributes:
        rate: Its name.
        champion: Of the champion's users.
        challenger: Of the challenger's users.
        difference: Challenger - champion.
        low: Lower end of its 95 % interval; None, as what follows, where there are too few users.
        high: Upper end of it.
        p_value: Of Welch's test that there is no difference.
        p_adjusted: The same, corrected for the rates that are tested together (Holm).
    """

    rate: str
    champion: Rate
    challenger: Rate
    difference: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None

    @property
    def outcome(self) -> Outcome | None:
        """Better or worse where p_adjusted < ALPHA, else no difference shown; None where there are too few users."""
        if self.p_adjusted is None:
            return None
        if self.p_adjusted >= ALPHA:
            return "no difference shown"
        return "better" if self.difference > 0 else "worse"


@dataclass(frozen=True)
class Experiment:
    """An A/B test.

    Attributes:
        name: Its name.
        share: Share of users who are to get the challenger.
        champion_id: The model of the champion's arm.
        challenger_id: The model of the challenger's arm.
        since: Unix seconds from which impressions count: before, an arm had another model.
        n_strayed: Impressions left out because their arm is not the one that the user's id gives.
        split_p: Of the test that so many users are in the challenger's arm by chance.
        differences: Of each rate, the click-through first.
    """

    name: str
    share: float
    champion_id: str
    challenger_id: str
    since: int
    n_strayed: int
    split_p: float
    differences: tuple[ArmDifference, ...]

    @property
    def is_split_right(self) -> bool:
        """Whether the arms have the users that they should have; if not, something loses those of one arm."""
        return self.split_p >= SPLIT_ALPHA

    def to_record(self) -> dict[str, Any]:
        """Return JSON values: every field, and what follows from them."""
        differences = [asdict(one) | {"outcome": one.outcome} for one in self.differences]
        return asdict(self) | {"is_split_right": self.is_split_right, "differences": differences}
