"""Choose the columns of a reviews file that hold the user, the item, the rating and the timestamp, by their names."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from reviews.unfit import Unfit
from schema.errors import InvalidInput
from schema.understood import Part

ROLES = ("user", "item", "rating", "timestamp")

# Spelt without case, blanks, '_', '-', '.' and RecBole's ':token'. Names of one line have equal right; those of an
# earlier line are preferred: the 2023 release's parent_asin names the product, its asin one colour or size of it.
SYNONYMS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "user": (
        (
            *("reviewerid", "userid", "customerid", "visitorid", "memberid"),
            *("accountid", "clientid", "buyerid", "useridx"),
        ),
        ("user", "uid", "customer", "reviewer", "visitor", "member"),
        ("username", "userguid", "customerguid", "profilename"),
    ),
    "item": (
        ("parentasin",),
        ("asin",),
        (
            *("itemid", "productid", "movieid", "businessid", "bookid", "isbn", "artistid", "appid", "gameid"),
            *("animeid", "articleid", "songid", "trackid", "videoid", "recipeid", "filmid", "courseid", "hotelid"),
            *("restaurantid", "venueid", "jokeid", "listingid", "goodsid", "sku", "itemidx"),
        ),
        ("item", "iid", "product", "movie", "book", "artist", "game", "song", "business"),
        ("gametitle", "artistname"),
    ),
    "rating": (
        ("overall",),
        ("rating", "starrating", "bookrating", "reviewrating", "userrating"),
        ("stars", "score", "ratings", "rate", "reviewscore", "reviewoverall"),
        ("weight", "plays", "playcount", "listencount"),
    ),
    "timestamp": (
        ("unixreviewtime", "timestamp", "unixtime", "unixtimestamp"),
        ("time", "ts", "datetime", "eventtime", "reviewtimestamp"),
        ("reviewdate", "date", "createdat", "tdat"),
    ),
}
HOW_TO_NAME = "Name them with --columns user=…,item=…[,rating=…][,timestamp=…]"

_NUMBER = re.compile(r"\s*([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity))\s*", re.IGNORECASE)
_MAX_SHOWN_CHARACTERS = 400


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
        lacking = ",".join(f"{role}=…" for role in missing)
        raise InvalidInput(
            f"--columns {text!r} names no {' and no '.join(missing)}; both are needed, since what it does not name is "
            f"not read. Write all that is to be read: --columns {lacking},{text}"
        )
    return wanted


def normalise(name: str) -> str:
    """Return a column name as synonyms are spelt.

    Example:
        >>> normalise("User-ID"), normalise("user_id:token"), normalise("rating (1-5)")
        ('userid', 'userid', 'rating')
    """
    bare = re.sub(r"(?<=\w)\s*[(\[].*", "", name)
    return re.sub(r"[\s_.-]", "", bare.rpartition(":")[0] or bare).lower()


def find_roles(names: Sequence[str]) -> dict[str, list[str]]:
    """Return role -> the names that have equal and best right to it; roles without one are left out.

    Example:
        >>> find_roles(["asin", "parent_asin", "user_id", "userId"])
        {'user': ['user_id', 'userId'], 'item': ['parent_asin']}
    """
    found: dict[str, list[str]] = {}
    for role in ROLES:
        ranked = ([name for name in names if normalise(name) in equals] for equals in SYNONYMS[role])
        if best := next(filter(None, ranked), []):
            found[role] = best
    return found


def has_user_and_item(names: Sequence[str]) -> bool:
    """Return whether a user and an item are among the names."""
    return find_roles(names).keys() >= {"user", "item"}


def choose_by_name(names: Sequence[str], wanted: Mapping[str, str] | None) -> dict[str, str]:
    """Return role -> name out of the names a file has.

    Args:
        names: Field or header names as found.
        wanted: What `--columns` asks for; then nothing else is read.

    Raises:
        InvalidInput: When a wanted name, or any user or item, is not among them, or two have equal right to a role.
    """
    if wanted is not None:
        if missing := [f"{role}={name}" for role, name in wanted.items() if names.count(name) != 1]:
            raise Unfit(
                f"lacks, or has twice, the column(s) {', '.join(missing)}; found {show(names)}. "
                f"{HOW_TO_NAME} after the names found."
            )
        return dict(wanted)
    found = find_roles(names)
    if lacking := [role for role in ("user", "item") if role not in found]:
        raise Unfit(
            f"has no column known to hold the {' or the '.join(lacking)}; found {show(names)}. "
            f"{HOW_TO_NAME}, by the names found or by 1-based numbers where there is no header."
        )
    if twice := {role: equals for role, equals in found.items() if len(equals) > 1}:
        role, equals = next(iter(twice.items()))
        raise Unfit(
            f"has {len(equals)} columns that may hold the {role}: {', '.join(map(repr, equals))}; "
            f"expected one. {HOW_TO_NAME}; found {show(names)}."
        )
    return {role: equals[0] for role, equals in found.items()}


def leave_out_rare(counts: Mapping[str, int], n_records: int) -> list[str]:
    """Return names without those that few records have and that would take a role from one that most have.

    Example:
        >>> leave_out_rare({"username": 9, "user_id": 2, "stars": 3}, 9)
        ['username', 'stars']
    """
    common = [name for name, n in counts.items() if n * 2 >= n_records]
    taken = {name for role in find_roles(common) for equals in SYNONYMS[role] for name in equals}
    return [name for name in counts if name in common or normalise(name) not in taken]


def count_on(ids: Sequence[str]) -> bool:
    """Return whether ids are the numbers of rows: each one more than the one before, nearly all.

    Example:
        >>> count_on(["0", "1", "2", "3"]), count_on(["1", "1", "2", "2"])
        (True, False)
    """
    numbers = [int(text) for text in map(str.strip, ids) if text.isdecimal()]
    n_steps = sum(after - before == 1 for before, after in pairwise(numbers))
    return len(ids) > 2 and n_steps >= 0.9 * (len(ids) - 1)


def parts_of_roles(
    roles: Mapping[str, str], why: str, doubt: str = "", of_time: str = "", *, is_set: bool
) -> tuple[Part, ...]:
    """Return the decision on each role, those that a file has not included; a doubt is one of the user's column.

    What is doubted of the time is that there is none.
    """
    doubts = {"user": doubt, "timestamp": of_time}
    parts = [Part(role, name, why, "--columns", is_set, doubts.get(role, "")) for role, name in roles.items()]
    absent = "not named" if is_set else "no column is known to hold it"
    parts += [
        Part(role, "none", absent, "--columns", is_set, doubts.get(role, "")) for role in ROLES if role not in roles
    ]
    return tuple(parts)


def is_number(text: str) -> bool:
    """Return whether the text is a decimal number, 'nan' or 'inf', spaces around it allowed."""
    return _NUMBER.fullmatch(text) is not None


def show(values: Sequence[str]) -> str:
    """Return values as a list for a message, cut off where it is long."""
    text = str(list(values))
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"
