"""Dialects of tables of reviews, drawn at random: what separates, encloses, ends, encodes and packs what is written."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

ROLES = ("user", "item", "rating", "timestamp")
HEADERS: tuple[Mapping[str, str], ...] = tuple(
    dict(zip(ROLES, names.split(","), strict=True))
    for names in (
        "user_id,item_id,rating,timestamp",
        "reviewerID,asin,overall,unixReviewTime",
        "customer_id,product_id,star_rating,review_date",
        "userId,movieId,rating,timestamp",
        "user_id,business_id,stars,date",
        "user_id,book_id,rating,timestamp",
        "User-ID,ISBN,Book-Rating,time",
        "userID,artistID,weight,timestamp",
        "visitorid,itemid,rating,timestamp",
        "user_id:token,item_id:token,rating:float,timestamp:float",
        "user_id,parent_asin,rating,timestamp",
        "USER ID,Item_Id,Score,Time",
    )
)
UNKNOWN = dict(zip(ROLES, ("reader", "volume", "liking", "moment"), strict=True))
PACKINGS = ("gzip", "members", "zip", "zstd", "bz2", "xz")
TOLD_ENCODINGS = ("windows-1251", "shift_jis")  # which no evidence tells from others
TEXT_KINDS = ("json", "json-array", "json-over-lines", "loose-json")


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes:
        kind: delimited, json, json-array, json-over-lines, loose-json or parquet.
        ids: amazon, words, digits or spoken (u12 and i7).
        header: known, unknown or none.
        times: s, ms, us, ns, fraction, date, blank, T, Z or offset; empty where there are none.
        ratings: whole, point, half or ten; empty where there are none.
        text: plain, awkward (quotes, and delimiters where they can be) or lines (over several); empty for no text.
        order: Columns as they stand: roles, and names of others.
        blanks: before or after values; empty for none.
        is_named: Whether the reader is told the columns.
        is_told: Whether the reader is told all that can be told.
    """

    kind: str = "delimited"
    delimiter: str = ","
    quoting: str = "minimal"
    line_end: str = "\n"
    encoding: str = "utf-8"
    packing: str = ""
    ids: str = "words"
    header: str = "known"
    names: Mapping[str, str] = field(default_factory=lambda: HEADERS[0])
    preamble: tuple[str, ...] = ()
    decimal: str = "."
    times: str = "s"
    ratings: str = "whole"
    text: str = ""
    order: tuple[str, ...] = ROLES
    blanks: str = ""
    writer: str = "csv"
    has_last_end: bool = True
    is_named: bool = False
    is_told: bool = False

    @property
    def is_unmistakable(self) -> bool:
        """Whether nobody could read the table in two ways, so that to refuse it would be a fault."""
        if self.header == "none" and not self.is_named:
            return self.ids == "amazon" and set(self.order) <= set(ROLES)
        return self.is_named or self.header == "known"


def draw_dialect(rng: random.Random) -> Dialect:
    """Draw a dialect that can hold any of the tables that are written in it."""
    kind = rng.choices(("delimited", *TEXT_KINDS, "parquet"), (76, 9, 4, 3, 4, 4))[0]
    drawn = _draw_delimited(rng) if kind == "delimited" else _draw_other(kind, rng)
    odds = {"known": 0.05, "unknown": 0.7, "none": 0.3}[drawn.header]
    drawn = replace(drawn, is_named=rng.random() < odds)
    drawn = replace(drawn, is_told=drawn.is_named and rng.random() < 0.5)
    return replace(drawn, order=_draw_order(drawn, rng))


def _draw_content(rng: random.Random) -> dict[str, str]:
    return {
        "ids": rng.choice(("amazon", "words", "digits", "spoken")),
        "times": rng.choice(("s", "s", "s", "ms", "us", "ns", "fraction", "date", "blank", "T", "Z", "offset", "")),
        "ratings": rng.choice(("whole", "whole", "point", "half", "ten", "")),
        "text": rng.choice(("", "", "plain", "awkward", "awkward", "lines")),
    }


