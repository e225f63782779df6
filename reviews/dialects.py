"""Find how a delimited file is written, its delimiter and its quotes, from its first lines as a whole."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from reviews.cells import Record, blanks_for_tabs, read_cells
from reviews.columns import show
from reviews.time_forms import is_iso
from reviews.unfit import Unfit

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|", "colons": "::", "blank": " "}
_NAMES = {delimiter: name for name, delimiter in DELIMITERS.items()}
_DELIMITER_LINES = 2_000
_TYPED_RECORDS = 1_000
_MAX_RECORD_LINES = 1_000
_TYPED_SHARE = 0.9
_PLAIN = re.compile(r"[^\s,;|\"]+|[+-]?\d+,\d+")


@dataclass(frozen=True)
class Reading:
    """The sample as one dialect reads it.

    Attributes:
        delimiter: One character, "::", or " " for runs of blanks.
        quote: The character that may enclose a cell, behind a backslash where that escapes it within; empty where
            quotes are characters like others.
        records: Those that are not blank.
        width: The commonest number of cells; 0 where no record has two.
        n_lines: Lines of the records.
        n_bad_lines: Lines of the records of another width.
    """

    delimiter: str
    quote: str
    records: list[Record]
    width: int
    n_lines: int
    n_bad_lines: int

    @property
    def fit(self) -> float:
        """The share of lines whose record has the commonest width."""
        return 1 - self.n_bad_lines / self.n_lines if self.width else 0.0

    @property
    def rows(self) -> list[Record]:
        """The records of the commonest width."""
        return [one for one in self.records if len(one.cells) == self.width]

    @property
    def n_over_lines(self) -> int:
        """How many rows go over several lines."""
        return sum(one.last > one.first for one in self.rows)

    def cells_of(self, line: str) -> list[str]:
        """Return the cells of a line beside the records, such as a comment."""
        return next(read_cells([line], self.delimiter, self.quote)).cells


def name_of(delimiter: str) -> str:
    """Return a delimiter in a word, as 'comma'."""
    return _NAMES.get(delimiter, repr(delimiter))


def read_sample(lines: Sequence[str], n_skipped: int, delimiter: str, quote: str, *, is_cut: bool) -> Reading:
    """Return the reading of the sample's lines after the skipped ones.

    Args:
        lines: With their ends.
        n_skipped: Lines at the beginning that hold no record.
        delimiter: As in `read_cells`.
        quote: As in `read_cells`.
        is_cut: Whether the file goes on, so that the last record may be half of one.
    """
    read = list(read_cells(lines[n_skipped:], delimiter, quote, strict=True))
    kept = read[:-1] if is_cut and len(read) > 1 else read
    records = [
        Record(one.first + n_skipped, one.last + n_skipped, one.cells)
        for one in kept
        if len(one.cells) > 1 or one.first < one.last or lines[n_skipped + one.first - 1].strip()
    ]
    widths = Counter(len(one.cells) for one in records if len(one.cells) > 1)
    width = widths.most_common(1)[0][0] if widths else 0
    n_lines = sum(one.last - one.first + 1 for one in records)
    n_bad = sum(one.last - one.first + 1 for one in records if len(one.cells) != width)
    n_cut = read[-1].last - read[-1].first + 1 if len(kept) < len(read) else 0
    if n_cut > _MAX_RECORD_LINES:  # an open quote, not a record that is cut
        n_lines, n_bad = n_lines + n_cut, n_bad + n_cut
    return Reading(delimiter, quote, records, width, n_lines, n_bad)


def choose_quote(lines: Sequence[str], n_skipped: int, delimiter: str, *, is_cut: bool) -> Reading:
    """Return the reading by the better rule of quoting: RFC 4180's unless quotes as characters fit more lines."""
    plain = read_sample(lines, n_skipped, delimiter, "", is_cut=is_cut)
    has_quotes = any('"' in line for line in lines)
    quoted = read_sample(lines, n_skipped, delimiter, '"', is_cut=is_cut) if has_quotes else replace(plain, quote='"')
    if _wrapped_share(plain, "'") > _TYPED_SHARE and not _wrapped_share(plain, '"'):
        return read_sample(lines, n_skipped, delimiter, "'", is_cut=is_cut)
    begun = re.compile(rf'(?:^|{re.escape(delimiter)}) *"[^"]*\\"')  # by a quote, with another behind a backslash
    if quoted.n_bad_lines and any(begun.search(line) for line in lines):
        escaped = read_sample(lines, n_skipped, delimiter, '\\"', is_cut=is_cut)
        if escaped.width and escaped.n_bad_lines < quoted.n_bad_lines and escaped.n_bad_lines <= plain.n_bad_lines:
            return escaped
    is_wrapped = _wrapped_share(plain, '"') > _TYPED_SHARE and quoted.fit > 0
    if quoted.width and (quoted.n_bad_lines <= plain.n_bad_lines or is_wrapped):
        return quoted
    return plain


