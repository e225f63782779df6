"""What the API is asked and answers: bodies that are checked, and answers as OpenAPI describes them."""

import time
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool, StrictFloat, StrictInt, field_validator

from schema.arms import Arm
from schema.events import Event, Id
from schema.options import FrozenModel
from serving.options import MAX_BASKET, MAX_CANDIDATES, MAX_EVENTS, MAX_EXCLUDED, MAX_LABELS, MAX_N, MAX_USERS

CLOCK_SECONDS: Final = 86_400  # by which the clock of a sender may be ahead

Way = Literal["lists", "exact", "fold-in", "popular-in-category", "popular"]
N = Annotated[int, Field(ge=1, le=MAX_N, description="Items wanted; by default as many as the scenario says.")]
ScenarioName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="One of GET /v1/scenarios.")]
Excluded = Annotated[tuple[Id, ...], Field(max_length=MAX_EXCLUDED, description="Items to leave out.")]
Labels = Annotated[tuple[Id, ...], Field(max_length=MAX_LABELS, description="Only items that have one of these.")]


class Asked(FrozenModel):
    """What may be asked of every recommendation."""

    n: N | None = None
    scenario: ScenarioName = "home"
    exclude: Excluded = ()
    category: Labels = ()
    brand: Labels = ()
    explain: bool = Field(False, description="Tell which items of the history counted, and how much.")
    arm: Arm | None = Field(None, description="Ask for an arm of the A/B test; the answer then counts in no test.")


class AskedInBody(Asked):
    """The same in a body of JSON, where text is no number."""

    n: Annotated[StrictInt, Field(ge=1, le=MAX_N)] | None = None
    explain: StrictBool = False


class BasketItem(FrozenModel):
    """An item that somebody has or looks at."""

    item_id: Id
    rating: StrictFloat | None = Field(None, ge=-1e6, le=1e6, allow_inf_nan=False)
    timestamp: StrictInt | None = Field(None, ge=0, lt=2**40, description="Unix seconds.")


Basket = Annotated[
    tuple[BasketItem, ...], Field(max_length=MAX_BASKET, description="Of an item twice, the last counts.")
]


class BasketQuery(AskedInBody):
    """A basket to recommend for."""

    items: Basket
    user_id: Id | None = Field(None, description="Whose basket it is; only for the A/B test and the impression.")
    scenario: ScenarioName = "basket"

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"item_id": "B00001", "rating": 5}], "n": 5, "explain": True}]}
    )


class BatchQuery(AskedInBody):
    """Users to recommend for."""

    user_ids: tuple[Id, ...] = Field(min_length=1, max_length=MAX_USERS)
    scenario: ScenarioName = "email"

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_ids": ["A00001", "A00002"], "n": 3}]})


class RankQuery(FrozenModel):
    """Candidates to put in order for a user or a basket."""

    candidates: tuple[Id, ...] = Field(min_length=1, max_length=MAX_CANDIDATES)
    user_id: Id | None = None
    items: Basket = ()
    explain: StrictBool = False
    arm: Arm | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "A00001", "candidates": ["B00001", "B00002", "B00003"]}]}
    )


class EventInBody(Event):
    """One thing that a user did with an item."""

    rating: StrictFloat | None = Field(None, ge=-1e6, le=1e6, allow_inf_nan=False, description="With type rating only.")
    timestamp: StrictInt = Field(default_factory=lambda: int(time.time()), gt=0, lt=2**40, description="Unix seconds.")

    @field_validator("timestamp")
    @classmethod
    def _is_not_to_come(cls, timestamp: int) -> int:
        if timestamp > (latest := int(time.time()) + CLOCK_SECONDS):
            raise ValueError(f"{timestamp} is to come; expected Unix seconds, at most {latest}")
        return timestamp


