"""A baseline that leaves the lists to chance: an order of the items of its own for each user."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.base import Interactions, ModelKind, NoOptions, Parameters, Ranked
from models.unseen import check_request, find_free_places
from schema.arrays import Indices, mix
from schema.items_by_user import ItemsByUser
from schema.mapped import check_length, read_array

DEFAULT_SEED = 42
SHAPE_FILE = "chance.npy"


@dataclass(frozen=True)
class ChanceModel:
    """A seeded order of the items for each user, which is nowhere written out.

    The place of item i in the order of user u is (start_u + step_u * i) modulo a prime that is at least the number of
    items, with start and step hashed from seed and user. Places that belong to no item are passed over. Over users,
    every item is about as likely as any other on every rank.

    Attributes:
        n_users: Users it ranks for.
        n_items: Items it ranks.
        seed: Chooses the orders.

    Example:
        >>> model = ChanceModel(n_users=2, n_items=5, seed=42)
        >>> nothing = ItemsByUser(np.zeros(3, np.int64), np.array([], np.int32))
        >>> [sorted(items) for items in model.rank(np.arange(2), nothing, k=5)[0].tolist()]
        [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    """

    n_users: int
    n_items: int
    seed: int

    def score(self, users: Indices, items: Indices) -> NDArray[np.float32]:
        """Return a number from (0, 1] for each (user, item) pair, the higher the earlier the item is in the order."""
        start, step = self._start_and_step(users)
        return self._score_places((start + step * items.astype(np.int64)) % self._prime)

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:
        """Return the first k items of each user's order that the user has not seen, without scoring the others."""
        check_request(users, seen, k, self.n_items)
        unused = np.arange(self.n_items, self._prime)
        rows = np.concatenate([seen.rows, np.repeat(np.arange(len(users)), len(unused))])
        start, step = self._start_and_step(users)
        taken = (start[rows] + step[rows] * np.concatenate([seen.items, np.tile(unused, len(users))])) % self._prime
        places = find_free_places(rows, taken, len(users), self._prime, k)
        back = np.array([pow(one, -1, self._prime) for one in step.tolist()], np.int64)
        items = (places - start[:, None]) % self._prime * back[:, None] % self._prime
        is_item = places >= 0
        scores = np.where(is_item, self._score_places(places), np.float32(-np.inf))
        return np.where(is_item, items, -1).astype(np.int32), scores

    def save(self, folder: Path) -> None:
        """Write chance.npy: users, items and seed, little-endian int64."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / SHAPE_FILE, np.array([self.n_users, self.n_items, self.seed], dtype="<i8"))

    @classmethod
    def load(cls, folder: Path) -> "ChanceModel":
        """Return the model that save wrote.

        Raises:
            FileNotFoundError: If the file is not there.
            ValueError: If it is not what save writes.
        """
        numbers = read_array(folder / SHAPE_FILE, np.int64)
        check_length(SHAPE_FILE, len(numbers), 3, "numbers of users, items and seed")
        return cls(*numbers.tolist())

    @cached_property
    def _prime(self) -> int:
        return _next_prime(self.n_items)

    def _score_places(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        return (1.0 - places / self._prime).astype(np.float32)

    def _start_and_step(self, users: Indices) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the start, from 0 to prime - 1, and the step, from 1 to prime - 1, of each user."""
        numbers = mix(mix(np.array([self.seed], np.int64).astype(np.uint64)) + users.astype(np.uint64))
        start, step = numbers % np.uint64(self._prime), mix(numbers) % np.uint64(self._prime - 1)
        return start.astype(np.int64), step.astype(np.int64) + 1


class Chance(ModelKind[NoOptions]):
    """Items in a seeded order that differs from user to user."""

    name = "random"
    options = NoOptions
    fitted = ChanceModel
    is_baseline = True
    is_impersonal = True
    is_cheap = True
    role = "chance"
    folder = "chance"

    def candidates(self, options: NoOptions) -> Iterable[Parameters]:  # noqa: ARG002 - it has none
        """Yield the one candidate."""
        yield {"seed": DEFAULT_SEED}

    def fit(self, interactions: Interactions, parameters: Parameters) -> ChanceModel:
        """Learn nothing but how many users and items there are."""
        return ChanceModel(interactions.n_users, interactions.n_items, int(parameters["seed"]))


def _next_prime(number: int) -> int:
    """Return the least prime that is not below a number.

    Example:
        >>> [_next_prime(number) for number in (0, 2, 24, 63_001)]
        [2, 2, 29, 63029]
    """
    candidate = max(number, 2)
    while any(candidate % divisor == 0 for divisor in range(2, isqrt(candidate) + 1)):
        candidate += 1
    return candidate
