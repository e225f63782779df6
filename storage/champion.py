"""The pointer to the model that serves, with those that served before it; the one object that is ever replaced.

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


@dataclass(frozen=True)
class ChampionTerm:
    """The term of a model as the champion.

    Attributes:
        model_id: The model.
        promoted_at: When, ISO 8601 in UTC; None where an older record does not say.
        reason: Why, for people.
        promotion: Id of the comparison that it won; None where none was made, as for a rollback.
    """

    model_id: str
    promoted_at: str | None = None
    reason: str | None = None
    promotion: str | None = None


class ChampionHistory(NamedTuple):
    """The champions, and the version of the pointer that they were read from.

    Attributes:
        terms: The one that serves first; empty if there is none.
        version: Version of the pointer, which `promote` expects; None if there is none.
    """

    terms: tuple[ChampionTerm, ...]
    version: str | None

    @property
    def champion_id(self) -> str | None:
        """The model that serves."""
        return self.terms[0].model_id if self.terms else None


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
    return None if record is None else _model_id(record, store.locate(layout.CHAMPION))


def read_history(store: Store) -> ChampionHistory:
    """Return the champions, the one that serves first, and the version of the pointer.

    Raises:
        CorruptObject: If the record or an entry of its history is not as this module writes it.
    """
    record, version = read_champion(store)
    terms = [] if record is None else parse_history(record, store.locate(layout.CHAMPION))
    return ChampionHistory(tuple(terms), version)


def parse_history(record: Mapping[str, object], source: str) -> list[ChampionTerm]:
    """Return the champions of a record, the one that serves first; a record without a history has that one alone.

    Raises:
        CorruptObject: If the record names no model, or its history is no list of terms that begins with it.
    """
    model_id = _model_id(record, source)
    if HISTORY not in record:
        return [_term(record, source)]
    listed = record[HISTORY]
    if not isinstance(listed, list):
        raise CorruptObject(f"{source} has {HISTORY} {str(listed)[:80]!r}; expected a list, the newest entry first.")
    history = [_term(entry, f"{source}: {HISTORY}[{place}]") for place, entry in enumerate(listed)]
    if not history or history[0].model_id != model_id:
        first = history[0].model_id if history else None
        raise CorruptObject(f"{source} names {model_id[:80]!r} and its {HISTORY} {first!r} first; expected the same.")
    return history


def predecessors(history: Sequence[ChampionTerm]) -> list[str]:
    """Return the models to go back to, the nearest first: those that served before, less those that were left.

    A rollback (an entry without a promotion, to a model that served before) takes away what came after that model,
    so that a second rollback goes further back and never forth again to what was abandoned.

    Args:
        history: The newest first.

    Example:
        >>> one, two, three = (ChampionTerm(name, promotion="p") for name in ("one", "two", "three"))
        >>> predecessors([three, two, one])
        ['two', 'one']
        >>> predecessors([ChampionTerm("two"), three, two, one])
        ['one']
    """
    line: list[str] = []
    for entry in reversed(history):
        if entry.promotion is None and entry.model_id in line:
            while line[-1] != entry.model_id:
                line.pop()
        else:
            line.append(entry.model_id)
    return line[-2::-1]


def promote(store: Store, term: ChampionTerm, history: ChampionHistory) -> Mapping[str, object]:
    """Make a model the champion, if the pointer still has the version with which the history was read.

    Args:
        store: Where the pointer is.
        term: The model, and why.
        history: The champions until now.

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
            raise VersionConflict(_say_who_won(store, term)) from error
    return record


def replace_champion(store: Store, record: Mapping[str, object], expected_version: str | None) -> ObjectInfo:
    """Make the record the champion's, if the pointer still has the expected version (None: if there is none).

    Raises:
        VersionConflict: If someone else replaced it in the meantime.
    """
    return store.replace(layout.CHAMPION, canonical.encode(dict(record), indent=2), expected_version)


def _say_who_won(store: Store, term: ChampionTerm) -> str:
    winners = read_history(store).terms
    if term in winners:
        won = winners[winners.index(term) - 1]
        return (
            f"models/{term.model_id} became the champion, and serves no more: models/{won.model_id} took its "
            f"place in the same moment ({won.promoted_at}: {won.reason}). Run the same command again to compare both."
        )
    if not winners:
        now = "the pointer was removed"
    else:
        won = winners[0]
        now = f"models/{won.model_id} became the champion ({won.promoted_at}: {won.reason})"
    return (
        f"models/{term.model_id} did not become the champion: while it was being decided, {now}. The decision was "
        "made against another champion than there is now: run the same command again."
    )


def _model_id(record: Mapping[str, object], source: str) -> str:
    named = record.get(MODEL_ID)
    if not isinstance(named, str):
        raise CorruptObject(f"{source} has {MODEL_ID} {str(named)[:80]!r}; expected the id of a model.")
    return named


def _term(entry: Any, source: str) -> ChampionTerm:
    if not isinstance(entry, dict):
        raise CorruptObject(f"{source} is {str(entry)[:80]!r}; expected an object with {MODEL_ID}.")
    for name in ("promoted_at", "reason", "promotion"):
        if not isinstance(entry.get(name), str | None):
            raise CorruptObject(f"{source} has {name} {str(entry[name])[:80]!r}; expected text.")
    return ChampionTerm(_model_id(entry, source), entry.get("promoted_at"), entry.get("reason"), entry.get("promotion"))
