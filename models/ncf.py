"""Neural collaborative filtering (He et al., WWW 2017): GMF, MLP and NeuMF, trained by PyTorch, served without it."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from models.base import Interactions, ModelKind, Need, Parameters
from models.factors import FactorModel
from models.neural import NeuralModel
from schema.errors import InvalidInput
from schema.options import FrozenModel

ALSO_RATINGS: frozenset[Need] = frozenset({"ratings", "torch"})


class NcfOptions(FrozenModel):
    """How neural models are trained; they need PyTorch, which 'make neural' installs."""

    ncf_factors: PositiveInt = Field(32, description="Factors of GMF, and outputs of the last layer of the MLP.")
    ncf_layers: PositiveInt = Field(2, description="Hidden layers of the MLP, each half as wide as the one before.")
    ncf_epochs: PositiveInt = Field(40, description="Most passes over the rows.")
    ncf_patience: PositiveInt = Field(4, description="Passes without a gain after which training stops.")
    ncf_held_back: float = Field(
        0.05, gt=0, lt=1, description="Share of the training rows, at most one of a user, that tells when to stop."
    )
    ncf_negatives: PositiveInt = Field(4, description="Unknown items drawn beside each interaction.")
    ncf_batch: PositiveInt = Field(2048, description="Rows of a step, those drawn among them.")
    ncf_rate: PositiveFloat = Field(0.001, description="Learning rate of Adam.")
    ncf_decay: float = Field(3e-6, ge=0, allow_inf_nan=False, description="Weight decay of Adam.")
    ncf_seed: int = Field(42, ge=0, description="Seed of first weights, of what is held back, and of what is drawn.")
    ncf_device: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where it is trained: on cpu, with the same result each time, or on cuda, a GPU."
    )

    @property
    def widths(self) -> list[int]:
        """The inputs of the MLP's first layer, and the outputs of each hidden one."""
        return [self.ncf_factors * 2**power for power in range(self.ncf_layers, -1, -1)]


class _Ncf(ModelKind[NcfOptions]):
    options = NcfOptions
    fitted: ClassVar[type[FactorModel | NeuralModel]] = NeuralModel
    needs = frozenset({"torch"})
    groups = frozenset({"ncf"})
    is_automatic = False
    shown = ("ncf_factors",)
    unused: ClassVar[frozenset[str]] = frozenset()
    parts: ClassVar[frozenset[str]] = frozenset({"factors", "tower"})

    def candidates(self, options: NcfOptions) -> Iterable[Parameters]:
        """Yield the parameters of the model."""
        yield options.model_dump(mode="json", exclude=set(self.unused))

    def fit(self, interactions: Interactions, parameters: Parameters) -> FactorModel | NeuralModel:
        """Train on the interactions, from the checkpoint on if there is one.

        Raises:
            InvalidInput: If PyTorch or the device is not there.
            ValueError: If there is nothing to learn from.
        """
        require_torch(self.name)
        from models.ncf_training import train

        tables, layers = train(interactions, NcfOptions(**parameters), self.parts, explicit=self.predicts_ratings)
        users, items = tables["user_factors"], tables["item_factors"]
        output = layers.pop()
        users, last = users * output[: users.shape[1], 0], output[users.shape[1] :]
        if "tower" not in self.parts:
            added = np.full((len(users), 1), last[0], dtype=np.float32), np.ones((len(items), 1), dtype=np.float32)
            return FactorModel(np.hstack([users, added[0]]), np.hstack([items, added[1]]))
        layers.append(last)
        widths, weights = np.array([one.shape[1] for one in layers]), np.concatenate([one.ravel() for one in layers])
        return NeuralModel(users, items, tables["user_embeddings"], tables["item_embeddings"], widths, weights)


class NeuMf(_Ncf):
    """GMF and MLP side by side, with embeddings of their own and one output; trained together, not one by one first."""

    name = "neumf"


class Mlp(_Ncf):
    """Layers with ReLU over the embeddings of a user and an item, each layer half as wide as the one before."""

    name = "mlp"
    parts = frozenset({"tower"})


class Gmf(_Ncf):
    """Generalised matrix factorisation: a weighted product of factors, learnt from interactions and drawn negatives."""

    name = "gmf"
    fitted = FactorModel
    unused = frozenset({"ncf_layers"})
    parts = frozenset({"factors"})


class NeuMfExplicit(NeuMf):
    """NeuMF that learns ratings, by their squared error."""

    name = "neumf-explicit"
    needs = ALSO_RATINGS
    predicts_ratings = True
    unused = frozenset({"ncf_negatives"})


class MlpExplicit(Mlp):
    """MLP that learns ratings, by their squared error."""

    name = "mlp-explicit"
    needs = ALSO_RATINGS
    predicts_ratings = True
    unused = frozenset({"ncf_negatives"})


class GmfExplicit(Gmf):
    """GMF that learns ratings, by their squared error."""

    name = "gmf-explicit"
    needs = ALSO_RATINGS
    predicts_ratings = True
    unused = frozenset({"ncf_layers", "ncf_negatives"})


def require_torch(name: str) -> None:
    """Raise InvalidInput if PyTorch, which a kind of model needs, is not installed."""
    if find_spec("torch") is None:
        raise InvalidInput(f"{name} needs PyTorch, which is not installed. Type 'make neural', or leave it out.")
