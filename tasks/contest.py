"""Who is to take whose place: challenger and champion, and the swap of the pointer from one to the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from loguru import logger
from prefect import task

from evaluation.checks import Finding
from models.registry import Candidate
from schema.errors import CorruptObject, InvalidInput
from storage import artifacts, layout
from storage.champion import ChampionTerm, predecessors, promote, read_history
from storage.inventory import list_artifacts
from storage.manifest import Manifest
from storage.protocol import Store
from storage.verify import verify_files
from tasks.execution import NETWORK_RETRIES
from tasks.options import ModelChoice, PlaceOptions
from tasks.published import require_model
from tasks.rank import candidate_of
from tasks.store import read_table


@dataclass(frozen=True)
class Reign:
    """What the pointer said when it was read.

    Attributes:
        history: The champions, the one that serves first; empty if there is none.
        version: Version of the pointer that they were read from; None if there is none.
    """

    history: tuple[ChampionTerm, ...]
    version: str | None

    @property
    def champion_id(self) -> str | None:
        """The model that serves."""
        return self.history[0].model_id if self.history else None


@dataclass(frozen=True)
class Contest:
    """A challenger, the champion, and the split on which they are compared.

    Attributes:
        challenger: A published model.
        champion: The model that serves; None if there is none.
        split: The challenger's own, which both are fitted anew to and tested on.
        reign: The pointer on which the decision is based.
        findings: What is to be known of the two beside their figures.
    """

    challenger: Manifest
    champion: Manifest | None
    split: Manifest
    reign: Reign
    findings: tuple[Finding, ...]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What challenger and champion are fits of."""
        return tuple(candidate_of(model) for model in (self.challenger, self.champion) if model)


def read_reign(store: Store) -> Reign:
    """Return the champions and the version of the pointer."""
    history, version = read_history(store)
    return Reign(tuple(history), version)


@task(name="find challenger and champion")
def find_contest(places: PlaceOptions, choice: ModelChoice) -> Contest:
    """Return the model that is named, else the newest, with the champion.

    Raises:
        InvalidInput: If there is no such model, its split is gone, or the champion is gone or cannot be fitted to it.
    """
    store = places.open_store()
    reign = read_reign(store)
    challenger, dataset = require_model(store, choice.model_id or newest_model(store, reign.history))
    split = artifacts.find(store, layout.SPLITS, challenger.inputs["split"])
    if split is None:
        raise InvalidInput(f"{store.uri} no longer has the split of models/{challenger.id}: train a challenger anew.")
    if reign.champion_id in (None, challenger.id):
        return Contest(challenger, None if reign.champion_id is None else challenger, split, reign, ())
    champion = _find_champion(store, str(reign.champion_id))
    _require_columns(candidate_of(champion), split)
    findings = (
        *_look_back(challenger, reign.history),
        *_compare_ages(places, dataset, champion),
        *_compare_parameters(challenger, champion),
    )
    for finding in findings:
        logger.log("WARNING" if finding.is_warning else "INFO", "{}", finding.sentence)
    return Contest(challenger, champion, split, reign, findings)


def newest_model(store: Store, history: Sequence[ChampionTerm]) -> str:
    """Return the id of the model that was published last, less those that gave way to the champion.

    One that served comes back by its name or by a rollback only: else the next comparison would undo a rollback.

    Args:
        store: Where models are.
        history: The champions, the one that serves first.

    Raises:
        InvalidInput: If there is none.
    """
    gone = {entry.model_id for entry in history} - {entry.model_id for entry in history[:1]}
    models = {one.id for one in list_artifacts(store, layout.MODELS) if isinstance(one.manifest, Manifest)}
    moments = {one: store.written_at(layout.manifest_key(layout.MODELS, one)) for one in models - gone}
    published = [(moment, one) for one, moment in moments.items() if moment is not None]
    if not published:
        served = f" that did not serve before; {len(models & gone)} did" if models & gone else ""
        raise InvalidInput(
            f"{store.uri} has no model to promote{served}. Train one with 'python flows/train.py', or name one with "
            "--model."
        )
    moment, newest = max(published)
    logger.info(
        "No --model is named: the challenger is the newest, models/{}, of {:%Y-%m-%d %H:%M} UTC", newest, moment
    )
    return newest


