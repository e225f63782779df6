"""Training of neural models in PyTorch, which nothing but this module imports."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.base import Interactions
from models.ncf_rows import Rows, sample_unknown, shuffled_blocks
from schema.arrays import Indices
from schema.errors import InvalidInput
from schema.items_by_user import ItemsByUser

if TYPE_CHECKING:
    from models.ncf import NcfOptions

PAIRS_AT_ONCE = 1 << 18
MEASURED_K = 10
STATE_FILE = "training.pt"
FIRST_SPREAD = 0.01

Batch = tuple[Indices, Indices, NDArray[np.float32]]
Weights = tuple[dict[str, NDArray[np.float32]], list[NDArray[np.float32]]]
"""Factors and embeddings by name, and each dense layer as a matrix whose last row is what it adds."""


@dataclass
class State:
    """Where a training stands, as a checkpoint holds it.

    Attributes:
        epoch: Epochs done.
        waited: Epochs since the best.
        quality: What the best reached on the rows held back, larger is better.
        weights: The weights of the best.
    """

    epoch: int = 0
    waited: int = 0
    quality: float = -np.inf
    weights: dict[str, Any] = field(default_factory=dict)


def train(interactions: Interactions, options: "NcfOptions", parts: Collection[str], *, explicit: bool) -> Weights:
    """Return the weights of a trained network: users' and items' factors and embeddings, and the layers, output last.

    On a CPU they depend on interactions and options alone: one thread sums in one order, whatever the machine has.

    Args:
        interactions: What to learn from; their order does not matter.
        options: How.
        parts: "factors", "tower" or both.
        explicit: Whether ratings are learnt, not interactions.

    Raises:
        InvalidInput: If the device is not there.
        ValueError: If there is nothing to learn from.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        training = Training(interactions, options, parts, explicit=explicit)
        training.run(interactions.checkpoint)
        return training.export()
    finally:
        torch.set_num_threads(n_threads)


