"""Gather the evidence of a report on the tested models: differences, findings, segments and a few users."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc
from prefect import task

from evaluation.assess import USERS_K, score_oracle
from evaluation.checks import (
    find_chance,
    find_cold_events,
    find_cold_items,
    find_cold_users,
    find_copy,
    find_known_leak,
    find_mixed_parts,
    find_small_split,
    find_ties,
    find_time_order,
    find_time_travel,
    find_too_good,
    overlap_at_k,
)
from evaluation.ranking import spread_of_scores
from evaluation.rating import calibrate
from evaluation.significance import adjust, compare_paired
from models.base import Scorer
from reports.report_input import PRIMARY, Evidence, ExampleUser, HistoryEntry, RecommendedItem
from schema.items_by_user import pair_keys
from schema.metric import CalibrationBin, Metric
from schema.verdicts import Comparison, Finding
from storage import layout
from storage.manifest import Manifest
from tasks.fit import candidate_of, load_model
from tasks.options import EvaluationOptions, PlaceOptions
from tasks.recommend import histories_of, recommended_rows
from tasks.rolling import ROLLING, hold_out_part
from tasks.score import Scored, read_ranked, read_segments, read_user_means, read_users
from tasks.store import LEARNT, find_again, learnt_parts, read_parts, read_table

LEAVE_LAST = "leave-last"
N_EXAMPLES = 4
N_HISTORY = 12
N_RECOMMENDED = 10


def gather_evidence(places: PlaceOptions, split: Manifest, tested: Sequence[Scored], chosen: Scored) -> Evidence:
    """Return the evidence on models that were tested on a split: the chosen one, which ranks, and the baselines."""
    ranked = [one for one in tested if one.candidate.kind.ranks]
    comparisons = compare_with(places, ranked, chosen)
    rated = _best_at_ratings(ranked, chosen)
    return Evidence(
        comparisons,
        list(_findings(places, split, ranked, chosen, comparisons)),
        {one.candidate.label: read_segments(places, one.scores) for one in ranked},
        spread_of_scores(read_user_means(places, chosen.scores, PRIMARY)),
        _calibrate(places, split, rated) if rated else (),
        rated.candidate.label if rated else "",
    )


def compare_with(places: PlaceOptions, ranked: Sequence[Scored], chosen: Scored) -> list[Comparison]:
    """Compare the chosen model with each of the others on the same users, corrected for being tested together."""
    values, label = read_users(places, chosen.scores, PRIMARY), chosen.candidate.label
    others = [(one.candidate.label, read_users(places, one.scores, PRIMARY)) for one in ranked if one is not chosen]
    return adjust([compare_paired(label, other, PRIMARY, values, theirs) for other, theirs in others])


def _findings(
    places: PlaceOptions,
    split: Manifest,
    ranked: Sequence[Scored],
    chosen: Scored,
    comparisons: Sequence[Comparison],
) -> Iterator[Finding]:
    n_cold, n_warm = (chosen.scores.count(name) for name in ("n_cold_users", "n_warm_users"))
    yield find_cold_users(n_cold, n_cold + n_warm)
    if split.counts["method"] == ROLLING:
        yield find_cold_events(chosen.scores.count("n_cold_events"), split.count("test_n_rows"))
        fits = {one.candidate.label: one.scores.count("n_fits") for one in ranked}
        yield Finding("rolling fits", is_warning=False, figures=fits)
    yield find_cold_items(split.count("test_n_cold_items"), split.count("test_n_items"))
    yield find_mixed_parts(split.count("n_leaked"))
    if split.counts["has_timestamps"]:
        columns = ["user_idx", "timestamp"]
        learnt, held = (read_parts(places, split, parts, columns) for parts in (LEARNT, ("test",)))
        both = [np.asarray(rows[name]) for rows in (learnt, held) for name in columns]
        yield find_time_travel(*both)
        if split.counts["method"] == LEAVE_LAST:
            yield find_ties(*both)
        yield find_time_order(*(np.concatenate([rows[name] for rows in (learnt, held)]) for name in columns))
    baselines = {one.candidate.label: one for one in ranked if one.candidate.kind.is_baseline and one is not chosen}
    against = {one.against: one for one in comparisons}
    if baselines:
        strongest = max(baselines.values(), key=lambda one: one.value(PRIMARY) or 0.0)
        yield find_small_split(against[strongest.candidate.label])
    for label, one in baselines.items():
        if one.candidate.kind.role == "chance":
            yield find_chance(against[label])
        if one.candidate.kind.role == "popular":
            overlap = overlap_at_k(read_ranked(places, chosen.scores), read_ranked(places, one.scores), USERS_K)
            yield find_copy(chosen.candidate.label, overlap)
    popularity = next((one.value(PRIMARY) for one in ranked if one.candidate.kind.role == "popular"), None)
    yield find_too_good(chosen.value(PRIMARY) or 0.0, popularity or 0.0, _oracle(places, split))


def _oracle(places: PlaceOptions, split: Manifest) -> float:
    """Return what an oracle gets on test: less than 1 where several events of a user have one list."""
    if split.counts["method"] != ROLLING:
        return 1.0
    held_out = hold_out_part(places, split, LEARNT, "test", EvaluationOptions())
    return float(score_oracle(held_out, PRIMARY.k or USERS_K)[PRIMARY].mean())


def _best_at_ratings(tested: Sequence[Scored], chosen: Scored) -> Scored | None:
    """Return the chosen model if it predicts ratings, else the one that predicts them best."""
    rating = [one for one in tested if one.candidate.kind.predicts_ratings]
    if chosen in rating:
        return chosen
    return min(rating, key=lambda one: one.value(Metric("rmse")) or np.inf, default=None)


def _calibrate(places: PlaceOptions, split: Manifest, rated: Scored) -> list[CalibrationBin]:
    model = load_model(places, rated.fitted)
    if not isinstance(model, Scorer):
        return []
    held = read_parts(places, split, ("test",))
    users, items, actual = (np.asarray(held[name]) for name in ("user_idx", "item_idx", "rating"))
    return calibrate(model.score(users, items).astype(np.float64), actual.astype(np.float64))


@task(name="look for leaks")
def look_for_leaks(places: PlaceOptions, split: Manifest, model: Manifest) -> Finding:
    """Return how many of the held-out pairs a published model has learnt from.

    Raises:
        InvalidInput: If the store no longer has what the model learnt from.
    """
    store = places.open_store()
    advice = f"models/{model.id} came from it: evaluate without --as-is."
    fitted = find_again(store, layout.FITS, model.inputs["fit"], advice)
    its_split = find_again(store, layout.SPLITS, model.inputs["split"], advice)
    columns = ["user_idx", "item_idx"]
    parts = ((its_split, learnt_parts(fitted)), (split, ("test",)))
    tables = (read_parts(places, of, names, columns) for of, names in parts)
    learnt, held = (pair_keys(*(np.asarray(rows[name]) for name in columns)) for rows in tables)
    return find_known_leak(int(np.isin(held, learnt).sum()), len(held))


def find_what_was_taken_out(lists: Scored) -> Finding:
    """Return how many items were taken out of lists that were made elsewhere, and how many users have none."""
    names = ("n_unknown_items", "n_seen", "n_users_without_list", "n_users")
    figures = {name: lists.scores.count(name) for name in names}
    return Finding("lists from elsewhere", any(figures[name] for name in names[:3]), figures)


def find_examples(
    places: PlaceOptions, dataset: Manifest, split: Manifest, fitted: Manifest, titles: Mapping[str, str]
) -> list[ExampleUser]:
    """Return users at even distances through those tested; they are not picked by how well the model does.

    The model was fitted to train and validation; titles are by item id, where products are known.
    """
    model = load_model(places, fitted)
    learnt, held_out = read_parts(places, split, LEARNT), read_parts(places, split, ("test",))
    tested = np.intersect1d(np.asarray(held_out["user_idx"]), np.asarray(learnt["user_idx"]))
    users = tested[np.unique(np.linspace(0, len(tested) - 1, N_EXAMPLES + 2).astype(int)[1:-1])]
    histories = histories_of(learnt, model.n_users).take(users)
    lists = recommended_rows(candidate_of(fitted).kind, model, users, histories, N_RECOMMENDED)
    user_ids = read_table(places, dataset, layout.USER_MAP)["user_id"]
    item_ids = read_table(places, dataset, layout.ITEM_MAP)["item_id"]

    def name_item(row: Mapping[str, Any]) -> str:
        item_id = str(item_ids[row["item_idx"]])
        return titles.get(item_id, item_id)

    def show(user: int) -> ExampleUser:
        past, wanted, listed = (
            rows.filter(pc.equal(rows["user_idx"], user)).to_pylist() for rows in (learnt, held_out, lists)
        )
        latest = sorted(past, key=lambda row: -(row["timestamp"] or 0))[:N_HISTORY]
        hits = {row["item_idx"] for row in wanted}
        return ExampleUser(
            str(user_ids[user]),
            [HistoryEntry(name_item(row), row["rating"], _day(row["timestamp"])) for row in latest],
            [name_item(row) for row in wanted],
            [RecommendedItem(row["rank"], name_item(row), row["score"], row["item_idx"] in hits) for row in listed],
        )

    return [show(user) for user in users.tolist()]


def _day(timestamp: int | None) -> date | None:
    return None if timestamp is None else datetime.fromtimestamp(timestamp, tz=UTC).date()
