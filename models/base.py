"""The socket for models: what a kind of model says of itself, and what a fitted model can do."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from models.engine import Spark
from models.space import MOST_NAMED, Space, say_parameters
from schema.arrays import Indices
from schema.columns import Columns
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.options import FrozenModel

Need = Literal["ratings", "timestamps", "spark", "torch"]
Role = Literal["chance", "popular"]

Parameters = Mapping[str, Any]
Ranked = tuple[NDArray[np.int32], NDArray[np.float32]]
Content = Mapping[str, ItemsByUser]
"""What is known of items, by "brand", "category" and "viewed": row i has the numbers of the values of item i."""
MOST_ROOM = 100.0
"""The most room that new items are given by their content."""


ReadContent = Callable[[], Content | None]
"""Returns what is known of items; None where nothing is."""


def no_content() -> None:
    """Return that nothing is known of items."""


class NoOptions(FrozenModel):
    """The options of a kind of model that has none."""


Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class Interactions:
    """Interactions to learn from, column by column: a column is read when it is asked for.

    Attributes:
        n_users: Users of the dataset, numbered from 0.
        n_items: Items of the dataset, numbered from 0.
        column: Returns a column by its name in `schema.columns.Columns`.
        spark: Given where Spark can be opened; None where a fit is made on this machine alone.
        checkpoint: Folder, of this very fit, in which a kind that trains for long keeps where it stands, so that a fit
            that was cut off goes on; None where there is none.
        content: Returns what is known of items; a kind asks for it where it uses it.

    Example:
        >>> interactions = Interactions.of(n_users=1, n_items=3, user_idx=[0, 0], item_idx=[2, 1])
        >>> interactions.item_idx.tolist()
        [2, 1]
    """

    n_users: int
    n_items: int
    column: Callable[[str], NDArray[Any]]
    spark: Spark | None = None
    checkpoint: Path | None = None
    content: ReadContent = no_content

    @classmethod
    def of(cls, n_users: int, n_items: int, **columns: Any) -> "Interactions":
        """Return interactions of columns that are at hand."""
        return cls(n_users, n_items, {name: np.asarray(values) for name, values in columns.items()}.__getitem__)

    @property
    def user_idx(self) -> Indices:
        """User of each interaction."""
        return self.column(Columns.USER_IDX)

    @property
    def item_idx(self) -> Indices:
        """Item of each interaction."""
        return self.column(Columns.ITEM_IDX)

    @property
    def rating(self) -> NDArray[np.floating]:
        """Rating of each interaction, NaN where there is none."""
        return self.column(Columns.RATING)

    @property
    def timestamp(self) -> Indices:
        """Unix seconds of each interaction."""
        return self.column(Columns.TIMESTAMP)


class FittedModel(Protocol):
    """A model that can order the unseen items of a user."""

    @property
    def n_users(self) -> int: ...  # noqa: D102
    @property
    def n_items(self) -> int: ...  # noqa: D102

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the k best unseen items of each user and their scores.

        The lists are exact, equal scores are ordered by item index, and a user gets the same list in any company.

        Args:
            users: User indices, shape (n).
            seen: Items that are left out; row i is of users[i].
            k: Length of each list, at least 1.

        Returns:
            Items (int32) and scores (float32), both of shape (n, k), best first; where fewer than k items are left, a
            row is filled up with item -1 and score -inf.

        Raises:
            ValueError: If k < 1 or the shapes do not fit one another.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write the model into a folder as little-endian ``.npy`` files, which can be memory-mapped."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the model that was saved in a folder, memory-mapped.

        Raises:
            FileNotFoundError: If a file is not there.
            ValueError: If a file is not what was saved.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """A fitted model whose scores mean something for any user and item."""

    def score(self, users: Indices, items: Indices) -> NDArray[np.float32]:
        """Return the score of each (user, item) pair, in the order given."""
        ...


@runtime_checkable
class HistoryRanker(Protocol):
    """A fitted model that can also rank for people it was never trained on, from what they have (fold-in)."""

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        """Return the k best items of each history, as `FittedModel.rank` does.

        Args:
            histories: What is known of each person.
            hidden: Items that are left out; row i is of person i. What a person has is not left out by itself.
            k: Length of each list, at least 1.
        """
        ...


@runtime_checkable
class Explainer(Protocol):
    """A fitted model that can tell which items of a history speak for an item."""

    def explain(self, history: Histories, items: Indices) -> NDArray[np.float32]:
        """Return how much each item of one history adds to the scores of some items.

        Returns:
            Shape (n_items, n_history); a row sums to the score that `HistoryRanker.rank_histories` gives the item.
        """
        ...


@runtime_checkable
class Similar(Protocol):
    """A fitted model that can tell how alike items are."""

    def similarities(self, item: int, others: Indices) -> NDArray[np.float32]:
        """Return how alike an item is to each of some others: 0 or less for nothing in common, up to 1."""
        ...


class ModelKind(ABC, Generic[Options]):
    """A kind of model: what it is called, needs and can do, and how it is fitted and loaded.

    Attributes:
        name: Name in candidates, manifests and reports.
        options: Options of its search; their fields become flags, variables and form fields.
        fitted: Class of the fitted model.
        needs: Columns and engines without which it cannot be fitted.
        groups: Other names by which ``--model`` asks for it, together with others that have them.
        is_automatic: Whether a search tries it without being asked for it; a baseline is tried all the same.
        takes: Names of the kinds that its models are made of: see `models.combination`.
        is_baseline: Whether it is there to be beaten.
        predicts_ratings: Whether its scores are ratings, so that RMSE means something.
        ranks: Whether its scores order items, so that it can be chosen for ranking.
        is_impersonal: Whether it has lists for users of whom nothing is known.
        is_same_for_all: Whether everybody gets the same list, less what each has seen.
        knows_histories_only: Whether it knows users by what they have alone, and has no vector of each. Its models are
            `HistoryRanker`; what they `rank` for a user depends on ``seen`` alone, without ratings and times.
        role: What it stands for where a metric is tried before it may choose a model.
        refits: How many times a rolling evaluation brings it up to date within a part (`renew`) if no other number is
            asked for; None: each day.
        is_cheap: Whether a fit takes seconds for a million rows: within a part it is made where it is used, not kept.
        cost: How long a fit takes, about, in fits of the quickest kind: the dearer, the fewer turns a search gives it.
        iterations: Name of the parameter that says how long it is trained; None for one that is not.
        room: Name of the parameter that says how much room new items get by their content; None for one without.
        shown: Parameters that tell its candidates from one another in a label.
        folder: Folder of an artifact that its files are in.
        ranges: What a search draws parameters from, by the names of those that have an option of the same name.
    """

    name: ClassVar[str]
    options: type[Options]
    fitted: ClassVar[type[FittedModel]]
    needs: ClassVar[frozenset[Need]] = frozenset()
    groups: ClassVar[frozenset[str]] = frozenset()
    is_automatic: ClassVar[bool] = True
    takes: ClassVar[frozenset[str]] = frozenset()
    is_baseline: ClassVar[bool] = False
    predicts_ratings: ClassVar[bool] = False
    ranks: ClassVar[bool] = True
    is_impersonal: ClassVar[bool] = False
    is_same_for_all: ClassVar[bool] = False
    knows_histories_only: ClassVar[bool] = False
    role: ClassVar[Role | None] = None
    refits: ClassVar[int | None] = 1
    cost: ClassVar[float] = 1
    is_cheap: ClassVar[bool] = False
    iterations: ClassVar[str | None] = None
    room: ClassVar[str | None] = None
    shown: ClassVar[tuple[str, ...]] = ()
    folder: ClassVar[str] = "factors"
    ranges: ClassVar[Space] = MappingProxyType({})

    def candidates(self, options: Options) -> Iterable[Parameters]:
        """Yield the parameters of each candidate that a search tries; by default one, those that the options say."""
        yield options.model_dump(mode="json")

    def describe(self, parameters: Parameters) -> Iterable[str]:
        """Yield what tells a candidate from others of its kind: parameters that are shown, and those not as usual."""
        usual = next(iter(self.candidates(self.options())), {}) if self.ranges else {}
        drawn = [name for name in (*self.ranges, self.room) if name and parameters.get(name) != usual.get(name)]
        yield from say_parameters({name: parameters[name] for name in self.shown if name in parameters})
        unshown = {name: parameters[name] for name in drawn if name in parameters and name not in self.shown}
        yield from say_parameters(unshown, most=MOST_NAMED)

    def space(self, options: Options, *, has_timestamps: bool) -> Space:  # noqa: ARG002 - for kinds that use them
        """Return what a search draws parameters from: its ranges, less the parameters whose options were given."""
        return {name: one for name, one in self.ranges.items() if name not in options.model_fields_set}

    def on_trial(self, parameters: Parameters, n_interactions: int) -> Parameters:  # noqa: ARG002 - for kinds with several engines
        """Return the parameters that a candidate is fitted with while candidates are compared; by default its own."""
        return parameters

    def curve(self, options: Options) -> Iterable[int]:  # noqa: ARG002 - for kinds that are trained in iterations
        """Return the numbers of iterations that a learning curve is asked to show."""
        return ()

    @abstractmethod
    def fit(self, interactions: Interactions, parameters: Parameters) -> FittedModel:
        """Return a model fitted to interactions with the parameters of a candidate.

        Raises:
            ValueError: If a column that it needs is incomplete.
        """

    def renew(self, model: FittedModel, interactions: Interactions, parameters: Parameters) -> FittedModel:  # noqa: ARG002 - for kinds that keep a part of it
        """Return a fitted model brought up to more interactions, at little cost; by default it is fitted again."""
        return self.fit(interactions, parameters)

    def rank_unseen(self, model: FittedModel, users: Indices, histories: Histories, k: int) -> Ranked:
        """Return what a model of this kind ranks for users of the fit, what each has left out: `FittedModel.rank`.

        Args:
            model: A fitted one.
            users: User indices, shape (n).
            histories: What they have; row i is of users[i].
            k: Length of each list, at least 1.
        """
        if self.knows_histories_only and isinstance(model, HistoryRanker):
            return model.rank_histories(histories, histories.items, k)
        return model.rank(users, histories.items, k)

    def load(self, folder: Path, parameters: Parameters) -> FittedModel:  # noqa: ARG002 - for kinds whose files do not say
        """Return the model that was fitted with these parameters and saved in a folder, memory-mapped."""
        return self.fitted.load(folder)