class Training:
    """A network, its optimiser and the rows that it learns from."""

    def __init__(
        self, interactions: Interactions, options: "NcfOptions", parts: Collection[str], *, explicit: bool
    ) -> None:
        if options.ncf_device == "cuda" and not torch.cuda.is_available():
            raise InvalidInput("--ncf-device cuda, and PyTorch finds no CUDA device here. Use --ncf-device cpu.")
        self.options, self.explicit = options, explicit
        self.n_users, self.n_items = interactions.n_users, interactions.n_items
        rows = Rows.of(interactions, explicit=explicit)
        self.rows, self.held = rows.hold_back(options.ncf_held_back, options.ncf_seed)
        self.known = ItemsByUser.from_pairs(self.rows.users, self.rows.items, self.n_users)
        self.known_keys = self.known.keys
        self.device = torch.device(options.ncf_device)
        self.network = _build(self.n_users, self.n_items, options, parts).to(self.device)
        if explicit:
            nn.init.constant_(self.network["output"].bias, float(self.rows.targets.mean()))
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), lr=options.ncf_rate, weight_decay=options.ncf_decay
        )
        self.state = State()

    def run(self, checkpoint: Path | None) -> None:
        """Train until the rows held back are predicted no better, from the checkpoint on if there is one."""
        path = checkpoint / STATE_FILE if checkpoint else None
        if path and path.exists():
            self._resume(path)
        while self.state.epoch < self.options.ncf_epochs and self.state.waited < self.options.ncf_patience:
            self._run_epoch()
            quality = self._measure()
            self.state.epoch += 1
            self.state.waited += 1
            if quality > self.state.quality or not self.state.weights:
                self.state.quality, self.state.waited = quality, 0
                self.state.weights = {name: value.clone() for name, value in self.network.state_dict().items()}
            if path:
                self._keep(path)
        self.network.load_state_dict(self.state.weights)

    def _resume(self, path: Path) -> None:
        kept = torch.load(path, map_location=self.device, weights_only=True)
        self.network.load_state_dict(kept["network"])
        self.optimiser.load_state_dict(kept["optimiser"])
        self.state = State(**kept["state"])

    def _keep(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": vars(self.state),
        }
        torch.save(kept, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def _run_epoch(self) -> None:
        rng = np.random.default_rng([self.options.ncf_seed, self.state.epoch])
        loss = nn.functional.mse_loss if self.explicit else nn.functional.binary_cross_entropy_with_logits
        for users, items, targets in self._batches(rng):
            self.optimiser.zero_grad()
            loss(self._score(users, items), self._tensor(targets)).backward()
            self.optimiser.step()

    def _batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        n_negatives = 0 if self.explicit else self.options.ncf_negatives
        for rows in shuffled_blocks(len(self.rows.users), rng):
            block = self.rows.take(rows)
            unknown = np.repeat(block.users, n_negatives)
            users = np.concatenate([block.users, unknown])
            items = np.concatenate([block.items, sample_unknown(unknown, self.known_keys, self.n_items, rng)])
            targets = np.concatenate([block.targets, np.zeros(len(unknown), dtype=np.float32)])
            order = rng.permutation(len(users))
            for start in range(0, len(order), self.options.ncf_batch):
                batch = order[start : start + self.options.ncf_batch]
                yield users[batch], items[batch], targets[batch]

    def _score(self, users: Indices, items: Indices) -> Any:
        return _forward(self.network, self._tensor(users), self._tensor(items))

    def _tensor(self, values: NDArray[Any]) -> Any:
        return torch.as_tensor(values).to(self.device)

    def _measure(self) -> float:
        """Return how well the rows held back are predicted: minus the squared error, or NDCG@10 over all items.

        Without such rows, later is better.
        """
        held = self.held
        if not len(held.users):
            return float(self.state.epoch)
        size = max(1, PAIRS_AT_ONCE // self.n_items)
        with torch.no_grad():
            if self.explicit:
                found = _numbers(self._score(held.users, held.items))
                return -float(np.square(found - held.targets, dtype=np.float64).mean())
            starts = range(0, len(held.users), size)
            blocks = [self._gains(held.users[one : one + size], held.items[one : one + size]) for one in starts]
        return float(np.concatenate(blocks).mean())

    def _gains(self, users: Indices, items: Indices) -> NDArray[np.float64]:
        pairs = np.repeat(users, self.n_items), np.tile(np.arange(self.n_items), len(users))
        scores = _numbers(self._score(*pairs)).reshape(len(users), self.n_items)
        known = self.known.take(users)
        scores[known.rows, known.items] = -np.inf
        own = scores[np.arange(len(users)), items]
        ranks = (scores >= own[:, None]).sum(axis=1)
        gains = np.where(ranks <= MEASURED_K, 1 / np.log2(np.maximum(ranks, 1) + 1), 0.0)
        return np.where(np.isfinite(own), gains, -np.inf)  # of a fit that diverges

    def export(self) -> Weights:
        """Return the weights, with zeros for a user without rows, and for an item that nothing was learnt of."""
        n_rows = {
            "user": np.bincount(self.rows.users, minlength=self.n_users),
            "item": np.bincount(self.rows.items, minlength=self.n_items) + (not self.explicit),
        }
        tables = {
            name: _numbers(table.weight) * (n_rows[name[:4]] > 0)[:, None]
            for name, table in self.network.items()
            if isinstance(table, nn.Embedding)
        }
        dense = (module for module in self.network.modules() if isinstance(module, nn.Linear))
        return tables, [np.vstack([_numbers(one.weight).T, _numbers(one.bias)]) for one in dense]


def _build(n_users: int, n_items: int, options: "NcfOptions", parts: Collection[str]) -> Any:
    """Return a network with first weights that depend on the seed alone; a part that it lacks has width 0."""
    rank = options.ncf_factors if "factors" in parts else 0
    widths = options.widths if "tower" in parts else [0]
    sizes = {"user": n_users, "item": n_items}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.ncf_seed)
        network = nn.ModuleDict({f"{side}_factors": nn.Embedding(size, rank) for side, size in sizes.items()})
        network.update({f"{side}_embeddings": nn.Embedding(size, widths[0] // 2) for side, size in sizes.items()})
        for embeddings in network.values():
            if embeddings.weight.numel():
                nn.init.normal_(embeddings.weight, std=FIRST_SPREAD)
        layers = ((nn.Linear(*shape), nn.ReLU()) for shape in pairwise(widths))
        network["tower"] = nn.Sequential(*(module for layer in layers for module in layer))
        network["output"] = nn.Linear(rank + widths[-1], 1)
        return network


def _forward(network: Any, users: Any, items: Any) -> Any:
    products = network["user_factors"](users) * network["item_factors"](items)
    pairs = torch.cat([network["user_embeddings"](users), network["item_embeddings"](items)], dim=1)
    return network["output"](torch.cat([products, network["tower"](pairs)], dim=1)).squeeze(1)


def _numbers(tensor: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = tensor.detach().cpu().numpy()
    return values
