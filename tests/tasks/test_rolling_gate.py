"""A rolling split from the dataset to the gate: no model knows anything of the day it predicts, or of later ones."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster, get_worker
from sample_artifacts import publish, publish_folder

from evaluation.assess import score_oracle
from evaluation.options import PromotionOptions, SplitOptions
from evaluation.rolling import Events, hold_out_events, refit_days
from models import registry
from models.base import FittedModel, Interactions, ModelKind, NoOptions, Parameters, Ranked
from models.factors import SharedOrder
from models.item_graph import ItemGraph
from models.registry import Candidate, yardsticks
from reports.verdicts import say_finding
from schema.arrays import Indices
from schema.errors import InvalidInput
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from schema.metric import Metric
from spark.options import SparkOptions
from storage import layout
from storage.champion import ChampionHistory
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks import choose as choosing
from tasks.choose import choose
from tasks.dataset import split_dataset
from tasks.evidence import gather_evidence
from tasks.fit import fit, load_model
from tasks.options import EvaluationOptions, PlaceOptions, SelectionOptions
from tasks.promotion import Challenge, decide
from tasks.rolling import EventRanker, count_fits, later_cuts
from tasks.score import Scored, read_ranked, read_user_means, read_users, score, score_lists
from tasks.store import read_parts

DAY = 86_400
N_USERS, N_ITEMS, N_DAYS = 150, 80, 60
NDCG = Metric("ndcg", 10)
KNN = Candidate(model="item-knn", parameters={"knn_neighbours": 20, "knn_shrinkage": 1.0})
LATEST = Candidate(model="recent-popularity", parameters={"popularity_half_life_days": 5.0})
COSTLY = Candidate(model="ials", parameters={"ials_rank": 4, "ials_sweeps": 1})
BLEND = Candidate(
    model="blend", parameters={"shares": [{**COSTLY.model_dump(), "weight": 3}, {"model": "item-graph", "weight": 1}]}
)
OPTIONS = EvaluationOptions()


def draw_rows() -> pa.Table:
    """Return interactions over 60 days of users who take, of the items of their own half, the first ones more often."""
    draws = np.random.default_rng(0)
    rows = []
    for user in range(N_USERS):
        weights = np.where(np.arange(N_ITEMS) % 2 == user % 2, 1 / (1 + np.arange(N_ITEMS)), 0)
        items = draws.choice(N_ITEMS, size=8, replace=False, p=weights / weights.sum())
        days = np.sort(draws.integers(N_DAYS, size=8))
        rows += [(user, item, 1.0 + item % 5, day * DAY + 9) for item, day in zip(items, days, strict=True)]
    kinds = {"user_idx": pa.int32(), "item_idx": pa.int32(), "rating": pa.float32(), "timestamp": pa.int64()}
    columns = zip(zip(*rows, strict=True), kinds.values(), strict=True)
    return pa.table([pa.array(values, kind) for values, kind in columns], list(kinds))


@dataclass(frozen=True)
class Scene:
    """A rolling split, and what is scored on its validation and test parts."""

    places: PlaceOptions
    split: Manifest
    validated: list[Scored]
    tested: list[Scored]


def make_split(places: PlaceOptions, folder: Path, **options: Any) -> Manifest:
    folder.mkdir()
    rows = draw_rows()
    write_parquet([rows], folder / layout.INTERACTIONS, rows.schema)
    counts = {"n_users": N_USERS, "n_items": N_ITEMS, "has_ratings": True, "has_timestamps": True}
    dataset = publish_folder(places.open_store(), folder, layout.DATASETS, "d", counts=counts)
    return split_dataset.fn(places, dataset, SplitOptions(**{"split": "rolling", "rolling_share": 0.2, **options}))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("rolling")
    places = PlaceOptions(store_uri=str(folder / "store"), work_dir=folder / "work")
    split = make_split(places, folder / "dataset")
    candidates = [*yardsticks(), KNN, LATEST]

    def scores(parts: tuple[str, ...], part: str) -> list[Scored]:
        fits = [fit.fn(places, split, parts, one, SparkOptions()) for one in candidates]
        found = zip(candidates, fits, strict=True)
        return [Scored(one, made, score.fn(places, split, made, one, part, OPTIONS)) for one, made in found]

    return Scene(places, split, scores(("train",), "validation"), scores(("train", "validation"), "test"))


@pytest.fixture
def events(scene: Scene) -> Events:
    parts = (read_parts(scene.places, scene.split, part) for part in (("train", "validation"), ("test",)))
    return hold_out_events(*parts, n_users=N_USERS, n_items=N_ITEMS)


@dataclass(frozen=True)
class Spy:
    """A model that notes, for each person it ranks for, the latest moments that it and the history know of."""

    known_until: int
    n_known: int
    notes: list[tuple[int, int, int]]
    n_users: int = N_USERS
    n_items: int = N_ITEMS

    def rank(self, users: Indices, seen: ItemsByUser, k: int) -> Ranked:  # noqa: ARG002 - never called
        raise AssertionError("histories are at hand")

    def rank_histories(self, histories: Histories, hidden: ItemsByUser, k: int) -> Ranked:
        assert hidden.items.tolist() == histories.items.items.tolist()
        for row in range(len(hidden.counts)):
            latest = int(histories.take(np.array([row])).timestamp.max(initial=-1))
            self.notes.append((self.known_until, self.n_known, latest))
        return np.full((len(hidden.counts), k), -1, np.int32), np.full((len(hidden.counts), k), -np.inf, np.float32)

    def save(self, folder: Path) -> None:  # noqa: ARG002 - never called
        raise AssertionError("such a model is not kept")

    load = classmethod(save)


class SpyKind(ModelKind[NoOptions]):
    """A kind of model that notes what it is given, brought up to each day."""

    name, options, fitted, refits = "spy", NoOptions, Spy, None

    def __init__(self) -> None:
        self.notes: list[tuple[int, int, int]] = []

    def fit(self, interactions: Interactions, parameters: Parameters) -> FittedModel:  # noqa: ARG002 - it has none
        columns = [interactions.user_idx, interactions.item_idx, interactions.rating, interactions.timestamp]
        assert len({len(column) for column in columns}) == 1
        return Spy(int(interactions.timestamp.max()), len(interactions.timestamp), self.notes)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> SpyKind:
    kind = SpyKind()
    monkeypatch.setitem(registry.KINDS, "spy", kind)
    return kind


@pytest.mark.parametrize("n", [1, 3, None])
def test_neither_model_nor_history_knows_anything_of_the_day_or_of_later_ones(n, events, spy):
    rows = events.rows["timestamp"].to_numpy()
    days = refit_days(rows[-len(events.user) :], n)
    learnt = events.rows.slice(0, len(rows) - len(events.user))
    first = spy.fit(Interactions(N_USERS, N_ITEMS, lambda name: learnt[name].to_numpy()), {})
    ranker = EventRanker(Candidate(model="spy", parameters={}), events, N_USERS, {int(days[0]): first}, days)
    ranker.rank(np.arange(len(events.user)), k=5, block=7)
    known_until, n_known, latest = np.array(spy.notes).T
    midnight = events.query_day * DAY
    assert len(midnight) == len(known_until)
    assert (known_until < midnight).all()
    assert (latest < midnight).all()
    of_user = [
        rows[(events.rows["user_idx"].to_numpy() == user) & (rows < before)]
        for user, before in zip(events.query_user, midnight, strict=True)
    ]
    assert latest.tolist() == [int(theirs.max(initial=-1)) for theirs in of_user]
    cuts = days[np.searchsorted(days, events.query_day, side="right") - 1] * DAY
    assert n_known.tolist() == [int((rows < cut).sum()) for cut in cuts]
    assert len(set(n_known.tolist())) == len(days)


def test_models_at_hand_serve_from_their_day_on(events):
    def constant(item: int) -> FittedModel:
        return SharedOrder(np.ones((N_USERS, 1), np.float32), np.eye(N_ITEMS, dtype=np.float32)[:, [item]])

    free = [item for item in range(N_ITEMS) if item not in events.histories.items][:2]
    assert len(free) == 2
    first, second = np.unique(events.query_day)[[0, 3]]
    models = {int(first): constant(free[0]), int(second): constant(free[1])}
    ranker = EventRanker(KNN, events, N_USERS, models, np.array([first, second]))
    lists = ranker.rank(np.arange(len(events.user)), k=1, block=5)
    assert lists[:, 0].tolist() == np.where(events.query_day[events.query] < second, *free).tolist()


def test_cheap_kinds_are_brought_up_to_date_and_the_number_is_said(scene):
    n_fits = {one.candidate.model: one.scores.count("n_fits") for one in scene.tested}
    n_days = len(np.unique(read_parts(scene.places, scene.split, ("test",))["timestamp"].to_numpy() // DAY))
    assert n_fits == {"random": 1, "popularity": n_days, "item-knn": 5, "recent-popularity": n_days}
    assert n_days > 5


def test_lists_are_those_of_a_model_fitted_by_hand_to_the_days_before(scene, events):
    [scored] = [one for one in scene.tested if one.candidate == LATEST]
    lists = read_ranked(scene.places, scored.scores)
    for event in events.users[::40]:
        day = events.query_day[events.query[event]]
        known = events.rows.filter(pa.array(events.rows["timestamp"].to_numpy() < day * DAY))
        interactions = Interactions(N_USERS, N_ITEMS, lambda name, known=known: known[name].to_numpy())
        theirs = known.filter(pa.array(known["user_idx"].to_numpy() == events.user[event]))["item_idx"].to_numpy()
        seen = ItemsByUser(np.array([0, len(theirs)]), np.sort(theirs))
        model = LATEST.kind.fit(interactions, LATEST.parameters)
        expected = model.rank(events.user[[event]], seen, k=20)[0][0]
        assert lists[np.flatnonzero(events.users == event)[0]].tolist() == expected.tolist()


@pytest.fixture
def no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "create_table_artifact", lambda *_, **__: None)


@pytest.mark.usefixtures("no_tables")
def test_the_best_is_chosen_by_values_of_users_and_shown_with_what_to_know(scene, events):
    choice = choose.fn(scene.places, scene.split, scene.validated, SelectionOptions(), OPTIONS)
    assert (choice.scored.candidate, choice.guard.is_fit) == (KNN, True)
    chosen = next(one for one in scene.tested if one.candidate == KNN)
    values, means = (read(scene.places, chosen.scores, NDCG) for read in (read_users, read_user_means))
    assert values.mean() == pytest.approx(chosen.value(NDCG))
    assert (len(values), means.min() >= 0, means.max() <= 1) == (chosen.scores.count("n_users"), True, True)
    evidence = gather_evidence(scene.places, scene.split, scene.tested, chosen)
    assert sum(one.n_users for one in evidence.ndcg_histogram) == len(values)
    oracle = evidence.findings[-1].figures["oracle"]
    assert oracle == pytest.approx(score_oracle(events, 10)[NDCG].mean())
    assert oracle < 1  # a day has several events, and one list
    n_days = len(np.unique(events.query_day))
    said = " ".join(map(say_finding, evidence.findings)).replace("\u00a0", " ").replace("\u202f", " ")
    assert "No row in train is later than any" in said
    assert (
        f"before its first day: random 1, popularity {n_days}, item-knn, knn_neighbours 20, knn_shrinkage 1 5," in said
    )
    assert "of users who had nothing before that day" in said or "of users with a history of earlier days" in said
    assert "share their second with another one of the same user; there are 60 different days, of which one has" in said


def publish_models(scene: Scene) -> list[Manifest]:
    """Publish popularity and item-kNN as models."""
    found = []
    for one in scene.tested[1:3]:
        parameters, inputs = {"model": one.candidate.model, **one.candidate.parameters}, {"split": scene.split.id}
        store = scene.places.open_store()
        found.append(publish(store, layout.MODELS, one.candidate.model, inputs, {"a": b""}, parameters))
    return found


@pytest.mark.parametrize("is_better", [True, False])
def test_the_gate_goes_by_users(scene, is_better):
    champion, challenger = publish_models(scene)[:: 1 if is_better else -1]
    challenge = Challenge(challenger, champion, scene.split, ChampionHistory((), None), ())
    decision = decide.fn(scene.places, challenge, scene.tested, SelectionOptions(), OPTIONS, PromotionOptions())
    assert decision.record["promoted"] == is_better
    assert decision.record["difference"]["n_users"] == scene.tested[0].scores.count("n_users")


def test_a_model_as_it_is_serves_alone_and_lists_from_elsewhere_are_refused(scene):
    chosen = next(one for one in scene.tested if one.candidate == KNN)
    model = replace(chosen.fitted, kind=layout.MODELS)
    with pytest.MonkeyPatch.context() as patched:
        for module in ("rolling", "score"):
            patched.setattr(f"tasks.{module}.load_model", lambda places, _: load_model(places, chosen.fitted))
        as_is = score.fn(scene.places, scene.split, model, KNN, "test", OPTIONS)
    assert (chosen.scores.count("n_fits") > 1, as_is.count("n_fits")) == (True, 1)
    with pytest.raises(InvalidInput, match=r"is rolling, which asks for the list of a user for each day"):
        score_lists.fn(scene.places, scene.split, scene.split, scene.split, KNN, OPTIONS)


def test_one_fit_serves_throughout_where_that_is_asked_for(scene, tmp_path):
    def score_knn(scene: Scene, **asked: int) -> Manifest:
        fitted = fit.fn(scene.places, scene.split, ("train",), KNN, SparkOptions())
        return score.fn(scene.places, scene.split, fitted, KNN, "validation", OPTIONS, **asked)

    usual, once = score_knn(scene), score_knn(scene, asked_fits=1)
    assert (usual.count("n_fits") > 1, once.count("n_fits"), once.id != usual.id) == (True, 1, True)
    assert later_cuts(scene.places, scene.split, "validation", COSTLY.kind, 1) == []
    split = make_split(scene.places, tmp_path / "dataset", split="leave-last", rolling_share=0.1)
    other = replace(scene, split=split)
    assert score_knn(other, asked_fits=1).id == score_knn(other).id  # elsewhere, a part has one fit anyway


def test_a_costly_kind_is_fitted_and_kept_at_the_cuts_that_are_asked_for(tmp_path):
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    split = make_split(places, tmp_path / "dataset", rolling_refits=3)
    cuts = later_cuts(places, split, "test", COSTLY.kind)
    assert len(cuts) == 2
    assert [later_cuts(places, split, "test", one.kind) for one in (KNN, *yardsticks())] == [[], [], []]
    assert later_cuts(places, split, "test", Candidate(model="global-mean", parameters={}).kind) == []
    fits = [fit.fn(places, split, ("train", "validation"), COSTLY, SparkOptions())]
    every = ("train", "validation", "test")
    fits += [fit.fn(places, split, every, COSTLY, SparkOptions(), until=cut) for cut in cuts]
    assert len({one.id for one in fits}) == 3
    scored = score.fn(places, split, fits[0], COSTLY, "test", OPTIONS, fits[1:])
    assert scored.count("n_fits") == 3
    assert set(scored.inputs) == {"split", "fit", *(f"fit_until_{cut}" for cut in cuts)}
    again = score.fn(places, split, fit.fn(places, split, every[:2], KNN, SparkOptions()), KNN, "test", OPTIONS)
    assert again.count("n_fits") == 3


def test_a_blend_keeps_its_costly_parts_and_fits_its_cheap_ones_again(scene, events):
    fitted = fit.fn(scene.places, scene.split, ("train", "validation"), BLEND, SparkOptions())
    assert later_cuts(scene.places, scene.split, "test", BLEND.kind) == []
    ranker = EventRanker.of(scene.places, N_USERS, BLEND, [fitted], events, count_fits(scene.split, BLEND.kind))
    assert len(ranker.days) == 5
    last = int(ranker.days[-1])
    kept, renewed = (ranker.models[int(ranker.days[0])], ranker.model_of(last))
    rows = events.rows.filter(pa.array(events.rows["timestamp"].to_numpy() < last * DAY))
    known = Interactions(N_USERS, N_ITEMS, lambda name: rows[name].to_numpy())
    assert renewed.parts[0] is kept.parts[0]
    assert renewed.parts[1].strengths.tolist() == ItemGraph().fit(known, {}).strengths.tolist()
    assert renewed.parts[1].strengths.tolist() != kept.parts[1].strengths.tolist()


def test_fewer_fits_are_made_of_many_rows(scene):
    split = replace(scene.split, counts={**scene.split.counts, "train_n_rows": 2_150_000})
    found = [count_fits(split, Candidate(model=name, parameters={}).kind) for name in ("item-graph", "popularity")]
    assert (found, count_fits(scene.split, KNN.kind), count_fits(split, COSTLY.kind)) == ([2, None], 5, 1)


def test_a_fit_until_a_moment_sees_only_rows_before_it(scene, spy, monkeypatch):
    rows = read_parts(scene.places, scene.split, ("train", "validation"))["timestamp"].to_numpy()
    until = int(np.sort(rows)[100])
    seen: list[Interactions] = []
    monkeypatch.setattr(spy, "fit", lambda interactions, _: seen.append(interactions) or SavedSpy())
    fit.fn(
        scene.places,
        scene.split,
        ("train", "validation"),
        Candidate(model="spy", parameters={}),
        SparkOptions(),
        until=until,
    )
    assert sorted(seen[0].timestamp.tolist()) == sorted(rows[rows < until].tolist())
    assert len(seen[0].item_idx) == len(seen[0].timestamp)


class SavedSpy:
    """Stands for a model that can be saved."""

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "a").write_bytes(b"a")


@pytest.mark.parametrize("n_models", [1, 4])
def test_lists_are_the_same_for_any_number_of_workers(scene, events, monkeypatch, n_models):
    [fitted] = [one.fitted for one in scene.tested if one.candidate == KNN]
    ranker = EventRanker.of(scene.places, N_USERS, KNN, [fitted], events, n_models)
    everything = np.arange(len(events.user)), 5, 7
    addresses, rank_queries = set(), EventRanker._rank_queries

    def note(*args: Any, **named: Any) -> Any:
        addresses.add(get_worker().address)
        return rank_queries(*args, **named)

    here = ranker.rank(*everything)
    monkeypatch.setattr(EventRanker, "_rank_queries", note)
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        there = client.submit(ranker.rank, *everything).result()
    np.testing.assert_array_equal(there, here)
    assert len(addresses) == 3