class EventsQuery(FrozenModel):
    """Events to take note of."""

    events: tuple[EventInBody, ...] = Field(min_length=1, max_length=MAX_EVENTS)

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"events": [{"event_id": "e-1", "type": "view", "user_id": "A00001", "item_id": "B00001"}]}]
        }
    )


class Product(BaseModel):
    """An item and what is known of it."""

    item_id: str
    title: str | None = None
    brand: str | None = None
    categories: list[str] | None = None


class Reason(BaseModel):
    """An item of the history, and what it added to the score."""

    item_id: str
    title: str | None = None
    contribution: float = Field(description="All contributions, with that of the others, sum to the score.")
    share: float = Field(description="Of the sum of all contributions' sizes, 0 to 1.")


class OtherReasons(BaseModel):
    """The items of the history that are not among the reasons shown, taken together."""

    n_items: int
    contribution: float
    share: float


class Recommended(Product):
    """An item with its place; a pinned one has no score."""

    rank: int = Field(description="From 1.")
    score: float | None
    pinned: bool | None = None
    reasons: list[Reason] | None = None
    other_reasons: OtherReasons | None = None


class ScenarioVersion(BaseModel):
    """The scenario of an answer."""

    name: str
    version: str


class Answer(BaseModel):
    """Recommendations."""

    recommendation_id: str = Field(description="To be sent with the events that follow from it.")
    model_id: str
    bundle_id: str
    way: Way = Field(
        description="lists: those of the night; exact: every item scored; fold-in: from the history at hand; "
        "popular-in-category: what most have of the categories looked at; popular: what most have."
    )
    arm: Arm
    scenario: ScenarioVersion
    user_id: str | None = None
    items: list[Recommended]
    notes: list[str] | None = None


class Batch(BaseModel):
    """Recommendations for several users, in the order asked for."""

    answers: list[Answer]


class Owned(Product):
    """An item that a user has."""

    rating: float | None = None
    timestamp: int | None = None


class User(BaseModel):
    """A user and what he or she has, the newest first."""

    user_id: str
    n_items: int
    history: list[Owned]


class Found(BaseModel):
    """Ids of users."""

    user_ids: list[str]


class Products(BaseModel):
    """Items."""

    items: list[Product]


class ProductAnswer(Product):
    """An item, how many have it, and when it was first seen."""

    first_seen: int | None = None
    popular: dict[str, float] = Field(description="Its score by each kind of popularity.")


class Scored(Product):
    """An item with a score."""

    rank: int
    score: float


class SimilarItems(BaseModel):
    """Items like another one."""

    model_id: str
    way: Literal["similar", "shared-categories"]
    item: Product
    items: list[Scored]


class PopularItems(BaseModel):
    """Items that most have."""

    model_id: str
    kind: str
    kinds: list[str] = Field(description="What may be asked for.")
    items: list[Scored]


class ModelAnswer(BaseModel):
    """What is served: the champion, and the challenger where there is one."""

    model_config = ConfigDict(extra="allow")

    model_id: str
    bundle_id: str
    since: int = Field(description="Unix seconds since which this process serves it.")
    problem: str | None = Field(None, description="Why a newer model is not served, or the store does not answer.")
    about: dict[str, JsonValue] = Field(
        description="Kind, parameters, lineage to the raw file, metrics with intervals."
    )
    challenger: dict[str, JsonValue] | None = None


class ScenarioAnswer(BaseModel):
    """A scenario."""

    name: str
    version: str = Field(description="To be sent as If-Match to replace it.")
    scenario: dict[str, JsonValue]
    problem: str | None = None


class Scenarios(BaseModel):
    """All scenarios."""

    scenarios: list[ScenarioAnswer]


class Taken(BaseModel):
    """Events that are on the disk."""

    accepted: int
    repeated: int = Field(description="Whose ids were there already.")
    unknown_items: int = Field(description="Of items that the model does not know yet.")


class Health(BaseModel):
    """How the service is."""

    status: Literal["ok", "ready", "degraded"]
    model_id: str | None = None
    problems: dict[str, str] | None = None
