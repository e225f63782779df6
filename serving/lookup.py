"""What can be looked up: users and what they have, items, what is like them and what most have, models."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from schema.arms import CHALLENGER, CHAMPION, Arm
from schema.events import Event
from serving.catalogue import Catalogue
from serving.following import Follower
from serving.histories import NOTHING, known_parts
from serving.options import ServingOptions
from serving.problems import Problem
from serving.recommending import known_or_new
from serving.rules import Items, Scores

Json = dict[str, Any]


class Lookup(ABC):
    """Answers, as the API sends them, about what is served.

    Attributes:
        options: The settings.
        followers: What is served, by arm; without a challenger the champion alone.
    """

    options: ServingOptions
    followers: Mapping[Arm, Follower]

    @abstractmethod
    def catalogue(self, arm: Arm = CHAMPION) -> Catalogue:
        """Return what is served in an arm."""

    @abstractmethod
    def events_of(self, user_id: str) -> Sequence[Event]:
        """Return what a user did since the model was fitted, as far as it is known."""

    def user(self, user_id: str) -> Json:
        """Return what a user has, the newest first.

        Raises:
            Problem: 404 for somebody of whom nothing is known.
        """
        catalogue = self.catalogue()
        person = known_or_new(catalogue, user_id, self.events_of(user_id))
        history = person.history
        if person.user is None and history is NOTHING:
            raise Problem(404, "No such user", f"nothing is known of user {user_id[:60]!r}; find one with ?prefix=.")
        owned = [
            {
                **catalogue.detail(item),
                **({"rating": rating} if rating == rating else {}),
                **({"timestamp": timestamp} if timestamp >= 0 else {}),
            }
            for item, (rating, timestamp) in sorted(known_parts(history), key=lambda one: (-one[1][1], one[0]))
        ]
        return {"user_id": user_id, "n_items": len(owned), "history": owned}

    def find_users(self, prefix: str, most: int) -> Json:
        """Return users whose ids begin with a text, by their ids."""
        user_ids = self.catalogue().bundle.user_ids
        return {"user_ids": [user_ids[place] for place in user_ids.starting_with(prefix, most)]}

    def item(self, item_id: str) -> Json:
        """Return what is known of an item.

        Raises:
            Problem: 404 for one that is not there.
        """
        catalogue = self.catalogue()
        item = self._item(catalogue, item_id)
        first_seen = int(catalogue.bundle.first_seen[item])
        popular = {kind: float(scores[item]) for kind, scores in catalogue.bundle.popular.items()}
        return {
            **catalogue.detail(item),
            **({"first_seen": first_seen} if first_seen >= 0 else {}),
            "popular": popular,
        }

    def find_items(self, query: str, most: int) -> Json:
        """Return items whose titles have all words of a query, or whose id begins with it."""
        catalogue = self.catalogue()
        return {"items": [catalogue.detail(item) for item in catalogue.find(query, most)]}

    def similar(self, item_id: str, n: int, arm: Arm = CHAMPION) -> Json:
        """Return the items that are most like an item."""
        catalogue = self.catalogue(arm)
        item = self._item(catalogue, item_id)
        items, scores = catalogue.most_similar(item, n)
        way = "similar" if catalogue.tells_similar else "shared-categories"
        about = {"model_id": catalogue.served.model_id, "way": way, "item": catalogue.detail(item)}
        return {**about, "items": _scored(catalogue, items, scores)}

    def popular(self, kind: str | None, categories: Sequence[str], brands: Sequence[str], n: int) -> Json:
        """Return the items that most have.

        Raises:
            Problem: 404 for a kind of popularity that is not there.
        """
        catalogue = self.catalogue()
        kinds = list(catalogue.bundle.popular)
        if kind is not None and kind not in kinds:
            raise Problem(404, "No such kind", f"kind {kind[:60]!r} is unknown; expected one of {', '.join(kinds)}.")
        mask = catalogue.mask(categories, brands)
        items, scores = catalogue.popular(kind, mask, None, n)
        about = {"model_id": catalogue.served.model_id, "kind": kind or kinds[0], "kinds": kinds}
        return {**about, "items": _scored(catalogue, items, scores)}

    def model(self) -> Json:
        """Return what is served: ids, lineage, metrics."""
        about = self._model(CHAMPION)
        if CHALLENGER in self.followers:
            share = {"share": self.options.api_challenger_share, "experiment": self.options.experiment}
            follower = self.followers[CHALLENGER]
            about["challenger"] = share | (
                self._model(CHALLENGER) if follower.current else {"problem": follower.problem}
            )
        return about

    def _model(self, arm: Arm) -> Json:
        served = self.catalogue(arm).served
        found = {
            "model_id": served.model_id,
            "bundle_id": served.bundle_id,
            "since": int(self.followers[arm].since or 0),
            "about": dict(served.bundle.about),
        }
        problem = self.followers[arm].problem
        return found | ({"problem": problem} if problem else {})

    def _item(self, catalogue: Catalogue, item_id: str) -> int:
        item = catalogue.bundle.item_ids.find(item_id)
        if item is None:
            raise Problem(404, "No such item", f"item {item_id[:60]!r} is unknown; find one with /v1/items?query=.")
        return item


def _scored(catalogue: Catalogue, items: Items, scores: Scores) -> list[Json]:
    pairs = zip(items.tolist(), scores.tolist(), strict=True)
    return [{"rank": row + 1, "score": score, **catalogue.detail(item)} for row, (item, score) in enumerate(pairs)]
