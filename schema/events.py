"""What people do with recommendations, and what they were shown: the lines of the shipped batches."""

import time
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from schema.arms import Arm
from schema.options import FrozenModel

EventType = Literal["view", "basket", "purchase", "rating"]
CLICKS: Final = ("view", "basket")
MAX_ID_CHARACTERS: Final = 256

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
Id = Annotated[
    str, Field(max_length=MAX_ID_CHARACTERS, pattern=rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$")
]  # as the checks of an ingest take it


class Event(FrozenModel):
    """One thing that a user did with an item.

    Attributes:
        timestamp: When it happened, in Unix seconds; the moment in which it is received if it is left out.
    """

    event_id: Id = Field(description="Chosen by the sender: an event that is sent again under its id counts once.")
    type: EventType
    user_id: Id
    item_id: Id
    rating: float | None = Field(None, ge=-1e6, le=1e6, allow_inf_nan=False, description="With the type rating only.")
    timestamp: int = Field(
        default_factory=lambda: int(time.time()), gt=0, lt=2**40, description="Unix seconds; now if it is left out."
    )
    recommendation_id: Id | None = Field(None, description="That of the answer which showed the item.")

    @model_validator(mode="after")
    def _is_rated_if_a_rating(self) -> "Event":
        if (self.type == "rating") != (self.rating is not None):
            raise ValueError(f"a {self.type} has the rating {self.rating}; expected one with the type rating only")
        return self


class Impression(FrozenModel):
    """One answer with recommendations.

    Attributes:
        recommendation_id: The id that the answer carried.
        user_id: Outside id; None if the answer was to a basket of somebody unknown.
        item_ids: What was shown, best first.
        model_id: The model that answered.
        scenario: Name of the scenario.
        way: The way that the answer went, such as 'exact' or 'popular'.
        arm: The arm that the user got; None where no test was on.
        experiment: Name of the test; None where none was on.
        share: Share of users who get the challenger in that test; None where none was on.
        is_forced: Whether the arm was asked for instead of drawn; such an answer is in no test.
        timestamp: Unix seconds.
    """

    recommendation_id: Id
    user_id: Id | None = None
    item_ids: tuple[str, ...]
    model_id: str
    scenario: str
    way: str
    arm: Arm | None = None
    experiment: str | None = None
    share: float | None = Field(None, ge=0, le=1)
    is_forced: bool = False
    timestamp: int = Field(default_factory=lambda: int(time.time()), gt=0, lt=2**40)