def _draw_delimited(rng: random.Random) -> Dialect:
    drawn = Dialect(
        delimiter=rng.choice((",", ",", ",", "\t", "\t", ";", ";", "|", "::", " ")),
        quoting=rng.choice(("minimal", "minimal", "all", "text", "none")),
        line_end=rng.choice(("\n", "\n", "\n", "\r\n", "\r\n", "\r")),
        encoding=rng.choices(
            ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "latin-1", "windows-1252"),
            (50, 12, 6, 3, 3, 2, 9, 9),
        )[0],
        packing=rng.choice(("", "", "", *PACKINGS)),
        header=rng.choices(("known", "unknown", "none"), (65, 10, 25))[0],
        names=rng.choice(HEADERS),
        blanks=rng.choice(("", "", "", "", "before", "after")),
        has_last_end=rng.random() < 0.8,
        **_draw_content(rng),
    )
    if drawn.header == "unknown":
        drawn = replace(drawn, names=UNKNOWN)
    if rng.random() < 0.06:
        drawn = replace(drawn, encoding=rng.choice(TOLD_ENCODINGS))
    drawn = _fit_text(drawn)
    if drawn.delimiter != "," and rng.random() < 0.25:
        drawn = replace(drawn, decimal=",")
    if drawn.quoting != "none" and rng.random() < 0.4:
        drawn = replace(drawn, writer="pandas")
    if drawn.header != "none" and rng.random() < 0.2:
        drawn = replace(drawn, preamble=_draw_preamble(drawn.delimiter, rng))
    return drawn


def _fit_text(drawn: Dialect) -> Dialect:
    """Return the dialect without what could not be written in it and read again."""
    if drawn.delimiter in ("::", " "):
        text = "plain" if drawn.text and drawn.delimiter == "::" else ""
        times = "T" if drawn.times == "blank" else drawn.times
        names = HEADERS[0] if drawn.header == "known" else drawn.names
        return replace(drawn, quoting="none", blanks="", text=text, times=times, names=names)
    if drawn.quoting == "none" and drawn.text == "lines":
        drawn = replace(drawn, text="awkward")
    return replace(drawn, blanks="" if drawn.quoting != "none" and drawn.text else drawn.blanks)


def _draw_other(kind: str, rng: random.Random) -> Dialect:
    header = rng.choices(("known", "unknown"), (9, 1))[0]
    drawn = Dialect(
        kind=kind, header=header, names=UNKNOWN if header == "unknown" else rng.choice(HEADERS), **_draw_content(rng)
    )
    if kind == "parquet":
        return drawn
    return replace(
        drawn,
        encoding=rng.choices(("utf-8", "utf-8-sig", "utf-16"), (8, 2, 1))[0],
        packing=rng.choice(("", "", "", *PACKINGS)),
        has_last_end=rng.random() < 0.8,
        line_end=rng.choice(("\n", "\n", "\r\n")),
    )


def _draw_preamble(delimiter: str, rng: random.Random) -> tuple[str, ...]:
    lines = ("# made up", "% ratings of 2015", "// exported", "Ratings of our shop", "", "#")
    first = [f"sep={delimiter}"] if len(delimiter) == 1 and delimiter != " " and rng.random() < 0.4 else []
    return tuple(first or rng.sample(lines, rng.choice((1, 1, 2))))


def _draw_order(drawn: Dialect, rng: random.Random) -> tuple[str, ...]:
    roles = ["user", "item", *(["rating"] if drawn.ratings else []), *(["timestamp"] if drawn.times else [])]
    if drawn.header == "none" and not drawn.is_named and rng.random() < 0.8:
        is_movielens = drawn.ids in ("words", "digits") and drawn.delimiter in ("\t", "::", " ")
        return tuple(roles if is_movielens or rng.random() < 0.5 else [roles[1], roles[0], *roles[2:]])
    others = ["title"] if drawn.text else []
    if drawn.header == "none" and not drawn.is_named:  # a number more would be a rating
        return (*roles, *others)
    order = [*roles, *others, *(["votes"] if rng.random() < 0.25 else [])]
    rng.shuffle(order)
    return tuple(order)
