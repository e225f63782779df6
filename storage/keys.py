"""What may be a key, the same on every backend."""

import re

from schema.errors import InvalidKey

MAX_KEY_BYTES = 900
MAX_SEGMENT_BYTES = 255

_SEGMENT = re.compile(r"[A-Za-z0-9_=+-][A-Za-z0-9._=+-]*")


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
