"""How good a fitted candidate is on a held-out part of the split: full catalogue, seen items excluded."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from prefect import task

import evaluation.evaluate
import evaluation.intervals
import evaluation.ranking
import evaluation.rating
import models.selection
import models.top_k
from evaluation.csr import ItemsByUser
from evaluation.evaluate import evaluate_recommender, find_users_to_evaluate
from evaluation.rating import rating_error
from evaluation.rows import MetricRow
from models.factors import FactorModel
from models.top_k import top_k
from storage import canonical, layout
from storage.errors import InvalidInput
from storage.identity import code_version
from storage.manifest import Manifest
from tasks.candidates import Candidate
from tasks.places import PlaceOptions
from tasks.publication import publish_once
from tasks.retrying import COMPUTE_RETRIES
from tasks.tables import local_file, read_parts

KS = (5, 10, 20)
CODE = code_version(
    evaluation.evaluate,
    evaluation.ranking,
    evaluation.rating,
    evaluation.intervals,
    models.top_k,
    models.selection,
)


@task(name="score", task_run_name="score {candidate.label} on {part}", **COMPUTE_RETRIES)
def score(places: PlaceOptions, split: Manifest, fitted: Manifest, candidate: Candidate, part: str) -> Manifest:
    """Publish the metrics of a fitted candidate on one part of the split, with 95 % intervals over users.

    Raises:
        InvalidInput: If no user has rows both in what was fitted and in the part.
    """

    def build(folder: Path) -> dict[str, Any]:
        model = FactorModel.load(local_file(places, fitted, layout.FACTORS))
        seen_parts: Any = fitted.parameters["parts"]
        train = read_parts(places, split, tuple(seen_parts), ["user_idx", "item_idx"])
        held_out = read_parts(places, split, (part,))
        n_users = split.count("n_users")
        rows, n_cold = measure(model, candidate, part, items_by_user(train, n_users), held_out, n_users)
        (folder / layout.METRICS).write_bytes(canonical.encode({"rows": [asdict(row) for row in rows]}, indent=2))
        return {"n_cold_users": n_cold, **headline(rows)}

    return publish_once(
        places,
        layout.SCORES,
        inputs={"split": split.id, "fit": fitted.id},
        parameters={"part": part, "ks": list(KS)},
        code=CODE,
        build=build,
    )


def measure(
    model: FactorModel, candidate: Candidate, part: str, seen: ItemsByUser, held_out: pa.Table, n_users: int
) -> tuple[list[MetricRow], int]:
    """Return the metrics that mean something for a candidate, and the number of cold users left out."""
    about = (candidate.model, dict(candidate.parameters), part)
    rows: list[MetricRow] = []
    relevant = items_by_user(held_out, n_users)
    users = find_users_to_evaluate(seen, relevant)
    if not len(users.warm):
        raise InvalidInput(
            f"None of {users.n_cold} users with rows in {part} has a row to learn from; expected one or more. "
            "Choose another split (--split, --split-at)."
        )
    if candidate.ranks:
        rows += evaluate_recommender(recommender(model, seen), users.warm, seen, relevant, KS).rows(*about)
    if candidate.predicts_ratings:
        user_idx, item_idx, rating = (np.asarray(held_out[name]) for name in ("user_idx", "item_idx", "rating"))
        rows += rating_error(model.predict, user_idx, item_idx, rating, seen).rows(*about)
    return rows, users.n_cold


def recommender(model: FactorModel, seen: ItemsByUser) -> evaluation.evaluate.Recommend:
    """Return the function that evaluation asks for the unseen top k of some users."""

    def recommend(users: NDArray[np.int64], k: int) -> NDArray[np.int32]:
        theirs = seen.take(users)
        return top_k(model.user_factors[users], model.item_factors, theirs.indptr, theirs.items, k)[0]

    return recommend


def items_by_user(rows: pa.Table, n_users: int) -> ItemsByUser:
    """Return the items of each user in rows of interactions."""
    return ItemsByUser.from_pairs(np.asarray(rows["user_idx"]), np.asarray(rows["item_idx"]), n_users)


def headline(rows: Sequence[MetricRow]) -> dict[str, float]:
    """Return the metrics by the names under which manifests and MLflow show them, such as ``ndcg_10``."""
    return {row.metric if row.k is None else f"{row.metric}_{row.k}": row.value for row in rows}


def read_rows(places: PlaceOptions, scores: Manifest) -> list[MetricRow]:
    """Return the metrics of a scores artifact."""
    path = local_file(places, scores, layout.METRICS)
    rows: Any = canonical.decode_object(path.read_bytes(), str(path))["rows"]
    return [MetricRow(**row) for row in rows]
