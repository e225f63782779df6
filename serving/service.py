"""The service behind the routes and the page: answers as the API sends them, and what is noted of them."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence

from loguru import logger

from schema.arms import CHAMPION, Arm, arm_of
from schema.errors import RecommenderError, Unavailable
from schema.events import Event
from serving.answers import Asked, BasketQuery, BatchQuery, RankQuery
from serving.catalogue import Catalogue
from serving.events import Journal
from serving.following import Follower
from serving.loading import Served
from serving.lookup import Json, Lookup
from serving.options import ServingOptions
from serving.problems import Problem
from serving.recommending import (
    Person,
    Recommendations,
    as_items,
    basket_of,
    known_or_new,
    rank_candidates,
    recommend,
)
from serving.rules import Scenario
from serving.scenarios import Named, Scenarios
from storage.protocol import Store

RETRY_SECONDS = 5
RANKED = Named("rank", "0", Scenarios().current["home"].scenario)


class Service(Lookup):
    """All that answers need: the models that are served, the scenarios and the journal.

    Attributes:
        followers: What is served, by arm; without a challenger the champion alone.
        journal: Events and impressions; None where none are taken.
        scenarios: Those that there are.
        count_way: Told the way and the arm of each answer with recommendations.
        count_events: Told how many events were new, and how many repeated.
    """

    def __init__(
        self,
        options: ServingOptions,
        followers: Mapping[Arm, Follower],
        journal: Journal | None = None,
        count_way: Callable[[str, str], None] = lambda *_: None,
        count_events: Callable[[int, int], None] = lambda *_: None,
    ) -> None:
        self.options, self.followers, self.journal, self.count_way = options, followers, journal, count_way
        self.count_events = count_events
        self.scenarios = Scenarios()
        self.store: Store | None = None
        self.store_problem: str | None = None
        self._catalogues: dict[int, Catalogue] = {}

    def refresh(self) -> None:
        """Read scenarios that changed; the first time that the store answers, begin to ship the journal.

        A store that does not answer is logged once, and tried again at the next call.
        """
        try:
            if self.store is None:
                self.store = self.options.open_store()
                if self.journal:
                    self.journal.keep_shipping(self.store, self.options.api_ship_seconds)
            self.scenarios.refresh(self.store)
            self.store_problem = None
        except (RecommenderError, OSError) as error:
            if self.store_problem is None:
                logger.warning("Could not look for scenarios, and keep those that there are: {}", error)
            self.store_problem = str(error)

    def catalogue(self, arm: Arm = CHAMPION) -> Catalogue:
        """Return what is served in an arm.

        Raises:
            Problem: 503 if no model is ready.
        """
        follower = self.followers.get(arm)
        if follower is None:
            raise Problem(404, "No such arm", "there is no challenger; set API_CHALLENGER to the id of a model.")
        if follower.current is None:
            raise Problem(
                503,
                "No model is ready",
                follower.problem or "the model is being loaded; try again in a few seconds.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return self.catalogue_of(follower.current)

    def catalogue_of(self, served: Served) -> Catalogue:
        """Return the catalogue of what is served; made once, and dropped when something else is served."""
        found = self._catalogues.get(id(served))
        if found is None or found.served is not served:
            current = [follower.current for follower in self.followers.values()]
            kept = {key: one for key, one in self._catalogues.items() if one.served in current}
            found = Catalogue(served)
            self._catalogues = {**kept, id(served): found}
        return found

    def draw(self, user_id: str | None, wanted: Arm | None) -> tuple[Arm, bool]:
        """Return the arm of a user, and whether it was not drawn, so that the answer counts in no test."""
        if wanted is not None:
            return wanted, True
        if user_id is None or self.options.experiment is None:
            return CHAMPION, user_id is None
        arm = arm_of(self.options.experiment, user_id, self.options.api_challenger_share)
        follower = self.followers.get(arm)
        is_ready = follower is not None and follower.current is not None
        return (arm, False) if is_ready else (CHAMPION, True)

    def recommend_user(self, user_id: str, asked: Asked) -> Json:
        """Return recommendations for a user, known or new.

        Raises:
            Problem: 404 for an unknown scenario or arm, 503 if no model is ready.
        """
        named = self.scenarios[asked.scenario]
        arm, is_forced = self.draw(user_id, asked.arm)
        catalogue = self.catalogue(arm)
        person = known_or_new(catalogue, user_id, self.events_of(user_id))
        found = recommend(catalogue, person, named, asked)
        return self._answer(catalogue, person, found, named, arm, is_forced)

    def recommend_basket(self, query: BasketQuery) -> Json:
        """Return recommendations for a basket."""
        named = self.scenarios[query.scenario]
        arm, is_forced = self.draw(query.user_id, query.arm)
        catalogue = self.catalogue(arm)
        person = basket_of(catalogue, query.items, query.user_id)
        found = recommend(catalogue, person, named, query)
        return self._answer(catalogue, person, found, named, arm, is_forced)

    def recommend_batch(self, query: BatchQuery) -> Json:
        """Return recommendations for several users."""
        return {"answers": [self.recommend_user(user_id, query) for user_id in query.user_ids]}

    def rank(self, query: RankQuery) -> Json:
        """Return candidates in order for a user, or for a basket."""
        arm, is_forced = self.draw(query.user_id, query.arm)
        catalogue = self.catalogue(arm)
        person = self._person(catalogue, query)
        found = rank_candidates(catalogue, person, query.candidates, explain=query.explain)
        return self._answer(catalogue, person, found, RANKED, arm, is_forced)

    def _person(self, catalogue: Catalogue, query: RankQuery) -> Person:
        if query.user_id is None or query.items:
            return basket_of(catalogue, query.items, query.user_id)
        return known_or_new(catalogue, query.user_id, self.events_of(query.user_id))

    def events_of(self, user_id: str) -> Sequence[Event]:
        """Return what a user did since the model was fitted, as far as it is known here."""
        return self.journal.of_user(user_id) if self.journal else ()

    def _answer(
        self, catalogue: Catalogue, person: Person, found: Recommendations, named: Named, arm: Arm, is_forced: bool
    ) -> Json:
        items = as_items(catalogue, person, found)
        answer: Json = {
            "recommendation_id": secrets.token_hex(16),
            "model_id": catalogue.served.model_id,
            "bundle_id": catalogue.served.bundle_id,
            "way": found.way,
            "arm": arm,
            "scenario": {"name": named.name, "version": named.version},
            "items": items,
        }
        if person.user_id is not None:
            answer["user_id"] = person.user_id
        if found.notes:
            answer["notes"] = found.notes
        self.count_way(found.way, arm)
        if self.journal:
            self._note(self.journal, answer, is_forced)
        return answer

    def _note(self, journal: Journal, answer: Json, is_forced: bool) -> None:
        about = {
            "recommendation_id": answer["recommendation_id"],
            "item_ids": [item["item_id"] for item in answer["items"]],
            "model_id": answer["model_id"],
            "scenario": answer["scenario"]["name"],
            "way": answer["way"],
            "is_forced": is_forced,
            "timestamp": int(time.time()),
        }
        if "user_id" in answer:
            about["user_id"] = answer["user_id"]
        if experiment := self.options.experiment:
            share = self.options.api_challenger_share
            about |= {"arm": answer["arm"], "experiment": experiment, "share": share}
        journal.note(about)

    def take(self, events: Sequence[Event]) -> Json:
        """Write events to the journal; they are on the disk when it returns.

        Raises:
            Problem: 501 where no events are taken.
            RecommenderError: OutOfSpace if the disk is full, another if the journal cannot be written.
        """
        if self.journal is None:
            raise Problem(501, "No events are taken", "this service has no journal; set API_EVENTS_DIR to a folder.")
        n_new = self.journal.add(events)
        current = self.followers[CHAMPION].current
        find = current.bundle.item_ids.find if current else None
        n_unknown = sum(find(event.item_id) is None for event in events) if find else 0
        self.count_events(n_new, len(events) - n_new)
        return {"accepted": n_new, "repeated": len(events) - n_new, "unknown_items": n_unknown}

    def problems(self) -> dict[str, str]:
        """Return what is the matter, by what it concerns; empty when all is well."""
        found: dict[str, str] = {}
        for arm, follower in self.followers.items():
            if follower.problem:
                found[arm] = follower.problem
        found |= {f"scenario {name}": problem for name, problem in self.scenarios.problems.items()}
        if self.journal:
            found |= {f"journal {name}": problem for name, problem in dict(self.journal.problems).items()}
        return found | ({"store": self.store_problem} if self.store_problem else {})

    def readiness(self) -> Json:
        """Return whether a model is served, and what is the matter.

        Raises:
            Problem: 503 if no model is ready.
        """
        served, problems = self.catalogue().served, self.problems()
        about: Json = {"status": "degraded" if problems else "ready", "model_id": served.model_id}
        return about | ({"problems": problems} if problems else {})

    def list_scenarios(self) -> Json:
        """Return all scenarios, by name."""
        return {"scenarios": [self.scenario(named) for _, named in sorted(self.scenarios.current.items())]}

    def scenario(self, named: Named) -> Json:
        """Return a scenario with its version."""
        problem = self.scenarios.problems.get(named.name)
        about = {"name": named.name, "version": named.version, "scenario": named.scenario.model_dump(mode="json")}
        return about | ({"problem": problem} if problem else {})

    def replace_scenario(self, name: str, scenario: Scenario, expected: str | None) -> Named:
        """Write a scenario to the store; see `Scenarios.replace`."""
        if self.store is None:
            raise Unavailable("the store has not answered yet")
        return self.scenarios.replace(self.store, name, scenario, expected)
