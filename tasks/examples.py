"""A few users as the report shows them: what they had, what was held out, what the model recommends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluation.assess import items_by_user
from reports.report_input import ExampleUser, HistoryEntry, RecommendedItem
from storage import layout
from storage.manifest import Manifest
from tasks.options import PlaceOptions
from tasks.rank import load_model
from tasks.recommend import recommended_rows
from tasks.tables import LEARNT, read_parts, read_table

N_EXAMPLES = 4
N_HISTORY = 12
N_RECOMMENDED = 10


def find_examples(
    places: PlaceOptions, dataset: Manifest, split: Manifest, fitted: Manifest, titles: Mapping[str, str]
) -> list[ExampleUser]:
    """Return users at even distances through those tested; they are not picked by how well the model does.

    Args:
        places: The store.
        dataset: Whose ids users and items have.
        split: What the model learnt from, and what is held out.
        fitted: The model, which knows train and validation.
        titles: Item id to title, where products are known.
    """
    model = load_model(places, fitted)
    learnt = read_parts(places, split, LEARNT)
    held_out = read_parts(places, split, ("test",))
    tested = np.intersect1d(np.asarray(held_out["user_idx"]), np.asarray(learnt["user_idx"]))
    at = np.unique(np.linspace(0, len(tested) - 1, N_EXAMPLES + 2).astype(int)[1:-1])
    users = tested[at]
    seen = items_by_user(learnt, model.n_users).take(users)
    lists = recommended_rows(model, users, seen, N_RECOMMENDED)
    user_ids = read_table(places, dataset, layout.USER_MAP)["user_id"]
    item_ids = read_table(places, dataset, layout.ITEM_MAP)["item_id"]
    labels = _Labels(item_ids, titles)
    return [
        _example(
            str(user_ids[int(user)]),
            _of_user(learnt, int(user)),
            _of_user(held_out, int(user)),
            _of_user(lists, int(user)),
            labels,
        )
        for user in users
    ]


@dataclass(frozen=True)
class _Labels:
    """What an item is called: its title where it is known, else its id."""

    item_ids: pa.ChunkedArray
    titles: Mapping[str, str]

    def of(self, item_idx: int) -> str:
        """Return the label of an item."""
        item_id = str(self.item_ids[item_idx])
        return self.titles.get(item_id, item_id)


def _of_user(rows: pa.Table, user: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = rows.filter(pc.equal(rows["user_idx"], user)).to_pylist()
    return found


def _example(
    user_id: str,
    learnt: list[dict[str, object]],
    held_out: list[dict[str, object]],
    lists: list[dict[str, object]],
    labels: _Labels,
) -> ExampleUser:
    wanted = {row["item_idx"] for row in held_out}
    latest_first = sorted(learnt, key=lambda row: -int(str(row["timestamp"] or 0)))[:N_HISTORY]
    return ExampleUser(
        user_id,
        [
            HistoryEntry(labels.of(int(str(row["item_idx"]))), _number(row["rating"]), _day(row["timestamp"]))
            for row in latest_first
        ],
        [labels.of(int(str(row["item_idx"]))) for row in held_out],
        [
            RecommendedItem(
                int(str(row["rank"])),
                labels.of(int(str(row["item_idx"]))),
                float(str(row["score"])),
                is_hit=row["item_idx"] in wanted,
            )
            for row in lists
        ],
    )


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))


def _day(timestamp: object) -> date | None:
    return None if timestamp is None else datetime.fromtimestamp(int(str(timestamp)), tz=UTC).date()
