"""Recommendations: who is asked for, which way the answer goes, what the rules make of it, and why."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.base import HistoryRanker
from models.factors import FactorModel, SomeItems
from schema.events import Event
from schema.histories import Histories
from schema.items_by_user import ItemsByUser
from serving.answers import Asked, BasketItem
from serving.catalogue import Catalogue, hide_all_but
from serving.histories import NOTHING, history_of, one_row
from serving.rules import Items, Rules, Scenario, Scores, fill
from serving.scenarios import Named

MOST_REASONS: Final = 5
NEW_USER: Final = "Nothing is known of this user yet; send events and the answers follow them."
UNKNOWN_ITEMS: Final = "{} of the items are unknown and do not count."
NOT_PERSONAL: Final = "What most have: the same for everybody, so there are no reasons of this person's own."
NO_REASONS: Final = "This model cannot tell why."
LOST: Final = "The scenario names {} item(s) that the model does not know."

NO_ITEMS: Final = np.empty(0, dtype=np.int32)

Rank = Callable[[int], tuple[Items, Scores]]


@dataclass(frozen=True)
class Person:
    """Whom recommendations are for.

    Attributes:
        user_id: Outside id; None for a basket of nobody in particular.
        user: Index among the model's users; None for one that it does not know.
        history: What he or she has.
        has_news: Whether the history is another than the one that the model was fitted to.
        notes: What the answer is to say.
    """

    user_id: str | None
    user: int | None
    history: Histories
    has_news: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommendations:
    """Items for a person, best first, and how they were found.

    Attributes:
        way: As `serving.answers.Way`.
        items: Item indices.
        scores: Of each item; NaN for a pinned one.
        reasons: What each item of the history adds to the score of each item, (n_items, n_history); None: not known.
        notes: What the answer is to say.
    """

    way: str
    items: Items
    scores: Scores
    reasons: NDArray[np.float32] | None
    notes: tuple[str, ...]


def known_or_new(catalogue: Catalogue, user_id: str, events: Sequence[Event]) -> Person:
    """Return a user with what he or she has, the events since among it."""
    user = catalogue.user(user_id)
    before = NOTHING if user is None else catalogue.history(user)
    history, has_news = catalogue.with_events(before, events) if events else (before, False)
    is_new = user is None and not len(history.items.items)
    return Person(user_id, user, history, has_news, (NEW_USER,) if is_new else ())


def basket_of(catalogue: Catalogue, items: Sequence[BasketItem], user_id: str | None) -> Person:
    """Return somebody with a basket; items that the model does not know are left out, with a note."""
    known: dict[int, tuple[float, int]] = {}
    n_unknown = 0
    for one in items:
        item = catalogue.bundle.item_ids.find(one.item_id)
        if item is None:
            n_unknown += 1
        else:
            rating = float("nan") if one.rating is None else one.rating
            known[item] = rating, -1 if one.timestamp is None else one.timestamp
    notes = (UNKNOWN_ITEMS.format(n_unknown),) if n_unknown else ()
    return Person(user_id, None, history_of(known), bool(known), notes)


def recommend(catalogue: Catalogue, person: Person, named: Named, asked: Asked) -> Recommendations:
    """Return what a scenario and a request make of what the model ranks for a person."""
    scenario = named.scenario
    n = asked.n or scenario.n
    narrows = bool(asked.exclude or asked.category or asked.brand)
    if scenario.is_plain and not narrows and (listed := _listed(catalogue, person, n)):
        return _explained(catalogue, person, "lists", *listed, asked.explain, person.notes)
    static = catalogue.hidden(named.name, named.version, scenario)
    mask = _hide(catalogue, person, scenario, static.mask, asked)
    pins = {place: item for place, item in static.pins.items() if place < n and not mask[item]}
    mask[list(pins.values())] = True
    way, items, scores = _first_found(
        catalogue,
        person,
        mask,
        lambda rank: _filled(rank, n, _rules(catalogue, scenario, pins)),
        catalogue.few(asked.category, asked.brand),
    )
    notes = person.notes + ((LOST.format(len(static.lost)),) if static.lost else ())
    return _explained(catalogue, person, way, items, scores, asked.explain, notes)


def rank_candidates(
    catalogue: Catalogue, person: Person, candidates: Sequence[str], *, explain: bool
) -> Recommendations:
    """Return the candidates in the order in which the model ranks them for a person, seen ones among them."""
    items, unknown = catalogue.items(candidates)
    mask = np.zeros(catalogue.bundle.n_items, dtype=bool)
    hide_all_but(mask, items)
    way, found, scores = _first_found(catalogue, person, mask, lambda rank: rank(max(len(items), 1)))
    notes = person.notes + ((UNKNOWN_ITEMS.format(len(unknown)),) if unknown else ())
    return _explained(catalogue, person, way, found, scores, explain, notes)


def _filled(rank: Rank, n: int, rules: Rules) -> tuple[Items, Scores]:
    """Return n items by the rules, and the score of each; NaN for a pinned one."""
    found: dict[int, float] = {}

    def remember(k: int) -> tuple[Items, Scores]:
        items, scores = rank(k)
        found.update(zip(items.tolist(), scores.tolist(), strict=True))
        return items, scores

    items = fill(remember, n, rules)
    return items, np.array([found.get(item, np.nan) for item in items.tolist()], dtype=np.float32)


def _listed(catalogue: Catalogue, person: Person, n: int) -> tuple[Items, Scores] | None:
    """Return the first n of the list of the night, None where there is none or it is too short."""
    lists = catalogue.bundle.lists
    if lists is None or person.user is None or person.has_news or n > lists[0].shape[1]:
        return None
    items, scores = lists[0][person.user, :n], lists[1][person.user, :n]
    is_item = items >= 0
    return items[is_item], scores[is_item]


def _hide(
    catalogue: Catalogue, person: Person, scenario: Scenario, static: NDArray[np.bool_] | None, asked: Asked
) -> NDArray[np.bool_]:
    mask = catalogue.mask(asked.category, asked.brand)
    if static is not None:
        mask |= static
    if asked.exclude:
        mask[catalogue.items(asked.exclude)[0]] = True
    if scenario.exclude_seen:
        mask[person.history.items.items] = True
    return mask


def _rules(catalogue: Catalogue, scenario: Scenario, pins: dict[int, int]) -> Rules:
    rules = Rules(pins=pins, diversity=scenario.diversity, similarities=catalogue.similarities)
    if scenario.max_per_brand is not None:
        rules = replace(rules, brand=catalogue.first_brand, max_per_brand=scenario.max_per_brand)
    if scenario.freshness:
        rules = replace(rules, is_fresh=catalogue.fresh(scenario.fresh_days), freshness=scenario.freshness)
    return rules


def _first_found(
    catalogue: Catalogue,
    person: Person,
    mask: NDArray[np.bool_],
    ask: Callable[[Rank], tuple[Items, Scores]],
    few: SomeItems | None = None,
) -> tuple[str, Items, Scores]:
    """Return the first way that leads to items that are not hidden, and these; the last one if none does."""
    for way, rank in _ways(catalogue, person, mask, few):
        items, scores = ask(rank)
        if way != "fold-in" or not np.isnan(scores).all():  # of none as well
            break
    return way, items, scores


def _ways(
    catalogue: Catalogue, person: Person, mask: NDArray[np.bool_], few: SomeItems | None
) -> Iterator[tuple[str, Rank]]:
    """Yield the ways that an answer may go, the best first, each with what ranks the k best items along it."""
    model, history = catalogue.model, person.history
    has_history = len(history.items.items) > 0
    is_exact = (
        person.user is not None
        and (has_history or not catalogue.is_by_history)
        and not (person.has_news and isinstance(model, HistoryRanker))
    )
    if isinstance(model, HistoryRanker) and has_history and (not is_exact or catalogue.is_by_history):
        ranker = model
        yield "exact" if is_exact else "fold-in", lambda k: _row(ranker.rank_histories(history, _indices(mask), k))
    if is_exact:
        users = np.array([person.user])
        if few and isinstance(model, FactorModel):
            vectors = np.asarray(model.user_factors)[users]
            yield "exact", lambda k: _row(few.rank_vectors(vectors, mask, k))
        else:
            yield "exact", lambda k: _row(model.rank(users, _indices(mask), k))
    near = catalogue.near(history.items.items) if has_history else NO_ITEMS
    if len(near):
        yield "popular-in-category", lambda k: catalogue.popular(None, mask, near, k)
    yield "popular", lambda k: catalogue.popular(None, mask, None, k)


def _indices(mask: NDArray[np.bool_]) -> ItemsByUser:
    return one_row(np.flatnonzero(mask).astype(np.int32))


def _row(ranked: tuple[Items, Scores]) -> tuple[Items, Scores]:
    items, scores = ranked[0][0], ranked[1][0]
    is_item = items >= 0
    return items[is_item], scores[is_item]


def _explained(
    catalogue: Catalogue, person: Person, way: str, items: Items, scores: Scores, explain: bool, notes: tuple[str, ...]
) -> Recommendations:
    reasons = None
    if explain:
        explainer, is_personal = (
            catalogue.explainer,
            not (way.startswith("popular") or catalogue.served.kind.is_same_for_all),
        )
        if explainer and is_personal and len(person.history.items.items):
            reasons = explainer.explain(person.history, items)
        else:
            notes += (NO_REASONS if is_personal else NOT_PERSONAL,)
    return Recommendations(way, items, scores, reasons, notes)


def as_items(catalogue: Catalogue, person: Person, found: Recommendations) -> list[dict[str, Any]]:
    """Return recommendations as the API sends them, with places, scores, reasons and what is known of the products."""
    answered = []
    for row, (item, score) in enumerate(zip(found.items.tolist(), found.scores.tolist(), strict=True)):
        one = {"rank": row + 1, "score": score, **catalogue.detail(item)}
        if score != score:
            one |= {"score": None, "pinned": True}
        elif found.reasons is not None:
            one |= _reasons(catalogue, person.history.items.items, found.reasons[row])
        answered.append(one)
    return answered


def _reasons(catalogue: Catalogue, known: Items, parts: NDArray[np.float32]) -> dict[str, Any]:
    """Return the items of a history that count most for an item, the largest first, and the sum of the others."""
    sizes = np.abs(parts, dtype=np.float64)
    shares = sizes / (sizes.sum() or 1.0)
    counting = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    reasons = []
    for place in counting[:MOST_REASONS].tolist():
        detail = catalogue.detail(int(known[place]))
        reason = {"item_id": detail["item_id"], "contribution": float(parts[place]), "share": float(shares[place])}
        reasons.append(reason | ({"title": detail["title"]} if "title" in detail else {}))
    others = counting[MOST_REASONS:]
    if not len(others):
        return {"reasons": reasons}
    rest = {"n_items": len(others), "contribution": float(parts[others].sum()), "share": float(shares[others].sum())}
    return {"reasons": reasons, "other_reasons": rest}
