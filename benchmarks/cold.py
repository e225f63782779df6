"""New items by content: how well items without interactions are ranked, and what the room that they get costs others.

    python -m benchmarks.cold reviews.json.gz --products meta.json.gz
    python -m benchmarks.cold reviews.json.gz --attribute brand=item_brand.csv --attribute viewed=item_view.csv

A seeded share of the items is removed whole: all of their interactions are held out, and models know them by content
alone. Of the interactions with other items each user's last is held out for test, the one before it for validation.
Content is the metadata that training takes, or files of lines ``item,value`` for brand, category and viewed.

    cold      NDCG@10 of what users have of the removed items, among these items
    cold all  the same among all items, which is what people would see
    warm      NDCG@10 of the other held-out items among all items; loss: how much less it is than without room
    places    share of the places of all lists of ten that removed items take

'popularity by category' ranks a removed item by the mean popularity of the items of each of its categories, and does so
for everybody. Figures of the cold are means over seeds with the least and the greatest; the loss of one seed has the
95 % interval over its users. Choose room with --part validation.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import harness
from benchmarks.harness import Figures
from benchmarks.measuring import Spread
from schema.errors import InvalidInput
from schema.metric import Metric

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from benchmarks.interaction_files import Numbered
    from models.base import Content, FittedModel
    from models.registry import Kind
    from reports.tables import Cell
    from schema.arrays import Floats

NDCG = Metric("ndcg", 10)
BLOCK_USERS = 500
COLUMNS = {"Cold": "cold", "Cold all": "cold_all", "Warm": "warm", "Loss": "loss", "Places": "places"}
WIDTH = 130


@dataclass(frozen=True, eq=False)
class Scene:
    """What is learnt from and what is held out, when some items are removed.

    Attributes:
        learnt: Interactions with other items.
        cold_rows: All interactions with removed items.
        warm_rows: Held-out interactions with other items.
        is_cold: Whether each item is removed.
        n_users: Users.
        content: What is known of the items.
        part: What the held-out interactions with other items are: validation or test.
    """

    learnt: "pa.Table"
    cold_rows: "pa.Table"
    warm_rows: "pa.Table"
    is_cold: "NDArray[np.bool_]"
    n_users: int
    content: "Content"
    part: str

    def fit(self, kind: "Kind", **parameters: Any) -> "FittedModel":
        """Return a model of what is learnt, with the usual parameters but these."""
        from models.base import Interactions

        usual = next(iter(kind.candidates(kind.options())))
        columns = {name: self.learnt[name].to_numpy() for name in self.learnt.column_names}
        about = self.n_users, len(self.is_cold), columns.__getitem__
        return kind.fit(Interactions(*about, content=lambda: self.content), {**usual, **parameters})

    def measure(self, model: "FittedModel", rows: "pa.Table", *, among_cold: bool) -> "tuple[Floats, float]":
        """Return the NDCG@10 of each user with some of the rows, and the share of places that removed items take."""
        from evaluation.assess import hold_out
        from evaluation.ranking import evaluate_lists

        held_out = hold_out(self.learnt, rows, self.n_users, len(self.is_cold))
        if not len(held_out.users):
            raise InvalidInput("No user has items held out beside others; expected some. Change --share.")
        blocks = np.array_split(held_out.users, -(-len(held_out.users) // BLOCK_USERS))
        lists = np.concatenate([self._rank(model, users, among_cold=among_cold) for users in blocks])
        scores = evaluate_lists(lists, held_out.users, held_out.seen, held_out.relevant, (10,))
        return scores[NDCG], float(self.is_cold[lists[lists >= 0]].mean())

    def _rank(self, model: "FittedModel", users: "NDArray[np.int64]", *, among_cold: bool) -> "NDArray[np.int32]":
        from models.base import HistoryRanker
        from schema.items_by_user import ItemsByUser
        from tasks.recommend import histories_of

        histories = histories_of(self.learnt, self.n_users).take(users)
        hidden = histories.items
        if among_cold:
            others = np.flatnonzero(~self.is_cold).astype(np.int32)
            hidden = ItemsByUser(np.arange(len(users) + 1) * len(others), np.tile(others, len(users)))
        if isinstance(model, HistoryRanker):
            return model.rank_histories(histories, hidden, 10)[0]
        return model.rank(users, hidden, 10)[0]


def remove_items(data: "Numbered", content: "Content", share: float, seed: int, part: str) -> Scene:
    """Return the scene in which a share of the items is removed, at random."""
    import pyarrow as pa

    from evaluation.options import SplitOptions
    from evaluation.splits import split_interactions

    n_items = len(data.item_ids)
    is_cold = np.zeros(n_items, dtype=bool)
    is_cold[np.random.default_rng(seed).permutation(n_items)[: round(share * n_items)]] = True
    is_removed = is_cold[data.rows["item_idx"].to_numpy()]
    try:
        parts = split_interactions(data.rows.filter(~is_removed), SplitOptions(split="leave-last"))
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    learnt = parts.train if part == "validation" else pa.concat_tables([parts.train, parts.validation])
    about = is_cold, len(data.user_ids), content, part
    return Scene(learnt, data.rows.filter(is_removed), getattr(parts, part), *about)


def rank_by_category(scene: Scene) -> "FittedModel":
    """Return the order of items by the mean, over their categories, of the mean number of users of other items."""
    from models.factors import SharedOrder

    table = scene.content["category"]
    n_users_of = np.bincount(scene.learnt["item_idx"].to_numpy(), minlength=len(scene.is_cold))
    is_other = ~scene.is_cold[table.rows]
    sums = np.bincount(table.items, n_users_of[table.rows])
    means = sums / np.maximum(np.bincount(table.items, is_other), 1)
    scores = np.bincount(table.rows, means[table.items], minlength=len(scene.is_cold)) / np.maximum(table.counts, 1)
    return SharedOrder(np.ones((scene.n_users, 1), np.float32), scores[:, None].astype(np.float32))


def measure_scene(scene: Scene, kind: "Kind", rooms: Sequence[float]) -> list[Figures]:
    """Return the figures of a kind of model with each room, the first of them 0, and those of what needs no content."""
    from evaluation.significance import compare_paired
    from models.registry import KINDS

    found: list[Figures] = []
    without, _ = scene.measure(scene.fit(kind, **{str(kind.room): 0.0}), scene.warm_rows, among_cold=False)
    for room in rooms:
        model = scene.fit(kind, **{str(kind.room): room})
        values = {"cold": scene.measure(model, scene.cold_rows, among_cold=True)[0]}
        values["cold_all"], _ = scene.measure(model, scene.cold_rows, among_cold=False)
        values["warm"], places = scene.measure(model, scene.warm_rows, among_cold=False)
        loss = compare_paired("without", "with", NDCG, without, values["warm"])
        spreads = {name: _spread(of) for name, of in values.items()}
        spreads |= {"loss": Spread(loss.difference, loss.low, loss.high), "places": Spread.of([places])}
        found.append(Figures(kind.name, scene.part, spreads, {"room": room}))
    simple = {"random": scene.fit(KINDS["random"])}
    if "category" in scene.content:
        simple["popularity by category"] = rank_by_category(scene)
    for name, model in simple.items():
        cold, _ = scene.measure(model, scene.cold_rows, among_cold=True)
        found.append(Figures(name, scene.part, {"cold": _spread(cold)}))
    return found


def _spread(values: "Floats") -> Spread:
    from evaluation.significance import share_interval

    return Spread(float(values.mean()), *share_interval(values))


def average(scenes: Sequence[Sequence[Figures]]) -> list[Figures]:
    """Return the mean over scenes of each figure, with the least and the greatest; of one scene its own intervals."""
    if len(scenes) == 1:
        return list(scenes[0])
    found = []
    for same in zip(*scenes, strict=True):
        values = {name: [one.values[name].value for one in same] for name in same[0].values}
        spreads = {name: Spread(mean(own), min(own), max(own)) for name, own in values.items()}
        found.append(Figures(same[0].model, same[0].split, spreads, same[0].parameters))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    from benchmarks.interaction_files import read_numbered
    from models.base import MOST_ROOM
    from models.registry import KINDS

    if not 0 < chosen.share < 1:
        raise InvalidInput(f"--share is {chosen.share:g}; expected a share between 0 and 1.")
    if not all(0 <= room <= MOST_ROOM for room in chosen.rooms):
        raise InvalidInput(f"--rooms are {chosen.rooms}; expected numbers from 0 to {MOST_ROOM:g}.")
    kind = KINDS.get(chosen.model)
    if kind is None or kind.room is None:
        able = [name for name, one in KINDS.items() if one.room]
        raise InvalidInput(f"--model {chosen.model} has no room for new items; expected one of {', '.join(able)}.")
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        data = read_numbered(chosen.path, None, chosen.min_interactions, Path(folder, "read"))
    if not data.has("timestamp"):
        raise InvalidInput(f"{chosen.path} has no timestamps, which tell what the last interaction of a user is.")
    content = _read_content(chosen, data)
    rooms = sorted({0.0, *chosen.rooms})
    scenes = [remove_items(data, content, chosen.share, seed, chosen.part) for seed in range(chosen.seeds)]
    figures = average([measure_scene(scene, kind, rooms) for scene in scenes])
    _show(chosen, figures, content)
    parameters = {name: getattr(chosen, name) for name in ("share", "seeds", "part")}
    harness.write_rows(chosen.json, harness.rows_of(figures, {**parameters, "machine": harness.describe_machine()}))
    return harness.DONE


def _read_content(chosen: argparse.Namespace, data: "Numbered") -> "Content":
    """Return the content of the items, from the metadata or from files of single attributes."""
    import pyarrow as pa

    from reviews.products import read_products
    from reviews.unpacking import open_unpacked
    from tasks.attributes import number_values, tabulate_attributes

    if bool(chosen.products) == bool(chosen.attribute):
        raise InvalidInput("expected --products, or --attribute once or more; found both or neither.")
    item_ids = [str(one) for one in data.item_ids]
    if chosen.products:
        known = read_products(chosen.products, set(item_ids))
        return number_values(tabulate_attributes(known, item_ids), len(item_ids))
    place_of, rows = {item_id: place for place, item_id in enumerate(item_ids)}, set()
    for name, path in chosen.attribute:
        with open_unpacked(path) as lines:
            pairs = (line.decode().strip().partition(",") for line in lines)
            try:
                rows |= {(place_of[item], name, value) for item, _, value in pairs if item in place_of}
            except UnicodeDecodeError as error:
                raise InvalidInput(f"{path} is not UTF-8 ({error}); expected lines item,value in UTF-8.") from error
    columns = zip(*sorted(rows), strict=True) if rows else ([], [], [])
    table = pa.table(dict(zip(("item_idx", "attribute", "value"), columns, strict=True)))
    return number_values(table, len(item_ids))


def _show(chosen: argparse.Namespace, figures: Sequence[Figures], content: "Content") -> None:
    from reports.display import format_interval, format_metric
    from reports.tables import TextTable

    rows: list[list[Cell]] = []
    for one in figures:
        spreads = [one.values.get(key) for key in COLUMNS.values()]
        shown = [(format_metric(of.value), format_interval(of.low, of.high)) if of else "" for of in spreads]
        rows.append([one.model, f"{one.parameters['room']:g}" if one.parameters else "", *shown])
    title = f"{chosen.path.name}: {chosen.share:.0%} of the items removed, {chosen.part}, {chosen.seeds} choices"
    console = harness.open_console(WIDTH)
    console.print(TextTable(["Model", "Room", *COLUMNS], rows, n_left=2).to_rich(title))
    known = ", ".join(f"{name} of {int((table.counts > 0).sum()):,} items" for name, table in content.items())
    console.print(f"Known: {known}\nMachine: {harness.describe_machine()}")


def _attribute(text: str) -> tuple[str, Path]:
    from models.content import WEIGHTS

    name, _, path = text.partition("=")
    if name not in WEIGHTS or not path:
        raise argparse.ArgumentTypeError(f"expected NAME=FILE with one of {', '.join(WEIGHTS)}, found {text!r}")
    return name, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("cold", __doc__)
    parser.add_argument("path", type=Path, metavar="PATH", help="file of interactions with times")
    parser.add_argument("--products", type=Path, metavar="PATH", help="metadata of the items, as in training")
    file_of = "lines item,value of brand, category or viewed; more than one can be given"
    parser.add_argument("--attribute", type=_attribute, action="append", metavar="NAME=PATH", help=file_of)
    parser.add_argument("--model", default="item-graph", metavar="NAME", help="kind of model (item-graph)")
    parser.add_argument("--share", type=float, default=0.1, help="share of the items that is removed (0.1)")
    parser.add_argument("--seeds", type=harness.at_least_one, default=3, help="choices of the items (3)")
    parser.add_argument("--part", choices=("validation", "test"), default="test", help="of the warm items (test)")
    rooms = "rooms to try beside 0 (0.5,0.7,1,1.4,2)"
    parser.add_argument("--rooms", type=_rooms, default=(0.5, 0.7, 1.0, 1.4, 2.0), metavar="ROOM,…", help=rooms)
    parser.add_argument("--min-interactions", type=harness.at_least_one, default=1, help="the k of the k-core (1)")
    return parser


def _rooms(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, found {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
