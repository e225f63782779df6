"""The keys of everything in the store, and the check of a key; no other module spells a key."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from schema.errors import InvalidKey

RAW: Final = "raw"
REVIEWS_KIND: Final = "reviews"
DRIFTS: Final = "drifts"
EXPLORATIONS: Final = "explorations"
DATASETS: Final = "datasets"
SPLITS: Final = "splits"
FITS: Final = "fits"
SCORES: Final = "scores"
SEARCHES: Final = "searches"
MODELS: Final = "models"
EVALUATIONS: Final = "evaluations"
RECOMMENDATIONS: Final = "recommendations"
PROMOTIONS: Final = "promotions"
REPORTS: Final = "reports"
BUNDLES: Final = "bundles"
KINDS: Final = (
    RAW,
    REVIEWS_KIND,
    DRIFTS,
    EXPLORATIONS,
    DATASETS,
    SPLITS,
    FITS,
    SCORES,
    SEARCHES,
    MODELS,
    EVALUATIONS,
    RECOMMENDATIONS,
    PROMOTIONS,
    REPORTS,
    BUNDLES,
)

# Which kind of artifact each role among a manifest's inputs names.
INPUT_KINDS: Final[Mapping[str, str]] = {
    "raw": RAW,
    "events": RAW,
    "products": RAW,
    "train_file": RAW,
    "validation_file": RAW,
    "test_file": RAW,
    "lists": RAW,
    "reviews": REVIEWS_KIND,
    "before": REVIEWS_KIND,
    "exploration": EXPLORATIONS,
    "dataset": DATASETS,
    "split": SPLITS,
    "fit": FITS,
    "test": SCORES,
    "model": MODELS,
    "challenger": MODELS,
    "champion": MODELS,
    "evaluation": EVALUATIONS,
    "recommendations": RECOMMENDATIONS,
}

CHAMPION: Final = "champion.json"
SCENARIOS: Final = "scenarios"
EVENTS: Final = "events"
IMPRESSIONS: Final = "impressions"
KEPT: Final = (SCENARIOS, EVENTS, IMPRESSIONS)
"""Folders of objects that no manifest names and that are no garbage."""
MANIFEST: Final = "manifest.json"

REVIEWS: Final = "reviews.parquet"
QUARANTINE: Final = "quarantine.parquet"
READING: Final = "reading.json"
DRIFT: Final = "drift.json"
EXPLORATION: Final = "exploration.json"
INTERACTIONS: Final = "interactions.parquet"
USER_MAP: Final = "user_map.parquet"
ITEM_MAP: Final = "item_map.parquet"
POPULAR_ITEMS: Final = "popular_items.parquet"
TRAIN: Final = "train.parquet"
VALIDATION: Final = "validation.parquet"
TEST: Final = "test.parquet"
OUTSIDE_CORE: Final = "outside_core.parquet"
ATTRIBUTES: Final = "attributes.parquet"
USER_IDS: Final = "factors/user_ids.parquet"
ITEM_IDS: Final = "factors/item_ids.parquet"
SEARCH: Final = "search.json"
METADATA: Final = "metadata.json"
METRICS: Final = "metrics.json"
REPORT: Final = "report.html"
RESULT: Final = "result.txt"
DECISION: Final = "decision.json"
K_CORE: Final = "k_core.json"
LISTS: Final = "lists"
SERVED: Final = "served"
USERS: Final = "users.parquet"
RANKED: Final = "ranked.npy"

MAX_KEY_BYTES = 900
MAX_SEGMENT_BYTES = 255

_SEGMENT = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*")
_FILE_SET = re.compile(r"^set-[0-9a-f]{16}/")


def artifact_prefix(kind: str, artifact_id: str) -> str:
    """Return the folder of one artifact.

    Raises:
        InvalidKey: If the kind is unknown or the id is not one segment of a key.

    Example:
        >>> artifact_prefix("datasets", "1f3a")
        'datasets/1f3a'
    """
    if kind not in KINDS:
        raise InvalidKey(f"artifact kind {kind!r} is unknown; expected one of {', '.join(KINDS)}.")
    if "/" in artifact_id:
        raise InvalidKey(f"artifact id {artifact_id!r} contains '/'; expected a digest such as '1f3a…'.")
    return check_key(f"{kind}/{artifact_id}")


def manifest_key(kind: str, artifact_id: str) -> str:
    """Return the key of an artifact's manifest; without it the artifact does not exist.

    Example:
        >>> manifest_key("models", "1f3a")
        'models/1f3a/manifest.json'
    """
    return f"{artifact_prefix(kind, artifact_id)}/{MANIFEST}"


class Place(NamedTuple):
    """The place of an object: its artifact's kind and id, and the path within the artifact."""

    kind: str
    id: str
    path: str


