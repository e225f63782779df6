"""Kinds whose models are made of fitted models of other kinds."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.base import FittedModel, ModelKind, Options, Parameters
from schema.histories import Histories
from schema.items_by_user import ItemsByUser


class Part(NamedTuple):
    """One part of a combination: the name of its kind, its parameters, and how much it counts, above 0."""

    model: str
    parameters: Parameters
    weight: float


@runtime_checkable
class PartScorer(Protocol):
    """A fitted combination, which can tell the scores of its parts apart."""

    def score_parts(
        self, histories: Histories, hidden: ItemsByUser, k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the k best items of each part for each history, and what each part adds to their scores by weight.

        Args:
            histories: What is known of each person.
            hidden: Items that are left out; row i is of person i.
            k: Items of each part, at least 1.

        Returns:
            Items, int32 of shape (n_people, n_parts * k), each once in a row and -1 where one is there already; scores,
            float32 of shape (n_parts, n_people, n_parts * k), by which weights are multiplied.
        """
        ...


class Combination(ModelKind[Options]):
    """A kind whose models are made of fitted models of others, which are fitted once for many combinations.

    Attributes:
        starts: Weights of parts that a search begins with, by the names of their kinds; 1 of others.
    """

    starts: ClassVar[Mapping[str, float]] = MappingProxyType({})

    @abstractmethod
    def parts_of(self, parameters: Parameters) -> tuple[Part, ...]:
        """Return the parts that the parameters of a candidate name."""

    @abstractmethod
    def combine(self, parts: Sequence[Part]) -> Parameters:
        """Return the parameters of the candidate that is made of some parts."""

    @abstractmethod
    def join(self, models: Sequence[FittedModel], parameters: Parameters) -> FittedModel:
        """Return the model that is made of fitted ones, in the order of the parts."""
