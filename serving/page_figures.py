"""What the page counts: examples, common labels, the tastes of an item's owners, and metrics beside each other."""

from typing import Final

import numpy as np

from models.registry import Candidate
from schema.bundle import Bundle, Labels
from schema.metric import HELD_OUT_ONLY, RANKING_METRICS
from serving.lookup import Json
from serving.rendering import metric_label

N_EXAMPLES: Final = 6
N_TASTES: Final = 5
MOST_OWNERS: Final = 1000
K: Final = 10
QUALITY: Final = frozenset({*RANKING_METRICS, "rmse", "mae"})


def examples(bundle: Bundle) -> list[str]:
    """Return the ids of some users, from few items to many."""
    counts = bundle.histories.counts
    order = np.argsort(counts, kind="stable")
    places = {round(share * (len(order) - 1)) for share in np.linspace(0.2, 0.99, N_EXAMPLES)} if len(order) else ()
    return [bundle.user_ids[int(order[place])] for place in sorted(places)]


def n_items(bundle: Bundle, user_id: str) -> int:
    """Return how many items a user has."""
    user = bundle.user_ids.find(user_id)
    return 0 if user is None else int(bundle.histories.indptr[user + 1] - bundle.histories.indptr[user])


def commonest(labels: Labels, most: int) -> list[str]:
    """Return the labels that most items have, by name."""
    counts = np.bincount(labels.codes.items, minlength=len(labels.names))
    return sorted(labels.names[int(code)] for code in np.argsort(-counts, kind="stable")[:most] if counts[code])


def tastes(bundle: Bundle, item: int) -> tuple[int, list[tuple[str, float]]]:
    """Return how many users have an item, and the other categories that most of them have something of.

    Of an item that many have, the first 1,000 users are looked at.

    Returns:
        The number of users; up to five categories, each with the share of the users, from 0 to 1.
    """
    histories, codes = bundle.histories, bundle.categories.codes
    rows = np.flatnonzero(histories.items == item)
    owners = (np.searchsorted(histories.indptr, rows, side="right") - 1)[:MOST_OWNERS]
    owned = histories.take(owners)
    labelled = codes.take(owned.items)
    n_labels = len(bundle.categories.names)
    pairs = np.unique(owned.rows[labelled.rows] * n_labels + labelled.items)
    counts = np.bincount(pairs % n_labels, minlength=n_labels) if n_labels else np.zeros(0, np.int64)
    counts[codes.items[codes.indptr[item] : codes.indptr[item + 1]]] = 0
    largest = [int(code) for code in np.argsort(-counts, kind="stable")[:N_TASTES] if counts[code]]
    return len(rows), [(bundle.categories.names[code], float(counts[code]) / len(owners)) for code in largest]


def measured(about: Json) -> list[Json]:
    """Return the metrics of the model and those beside it: how good the lists are, and what they are like.

    Returns:
        Two tables, each with ``metrics``, their names; ``n_users``; ``top``, the largest value or end of an interval of
        the first metric; and ``rows`` with ``label``, ``is_ours`` and ``cells``, each a row of metrics.json or None,
        the best by the first metric first.
    """
    rows = [row for row in about["metrics"] if row["k"] in (None, K) and not row["metric"].startswith(HELD_OUT_ONLY)]
    good = [row for row in rows if row["metric"] in QUALITY]
    return [_table(about, good), _table(about, [row for row in rows if row not in good])]


def _table(about: Json, rows: list[Json]) -> Json:
    metrics = list(dict.fromkeys((row["metric"], row["k"]) for row in rows))
    models: dict[str, dict[tuple[str, int | None], Json]] = {}
    for row in rows:
        label = Candidate(model=row["model"], parameters=row["parameters"]).label
        models.setdefault(label, {})[row["metric"], row["k"]] = row
    table = [
        {"label": label, "is_ours": label == about["label"], "cells": [cells.get(metric) for metric in metrics]}
        for label, cells in models.items()
    ]
    table.sort(key=lambda row: -row["cells"][0]["value"] if row["cells"][0] else np.inf)
    return {
        "metrics": [metric_label(*metric) for metric in metrics],
        "n_users": max((row["n_users"] for row in rows), default=0),
        "top": max(
            (row["cells"][0]["high"] or row["cells"][0]["value"] for row in table if row["cells"][0]), default=0
        ),
        "rows": table,
    }