def place_of(key: str) -> Place | None:
    """Return the place of an object of an artifact, or None for a key that belongs to none.

    Example:
        >>> place_of("models/1f3a/als_model/metadata")
        Place(kind='models', id='1f3a', path='als_model/metadata')
        >>> place_of("champion.json") is None
        True
    """
    kind, _, rest = key.partition("/")
    artifact_id, _, path = rest.partition("/")
    return Place(kind, artifact_id, path) if kind in KINDS and path else None


def belonging_id(owner_id: str, artifact_id: str) -> str:
    """Return the id of an artifact that belongs to another: the other's, and the first digits of its own.

    Example:
        >>> belonging_id("1f3a", "0123456789abcdef")
        '1f3a-01234567'
    """
    return f"{owner_id}-{artifact_id[:8]}"


def bundle_prefix(model_id: str) -> str:
    """Return the beginning of the keys of all bundles of a model, and of no other's.

    Example:
        >>> bundle_prefix("1f3a")
        'bundles/1f3a-'
    """
    return belonging_id(artifact_prefix(BUNDLES, model_id), "")


def scenario_key(name: str) -> str:
    """Return the key of a scenario of the API.

    Raises:
        InvalidKey: If the name is not one segment of a key.

    Example:
        >>> scenario_key("home")
        'scenarios/home.json'
    """
    if "/" in name:
        raise InvalidKey(f"scenario {name[:80]!r} contains '/'; expected a name such as 'home'.")
    return check_key(f"{SCENARIOS}/{name}.json")


def file_set_path(set_digest: str, name: str) -> str:
    """Return the path, within an artifact, of a file in the folder of its own set.

    Example:
        >>> file_set_path("0123456789abcdef", "train.parquet")
        'set-0123456789abcdef/train.parquet'
    """
    return f"set-{set_digest}/{name}"


def logical_name(path: str) -> str:
    """Return the name of a file within an artifact, without the folder of its set if it is in one.

    Example:
        >>> logical_name("set-0123456789abcdef/train.parquet"), logical_name("train.parquet")
        ('train.parquet', 'train.parquet')
    """
    return _FILE_SET.sub("", path)


def batch_key(stream: str, server_id: str, number: int, digest: str) -> str:
    """Return the key of a batch that a server shipped: gzipped JSON lines.

    Example:
        >>> batch_key("events", "07c1a1f3a2b4c5d6", 12, "0123456789abcdef")
        'events/07c1a1f3a2b4c5d6/000000012-0123456789abcdef.jsonl.gz'
    """
    return check_key(f"{stream}/{server_id}/{number:09d}-{digest}.jsonl.gz")


def check_key(key: str) -> str:
    """Return the key unchanged when every backend can hold it.

    Raises:
        InvalidKey: If it is not segments of `[A-Za-z0-9._=+-]` joined by '/', has an empty segment or one
            that starts with a dot, or is longer than 900 bytes (255 in one segment).

    Example:
        >>> check_key("datasets/1f3a/reviews.parquet")
        'datasets/1f3a/reviews.parquet'
    """
    if len(key) > MAX_KEY_BYTES:
        raise InvalidKey(f"key {key[:60]!r}… has {len(key)} characters; use at most {MAX_KEY_BYTES}.")
    for segment in key.split("/"):
        if not _SEGMENT.fullmatch(segment) or len(segment) > MAX_SEGMENT_BYTES:
            raise InvalidKey(
                f"key {key!r} has the segment {segment!r}; expected 1 to {MAX_SEGMENT_BYTES} of the "
                "characters A-Z a-z 0-9 . _ = + - without a leading dot. Rename it."
            )
    return key


def check_prefix(prefix: str) -> str:
    """Return the prefix unchanged when it can be the beginning of a key: '', 'datasets', 'datasets/', ….

    Raises:
        InvalidKey: If no key can begin like that.
    """
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def is_key(key: str) -> bool:
    """Tell whether every backend can hold the key; other programs' objects may have names that are none."""
    try:
        check_key(key)
    except InvalidKey:
        return False
    return True