@task(name="find predecessor")
def find_predecessor(places: PlaceOptions, choice: ModelChoice, reign: Reign) -> Manifest:
    """Return the model to go back to: the one that is named, else the one that served before the champion.

    Raises:
        InvalidInput: If none is named and none served before, or no such model is published.
    """
    store = places.open_store()
    before = predecessors(reign.history)
    if not (choice.model_id or before):
        champion = f"models/{reign.champion_id}, the first" if reign.champion_id else "none"
        raise InvalidInput(
            f"{store.uri} has no champion to go back to; its champion is {champion}. Name a model: --model."
        )
    return require_model(store, choice.model_id or before[0])[0]


@task(name="crown", **NETWORK_RETRIES)
def crown_model(places: PlaceOptions, model: Manifest, successor: ChampionTerm, reign: Reign) -> Mapping[str, object]:
    """Make a model the champion after every byte of it was read, and return the pointer's record.

    Raises:
        CorruptObject: If the model is not as its manifest says.
        VersionConflict: If someone else replaced the champion since the pointer was read; names who won.
    """
    store = places.open_store()
    problems = [problem.what for problem in verify_files(store, model)]
    if problems:
        raise CorruptObject(
            f"models/{model.id} cannot serve: {' '.join(problems)} The champion stays. Copy the model here again with "
            "'python flows/store.py cp', or name another one with --model."
        )
    record = promote(store, successor, reign.history, reign.version)
    logger.info("models/{} is the champion now; before: {}", model.id, reign.champion_id or "none")
    return record


def _find_champion(store: Store, champion_id: str) -> Manifest:
    champion = artifacts.find(store, layout.MODELS, champion_id)
    if champion is None:
        raise InvalidInput(
            f"The champion, models/{champion_id}, is no longer in {store.uri}: nothing can be compared with it. Put a "
            "model in its place with --rollback --model ID --reason TEXT."
        )
    return champion


def _require_columns(candidate: Candidate, split: Manifest) -> None:
    needed = candidate.kind.needs & {"ratings", "timestamps"}
    missing = [name for name in sorted(needed) if not split.counts[f"has_{name}"]]
    if missing:
        raise InvalidInput(
            f"The champion, {candidate.label}, needs {missing[0]}, and splits/{split.id} of the challenger has none: "
            "the two cannot be compared. Train a challenger on data that have them."
        )


def _look_back(challenger: Manifest, history: Sequence[ChampionTerm]) -> Sequence[Finding]:
    """Return that a challenger served before, and what was said when another took its place."""
    place = next((place for place, entry in enumerate(history) if entry.model_id == challenger.id), None)
    if place is None:
        return ()
    successor = history[place - 1]
    sentence = (
        f"The challenger was the champion before, until models/{successor.model_id} took its place "
        f"({successor.promoted_at or 'at an unknown time'}: {successor.reason or 'no reason given'})."
    )
    return (Finding("served before", True, sentence),)


def _compare_ages(places: PlaceOptions, dataset: Manifest, champion: Manifest) -> Sequence[Finding]:
    others = artifacts.find(places.open_store(), layout.DATASETS, champion.inputs["dataset"])
    last, champions_last = _last_day(places, dataset), _last_day(places, others) if others else None
    if last is None or champions_last is None or last >= champions_last:
        return ()
    sentence = (
        f"The challenger was trained on older data than the champion: its last interaction is of {last:%Y-%m-%d}, the "
        f"champion's of {champions_last:%Y-%m-%d}."
    )
    return (Finding("older data", True, sentence),)


def _last_day(places: PlaceOptions, dataset: Manifest) -> datetime | None:
    if not dataset.counts["has_timestamps"]:
        return None
    timestamps = np.asarray(read_table(places, dataset, layout.INTERACTIONS, ["timestamp"])["timestamp"])
    return datetime.fromtimestamp(int(timestamps.max()), tz=UTC)


def _compare_parameters(challenger: Manifest, champion: Manifest) -> Sequence[Finding]:
    if candidate_of(challenger) != candidate_of(champion):
        return ()
    sentence = (
        "Challenger and champion are fits of the same parameters to different data; fitted to one split for the "
        "comparison they are the same model, so that they differ in nothing there."
    )
    return (Finding("same parameters", False, sentence),)
