"""Tell lines of other kinds, such as headers, separators and comments, from reviews by their ids alone."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reviews.columns import SYNONYMS, find_roles, has_user_and_item
from reviews.formats import Format
from schema.errors import InvalidInput

_MARK = "\ufeff"
_COMMENT = re.compile(r"(#|%|//)+(\s|$)")
_NAMES = "|".join(r"[\s_.-]*".join(name) for role in ("user", "item") for equals in SYNONYMS[role] for name in equals)
_SUSPECT = rf"^[^\p{{L}}\p{{N}}]*(?:$|(?i:{_NAMES})[^\p{{L}}\p{{N}}]*(?:[:(\[].*)?$)|^(?:#|%|//)+(?:\s|$)"


def why_no_review(user: str, item: str, file_format: Format) -> str | None:
    """Return what a row is by its ids, if it is no review.

    Raises:
        InvalidInput: It is a header that has user and item the other way round than the file.

    Example:
        >>> [why_no_review(*ids, Format("json", {})) for ids in (("---", "---"), ("User-ID", "ISBN"), ("u1", "---"))]
        ['a line between rows', 'the header again', None]
    """
    names = [one.strip(f"{_MARK}\"' ") for one in (user, item)]
    labels = [file_format.labels.get(role) for role in ("user", "item")]
    if has_user_and_item(names) or [one.casefold() for one in names] == labels:
        if "item" in find_roles(names[:1]):
            raise InvalidInput(
                f"A line of the file names its columns in another order, {names[0]!r} where users are expected and "
                f"{names[1]!r} where items are: rows behind it would be read the wrong way round. Split the file there."
            )
        return "the header again"
    if user and item and not any(map(str.isalnum, user + item)):
        return "a line between rows"
    first = {"user": user, "item": item}[_first_role(file_format)]
    return "a comment" if file_format.kind == "delimited" and _COMMENT.match(first) else None


def _first_role(file_format: Format) -> str:
    """Return the user, or the item where that stands in the first column."""
    is_item = file_format.kind == "delimited" and file_format.position("item") == 0
    return "item" if is_item else "user"


def find_other_lines(
    users: pa.ChunkedArray, items: pa.ChunkedArray, file_format: Format, is_doubtful: pa.ChunkedArray | None
) -> list[pa.ChunkedArray]:
    """Return what the rows are that are no reviews, null for others; nothing where there are none.

    Args:
        users: Their user ids.
        items: Their item ids.
        file_format: How the file is read.
        is_doubtful: Rows that may be no reviews; None where all may.
    """
    first = _first_role(file_format)
    label = re.escape(file_format.labels.get(first, ""))
    pattern = rf"{_SUSPECT}|^{_MARK}?(?i:{label})$" if label else _SUSPECT
    is_suspect = pc.match_substring_regex({"user": users, "item": items}[first], pattern)
    if is_doubtful is not None:
        is_suspect = pc.and_(is_suspect, is_doubtful)
    places = np.flatnonzero(pc.fill_null(is_suspect, fill_value=False).to_numpy())
    reasons = np.full(len(users), None, dtype=object)
    for place in places.tolist():
        user, item = (ids[place].as_py() or "" for ids in (users, items))
        reasons[place] = why_no_review(user, item, file_format)
    return [pa.chunked_array([pa.array(reasons, pa.string())])] if len(places) else []
