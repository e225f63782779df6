"""The pointer to the model that serves, with the history of champions; the one object that is ever replaced.

The record holds ``model_id``, ``promoted_at``, ``reason``, ``promotion``, ``previous_model_id`` and ``history``, the
newest first, whose first entry says the same as the record: one object, so that pointer and history cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from schema.errors import CorruptObject, ObjectNotFound, VersionConflict
from storage import canonical, layout
from storage.protocol import ObjectInfo, Store

MODEL_ID = "model_id"
HISTORY = "history"
MOST_ENTRIES = 100
_TEXTS = ("promoted_at", "reason", "promotion", "best")


@dataclass(frozen=True)
class ChampionTerm:
    """The term of one champion: the model, and how it came to serve.

    Attributes:
        model_id: The model.
        promoted_at: When, ISO 8601 in UTC; None where an older record does not say.
        reason: Why, for people.
        promotion: Id of the comparison that it won; None where none was made, as for a rollback.
        best: Id of the promotion whose challenger has the best parameters shown until then; None where an older record
            does not say, or nobody was promoted.
    """

    model_id: str
    promoted_at: str | None = None
    reason: str | None = None
    promotion: str | None = None
    best: str | None = None


class ChampionHistory(NamedTuple):
    """The champions, the one that serves first, and the version of their pointer; () and None if there is none."""

    terms: tuple[ChampionTerm, ...]
    version: str | None

    @property
    def champion_id(self) -> str | None:
        """The model that serves."""
        return self.terms[0].model_id if self.terms else None

    @property
    def best(self) -> str | None:
        """The promotion of the best parameters so far: where a record does not say, the champion's own."""
        return self.best_of(self.champion_id)

    def best_of(self, model_id: str | None) -> str | None:
        """Return what `best` was when a model last served, to which a rollback returns; None if it never did."""
        term = next((term for term in self.terms if term.model_id == model_id), None)
        return (term.best or term.promotion) if term else None


def read_champion(store: Store) -> tuple[dict[str, object] | None, str | None]:
    """Return the champion's record and the version that `replace_champion` expects; (None, None) if none.

    The version is never newer than the record: a swap between the two reads makes the next replacement fail.

    Raises:
        CorruptObject: If the record is not a JSON object.
    """
    info = store.head(layout.CHAMPION)
    if info is None:
        return None, None
    try:
        data = store.read(layout.CHAMPION)
    except ObjectNotFound:
        return None, None
    return canonical.decode_object(data, store.locate(layout.CHAMPION)), info.version


def champion_id(store: Store) -> str | None:
    """Return the id of the model that serves, or None if none does.

    Raises:
        CorruptObject: If the record is not a JSON object that names a model.
    """
    record, _ = read_champion(store)
    return None if record is None else _term(record, store.locate(layout.CHAMPION)).model_id


def read_history(store: Store) -> ChampionHistory:
    """Return the champions, the one that serves first, and the version of the pointer.

    A record without a history has its own champion alone.

    Raises:
        CorruptObject: If the record or an entry of its history is not as this module writes it.
    """
    record, version = read_champion(store)
    source = store.locate(layout.CHAMPION)
    if record is None:
        return ChampionHistory((), version)
    serving = _term(record, source)
    listed = record.get(HISTORY, [record])
    if not isinstance(listed, list):
        raise CorruptObject(f"{source} has {HISTORY} {str(listed)[:80]!r}; expected a list, the newest entry first.")
    history = [_term(entry, f"{source}: {HISTORY}[{place}]") for place, entry in enumerate(listed)]
    first = history[0].model_id if history else None
    if first != serving.model_id:
        raise CorruptObject(
            f"{source} names {serving.model_id[:80]!r} and its {HISTORY} {first!r} first; expected the same."
        )
    return ChampionHistory(tuple(history), version)


def predecessors(history: Sequence[ChampionTerm]) -> list[str]:
    """Return the models to go back to, the nearest first: those that served before, less those that were abandoned.

    A rollback (an entry without a promotion, to a model that served before) takes away what came after that model,
    so that a second rollback goes further back and never forth again to what was abandoned.

    Example:
        >>> one, two, three = (ChampionTerm(name, promotion="p") for name in ("one", "two", "three"))
        >>> predecessors([three, two, one])
        ['two', 'one']
        >>> predecessors([ChampionTerm("two"), three, two, one])
        ['one']
    """
    line: list[str] = []
    for term in reversed(history):
        if term.promotion is None and term.model_id in line:
            while line[-1] != term.model_id:
                line.pop()
        else:
            line.append(term.model_id)
    return line[-2::-1]


def promote(store: Store, term: ChampionTerm, history: ChampionHistory) -> Mapping[str, object]:
    """Make a model the champion, if the pointer still has the version with which the history was read.

    Returns:
        The record that the pointer has now.

    Raises:
        VersionConflict: If someone else replaced it in the meantime; names the model that won. A record that is there
            already, since an earlier try wrote it and did not learn of that, is no conflict.
    """
    record = {
        **asdict(term),
        "previous_model_id": history.champion_id,
        HISTORY: [asdict(one) for one in (term, *history.terms)][:MOST_ENTRIES],
    }
    try:
        replace_champion(store, record, history.version)
    except VersionConflict as error:
        if read_champion(store)[0] != record:
            raise VersionConflict(_describe_winner(store, term)) from error
    return record


def replace_champion(store: Store, record: Mapping[str, object], expected_version: str | None) -> ObjectInfo:
    """Make the record the champion's, if the pointer still has the expected version (None: if there is none).

    Raises:
        VersionConflict: If someone else replaced it in the meantime.
    """
    return store.replace(layout.CHAMPION, canonical.encode(dict(record), indent=2), expected_version)


def _describe_winner(store: Store, term: ChampionTerm) -> str:
    history = read_history(store).terms
    if term in history:
        won = history[history.index(term) - 1]
        return (
            f"models/{term.model_id} became the champion, and serves no more: models/{won.model_id} took its "
            f"place in the same moment ({won.promoted_at}: {won.reason}). Run the same command again to compare both."
        )
    now = "the pointer was removed"
    if history:
        won = history[0]
        now = f"models/{won.model_id} became the champion ({won.promoted_at}: {won.reason})"
    return (
        f"models/{term.model_id} did not become the champion: while it was being decided, {now}. The decision was "
        "made against another champion than there is now: run the same command again."
    )


def _term(entry: Any, source: str) -> ChampionTerm:
    if not isinstance(entry, dict):
        raise CorruptObject(f"{source} is {str(entry)[:80]!r}; expected an object with {MODEL_ID}.")
    if not isinstance(entry.get(MODEL_ID), str):
        raise CorruptObject(f"{source} has {MODEL_ID} {str(entry.get(MODEL_ID))[:80]!r}; expected the id of a model.")
    for name in _TEXTS:
        if not isinstance(entry.get(name), str | None):
            raise CorruptObject(f"{source} has {name} {str(entry[name])[:80]!r}; expected text.")
    return ChampionTerm(entry[MODEL_ID], **{name: entry.get(name) for name in _TEXTS})
