"""The pointer to the model that serves; the one object that is ever replaced."""

from collections.abc import Mapping

from storage import canonical, layout
from storage.errors import CorruptObject, ObjectNotFound
from storage.protocol import ObjectInfo, Store

MODEL_ID = "model_id"


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
    if record is None:
        return None
    named = record.get(MODEL_ID)
    if not isinstance(named, str):
        raise CorruptObject(
            f"{store.locate(layout.CHAMPION)} has {MODEL_ID} {str(named)[:80]!r}; expected the id of a model."
        )
    return named


def replace_champion(store: Store, record: Mapping[str, object], expected_version: str | None) -> ObjectInfo:
    """Make the record the champion's, if the pointer still has the expected version (None: if there is none).

    Raises:
        VersionConflict: If someone else replaced it in the meantime.
    """
    return store.replace(layout.CHAMPION, canonical.encode(dict(record), indent=2), expected_version)
