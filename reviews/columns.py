"""Choose the columns of a reviews file that hold the user, the item, the rating and the timestamp."""

import re
from collections.abc import Mapping, Sequence

from schema.errors import InvalidInput

ROLES = ("user", "item", "rating", "timestamp")

# Spelt without case, spaces, '_' and '-'. The first that a file has is taken: the 2023 release's
# parent_asin names the product, its asin only one colour or size of it.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user": ("reviewerid", "userid", "user", "uid", "customerid", "customer"),
    "item": ("parentasin", "asin", "itemid", "item", "iid", "productid", "product", "movieid", "businessid"),
    "rating": ("overall", "rating", "ratings", "stars", "starrating", "score"),
    "timestamp": ("unixreviewtime", "timestamp", "unixtime", "time", "ts"),
}
HOW_TO_NAME = "Name them with --columns user=…,item=…[,rating=…][,timestamp=…]"

_AMAZON_USER = re.compile(r"A[A-Z0-9]{9,}")
_AMAZON_ITEM = re.compile(r"B[A-Z0-9]{9}|[0-9X]{10}")
_NUMBER = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity))\s*", re.IGNORECASE)
_MAX_SHOWN_CHARACTERS = 400
_EARLIEST_TIMESTAMP = 1e8  # 1973: above any rating, below any review


def parse_columns(text: str) -> dict[str, str]:
    """Return role -> column as the setting `--columns` gives them.

    Raises:
        InvalidInput: For an unknown role, a role given twice, or no user or item.

    Example:
        >>> parse_columns("user=UserId, item=ASIN")
        {'user': 'UserId', 'item': 'ASIN'}
    """
    wanted: dict[str, str] = {}
    for part in text.split(","):
        role, _, column = (piece.strip() for piece in part.partition("="))
        if role not in ROLES or not column or role in wanted or column in wanted.values():
            raise InvalidInput(
                f"--columns has the part {part.strip()!r} in {text!r}; expected each of {', '.join(ROLES)} "
                f"at most once, each with a column of its own, as in user=reviewerID,item=asin,rating=overall."
            )
        wanted[role] = column
    if missing := [role for role in ("user", "item") if role not in wanted]:
        raise InvalidInput(f"--columns {text!r} names no {' and no '.join(missing)}; both are needed.")
    return wanted


def normalise(name: str) -> str:
    """Return a column name without case, spaces, underscores and hyphens."""
    return re.sub(r"[\s_-]", "", name).lower()


def match_names(names: Sequence[str]) -> dict[str, str]:
    """Return role -> name for the names that are known synonyms; roles without one are left out."""
    spelt = {normalise(name): name for name in reversed(names)}
    known = {role: next((spelt[s] for s in SYNONYMS[role] if s in spelt), None) for role in ROLES}
    return {role: name for role, name in known.items() if name is not None}


def choose_by_name(names: Sequence[str], wanted: Mapping[str, str] | None, source: str) -> dict[str, str]:
    """Return role -> name out of the names a file has.

    Args:
        names: Field or header names as found.
        wanted: What `--columns` asks for; then nothing else is read.
        source: The file, for messages.

    Raises:
        InvalidInput: When a wanted name, or any user or item, is not among them.
    """
    chosen = dict(wanted) if wanted is not None else match_names(names)
    missing = [f"{role}={name}" for role, name in chosen.items() if names.count(name) != 1]
    if wanted is not None and missing:
        raise InvalidInput(
            f"{source} lacks, or has twice, the column(s) {', '.join(missing)}; found {_shown(names)}. "
            f"{HOW_TO_NAME} after the names found."
        )
    if lacking := [role for role in ("user", "item") if role not in chosen]:
        raise InvalidInput(
            f"{source} has no column known to hold the {' or the '.join(lacking)}; found {_shown(names)}. "
            f"{HOW_TO_NAME}, by the names found or by 1-based numbers where there is no header."
        )
    return chosen


def choose_by_position(rows: Sequence[Sequence[str]], delimiter: str, source: str) -> dict[str, str]:
    """Return role -> 1-based column number for a file without a header, by what its columns hold.

    Two to four columns are understood: two ids, then a rating, a timestamp or both. With commas and four
    columns the item is taken to come first (SNAP's `item,user,rating,timestamp`), else the user (MovieLens);
    ids in Amazon's form (users A…, items B… or ten digits) overrule that.

    Raises:
        InvalidInput: When the columns are more, fewer or not of that kind.
    """
    width = len(rows[0])
    tail = _roles_of_numbers([[row[i] for row in rows] for i in range(2, width)])
    if not 2 <= width <= 4 or tail is None:
        raise InvalidInput(
            f"{source} has no header and {width} columns, the first row being {_shown(rows[0])}; expected "
            f"a header with known names, or user, item, rating and timestamp. {HOW_TO_NAME}, by 1-based numbers."
        )
    default = ("item", "user") if delimiter == "," and width == 4 else ("user", "item")
    order = _order_of_amazon_ids(rows) or default
    return {role: str(i) for i, role in enumerate((*order, *tail), start=1)}


def is_number(text: str) -> bool:
    """Return whether the text is a decimal number, 'nan' or 'inf', spaces around it allowed."""
    return _NUMBER.fullmatch(text) is not None


def _shown(values: Sequence[str]) -> str:
    text = str(list(values))
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"


def _roles_of_numbers(columns: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """Return the roles of the columns behind the ids, or None where they are not what is expected."""
    if any(sum(map(is_number, column)) * 2 <= len(column) for column in columns):
        return None
    if len(columns) != 1:
        return ("rating", "timestamp")[: len(columns)]
    n_late = sum(is_number(value) and float(value) > _EARLIEST_TIMESTAMP for value in columns[0])
    return ("timestamp",) if n_late * 2 > len(columns[0]) else ("rating",)


def _order_of_amazon_ids(rows: Sequence[Sequence[str]]) -> tuple[str, str] | None:
    def votes(user: int, item: int) -> int:
        return sum(bool(_AMAZON_USER.fullmatch(r[user]) and _AMAZON_ITEM.fullmatch(r[item])) for r in rows)

    if votes(0, 1) * 2 > len(rows):
        return ("user", "item")
    if votes(1, 0) * 2 > len(rows):
        return ("item", "user")
    return None