def require_one_quoting(reading: Reading, lines: Sequence[str], n_skipped: int) -> None:
    """Refuse a file whose quoted cells over several lines are rows as well, line by line, if quotes are characters.

    Raises:
        InvalidInput: When both readings fit; it shows them.
    """
    over = [one for one in reading.rows if one.last > one.first]
    if not over:
        return
    inside = {line for one in over for line in range(one.first, one.last + 1)}
    plain = read_sample(lines, n_skipped, reading.delimiter, "", is_cut=False)
    n_fitting = sum(one.first in inside for one in plain.rows) if plain.width == reading.width else 0
    if n_fitting > _TYPED_SHARE * len(inside) and _wrapped_share(plain, '"') <= _TYPED_SHARE:
        first = over[0]
        rows = [show(one.cells) for one in plain.rows if first.first <= one.first <= first.last]
        raise Unfit(
            f"can be read with two rules of quoting, equally well. From line {first.first} it has, by quotes "
            f"around cells, the row\n  {show(first.cells)}\nor, by quotes as characters, the rows\n  "
            + "\n  ".join(rows[:3])
            + "\nChoose with --quote '\"' or --quote none."
        )


def _wrapped_share(reading: Reading, quote: str) -> float:
    """Return the share of wrapped cells in the column that has most of them."""
    rows = reading.rows[:_TYPED_RECORDS]
    counts = [sum(len(c) > 1 and c[0] == c[-1] == quote for c in column) for column in _columns(rows)]
    return max(counts, default=0) / max(len(rows), 1)


def _columns(rows: Sequence[Record]) -> Iterator[tuple[str, ...]]:
    return zip(*(one.cells for one in rows), strict=True)


def choose_dialect(
    lines: Sequence[str],
    n_skipped: int,
    is_header: Callable[[Sequence[str]], bool],
    *,
    is_cut: bool,
    delimiter: str | None = None,
    quote: str | None = None,
) -> tuple[Reading, str]:
    """Return the sample as its dialect reads it, and the evidence for the delimiter.

    The delimiter is chosen by the first 2,000 lines: one by which they have a known header goes first; then that by
    which most lines have one width and most columns hold numbers, times or plain ids.

    Args:
        lines: With their ends.
        n_skipped: Lines at the beginning that hold no record.
        is_header: Whether some cells are a header of known names.
        is_cut: Whether the file goes on behind the lines.
        delimiter: What it is, if that is not to be chosen.
        quote: What it is, if that is not to be chosen.

    Raises:
        InvalidInput: When no delimiter fits, or two fit equally.
    """

    def read(one: str, some: Sequence[str]) -> Reading:
        is_part = is_cut or len(some) < len(lines)
        if quote is None:
            return choose_quote(some, n_skipped, one, is_cut=is_part)
        return read_sample(some, n_skipped, one, quote, is_cut=is_part)

    if delimiter is not None:
        return read(delimiter, blanks_for_tabs(lines, delimiter)), ""
    first = lines[: n_skipped + _DELIMITER_LINES]
    chosen, evidence = _choose_delimiter([read(one, first) for one in DELIMITERS.values()], is_header)
    return read(chosen, blanks_for_tabs(lines, chosen)), evidence


def _choose_delimiter(readings: Sequence[Reading], is_header: Callable[[Sequence[str]], bool]) -> tuple[str, str]:
    fitting = [one for one in readings if one.fit > 0.5]
    if not fitting:
        first = next(iter(readings[0].records), Record(1, 1, []))
        raise Unfit(
            f"is neither JSON lines nor rows of two or more columns: its first line is "
            f"{','.join(first.cells)[:80]!r}; expected most lines to have as many cells, separated by "
            f"{', '.join(DELIMITERS)}. Name another character with --delimiter."
        )
    scores = {one.delimiter: (_has_header(one, is_header), round(one.fit * _plain_share(one), 6)) for one in fitting}
    best, *others = sorted(fitting, key=lambda one: scores[one.delimiter], reverse=True)
    if others and scores[others[0].delimiter] == scores[best.delimiter]:
        raise Unfit(_equal_fits(best, others[0]))
    return best.delimiter, _evidence(best, others)


def _has_header(reading: Reading, is_header: Callable[[Sequence[str]], bool]) -> bool:
    return any(is_header([cell.strip() for cell in one.cells]) for one in reading.records[:20])


def _plain_share(reading: Reading) -> float:
    """Return the share of columns that hold numbers, times and plain ids only."""
    rows = reading.rows[:_TYPED_RECORDS]
    n_plain = 0
    for column in _columns(rows):
        filled = [text for cell in column if (text := cell.strip(" "))]
        n_fitting = sum(("::" not in c and _PLAIN.fullmatch(c) is not None) or is_iso(c) for c in filled)
        n_plain += n_fitting >= _TYPED_SHARE * len(filled)
    return n_plain / reading.width


def _evidence(best: Reading, others: Sequence[Reading]) -> str:
    text = f"{best.n_lines - best.n_bad_lines:,} of {best.n_lines:,} lines give {best.width} cells"
    if others:
        next_best = others[0]
        text += (
            f"; by {name_of(next_best.delimiter)} {next_best.n_lines - next_best.n_bad_lines:,} give {next_best.width}"
        )
    return text


def _equal_fits(one: Reading, other: Reading) -> str:
    shown = "\n".join(
        f"  by {name_of(reading.delimiter):<10} {' / '.join(show(row.cells) for row in reading.rows[:2])}"
        for reading in (one, other)
    )
    return (
        f"can be read with two delimiters, equally well:\n{shown}\n"
        f"Choose with --delimiter {name_of(one.delimiter)} or --delimiter {name_of(other.delimiter)}."
    )
