"""Tables of reviews drawn at random, and written in random dialects by Python's csv and json and by pandas."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from random_dialects import ROLES, TOLD_ENCODINGS, Dialect, draw_dialect

from reviews.options import ReadingOptions

Row = tuple[str, str, float | None, float | None]
Cells = dict[str, str]

FIRST_MOMENT, LAST_MOMENT = 1_000_000_000, 1_700_000_000
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
CET = timezone(timedelta(hours=2))
QUOTING = {
    "minimal": csv.QUOTE_MINIMAL,
    "all": csv.QUOTE_ALL,
    "text": csv.QUOTE_NONNUMERIC,
    "none": csv.QUOTE_NONE,
}
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "pipe", "::": "colons", " ": "blank"}
WORDS = ("cheap", "light", "great", "24 inch", "does what it says", "5", "n/a", "A+", "")
FOREIGN = {
    "utf-8": ("Café", "naïve", "Привет", "日本", "🎧"),
    "latin-1": ("Café", "naïve", "Malmö"),
    "windows-1252": ("Café", "naïve", "it\u2019s", "5 €"),
    "windows-1251": ("Привет", "Ещё"),
    "shift_jis": ("表示", "ポット", "ソ"),  # of which second bytes are \ and |
}
AWKWARD = ('24" LED', 'say "hi" now', "5' 3\"", "it's", 'the "best" one', 'a "b" c "d" e', '24"')
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class Table:
    """A written table.

    Attributes:
        path: The file.
        rows: What it says: user, item, rating, Unix seconds; in order.
        dialect: How it is written.
        options: What the reader is told.
    """

    path: Path
    rows: tuple[Row, ...]
    dialect: Dialect
    options: ReadingOptions

    @property
    def is_unmistakable(self) -> bool:
        """Whether to refuse the table would be a fault."""
        return self.dialect.is_unmistakable and len(self.rows) >= 5


def draw_table(seed: int, folder: Path) -> Table:
    """Write the table of a seed into a folder."""
    rng = random.Random(seed)  # noqa: S311 - the same for the same seed
    dialect = draw_dialect(rng)
    rows, cells = _draw_rows(dialect, rng)
    path = folder / f"table-{seed}"
    if dialect.kind == "parquet":
        pq.write_table(_typed(dialect, rows, cells, rng), path)
    else:
        text = (
            _delimited(dialect, cells, rows, rng) if dialect.kind == "delimited" else _json(dialect, cells, rows, rng)
        )
        path.write_bytes(pack(_encode(text, dialect.encoding), dialect.packing, rng))
    return Table(path, rows, dialect, _told(dialect))


def _told(dialect: Dialect) -> ReadingOptions:
    told: dict[str, object] = {}
    if dialect.encoding in TOLD_ENCODINGS:
        told["encoding"] = dialect.encoding
    if dialect.is_named:
        has_names = dialect.header != "none"
        places = {role: place for place, role in enumerate(dialect.order, start=1) if role in ROLES}
        told["input_columns"] = ",".join(
            f"{role}={dialect.names[role] if has_names else place}" for role, place in places.items()
        )
    if dialect.is_told and dialect.kind == "delimited":
        told |= {
            "delimiter": DELIMITERS[dialect.delimiter],
            "quote": "none" if dialect.quoting == "none" else '"',
            "header_line": 0 if dialect.header == "none" else len(dialect.preamble) + 1,
            "decimal": "comma" if dialect.decimal == "," else "point",
        }
    if dialect.is_told and dialect.times:
        told["timestamp_unit"] = dialect.times if dialect.times in PER_SECOND else "s"
        if dialect.times in ("date", "blank", "T", "Z", "offset"):
            told["timestamp_unit"] = "iso"
    return ReadingOptions.model_validate(told)


def _draw_rows(dialect: Dialect, rng: random.Random) -> tuple[tuple[Row, ...], list[Cells]]:
    n = rng.randint(1, 6) if rng.random() < 0.04 else rng.choice((rng.randint(7, 60), rng.randint(60, 400)))
    if rng.random() < 0.01:
        n = 20_000  # more than is looked at before it is read
    users, items = _draw_ids(dialect, rng)
    rows, cells = [], []
    for _ in range(n):
        user, item = rng.choice(users), rng.choice(items)
        rating, rating_cell = _draw_rating(dialect, rng)
        moment, moment_cell = _draw_moment(dialect, rng)
        rows.append((user, item, rating, moment))
        row = {"user": user, "item": item, "rating": rating_cell, "timestamp": moment_cell}
        row = {role: _pad(cell, dialect.blanks, rng) for role, cell in row.items()}
        cells.append(row | {"title": _draw_text(dialect, rng), "votes": str(rng.randint(0, 9))})
    return tuple(rows), cells


def _pad(cell: str, blanks: str, rng: random.Random) -> str:
    if not blanks or rng.random() < 0.3:
        return cell
    return f" {cell}" if blanks == "before" else f"{cell}  "


def _draw_ids(dialect: Dialect, rng: random.Random) -> tuple[list[str], list[str]]:
    n_users, n_items = rng.randint(2, 40), rng.randint(2, 25)
    if dialect.ids == "amazon":
        users = ["A" + "".join(rng.choices(LETTERS, k=13)) for _ in range(n_users)]
        items = [
            f"0{rng.randrange(10**9):09d}" if rng.random() < 0.2 else "B00" + "".join(rng.choices(LETTERS, k=7))
            for _ in range(n_items)
        ]
        return users, items
    if dialect.ids == "spoken":
        return [f"u{i}" for i in range(n_users)], [f"i{i}" for i in range(n_items)]
    if dialect.ids == "digits":
        width = rng.choice((0, 0, 5, 10))
        return [f"{i:0{width}d}" for i in range(1, n_users + 1)], [f"{7 * i:0{width}d}" for i in range(1, n_items + 1)]
    foreign = _foreign(dialect)
    odd = [*foreign, *(("o'neil",) if dialect.kind != "delimited" or dialect.quoting != "none" else ())]
    if dialect.delimiter not in (" ", "::"):
        odd.append("mary ann")
    if dialect.kind != "delimited" or dialect.quoting != "none":
        odd += [f"a{dialect.delimiter}b", 'the "one"']
    users = [*(f"user-{i:x}" for i in range(n_users)), *rng.sample(odd, min(2, len(odd)))]
    return users, [*(f"thing.{i:x}" for i in range(n_items)), *rng.sample(odd, min(1, len(odd)))]


def _foreign(dialect: Dialect) -> Sequence[str]:
    words = FOREIGN.get(dialect.encoding, FOREIGN["utf-8"])
    return [word for word in words if dialect.delimiter not in word]


def _draw_rating(dialect: Dialect, rng: random.Random) -> tuple[float | None, str]:
    if not dialect.ratings:
        return None, ""
    value = {"half": rng.randint(1, 10) / 2, "ten": float(rng.randint(1, 10))}.get(
        dialect.ratings, float(rng.randint(1, 5))
    )
    cell = f"{value:g}" if dialect.ratings in ("whole", "ten") else f"{value:.1f}"
    return value, cell.replace(".", dialect.decimal)


def _draw_moment(dialect: Dialect, rng: random.Random) -> tuple[float | None, str]:
    if not dialect.times:
        return None, ""
    seconds = rng.randint(FIRST_MOMENT, LAST_MOMENT)
    if dialect.times in PER_SECOND:
        return float(seconds), str(seconds * PER_SECOND[dialect.times])
    if dialect.times == "fraction":
        return seconds + 0.25, f"{seconds}.25".replace(".", dialect.decimal)
    moment = datetime.fromtimestamp(seconds, UTC)
    if dialect.times == "date":
        day = moment.replace(hour=0, minute=0, second=0)
        return day.timestamp(), f"{day:%Y-%m-%d}"
    if dialect.times == "offset":
        return float(seconds), moment.astimezone(CET).isoformat()
    fraction = rng.random() < 0.1 and dialect.times == "Z"
    text = f"{moment:%Y-%m-%d %H:%M:%S}".replace(" ", " " if dialect.times == "blank" else "T")
    return seconds + 0.5 * fraction, f"{text}{'.500' if fraction else ''}{'Z' if dialect.times == 'Z' else ''}"


def _draw_text(dialect: Dialect, rng: random.Random) -> str:
    words = [*WORDS, *_foreign(dialect)]
    if dialect.text in ("", "plain"):
        return rng.choice(words)
    if dialect.text == "lines" and rng.random() < 0.5:
        end = {"\r": "\r"}.get(dialect.line_end, rng.choice(("\n", dialect.line_end)))
        like_row = dialect.delimiter.join(("cheap", "light", "5", "1500000000", "yes")[: len(dialect.order)])
        return end.join([rng.choice(words), like_row, rng.choice((*words, *AWKWARD)), ""][: rng.randint(2, 4)])
    if dialect.quoting != "none" or dialect.kind != "delimited":
        words += [f"one{dialect.delimiter} two", f'"{rng.choice(words)}"', f'{dialect.delimiter}"']
    return rng.choice((*words, *AWKWARD))


def _delimited(dialect: Dialect, cells: Sequence[Cells], rows: Sequence[Row], rng: random.Random) -> str:
    names = [dialect.names.get(name, name) for name in dialect.order]
    if dialect.blanks == "before":
        names = [names[0], *(f" {name}" for name in names[1:])]
    if dialect.writer == "pandas":
        text = _by_pandas(dialect, names, cells, rows, rng)
    elif len(dialect.delimiter) > 1:
        lines = [
            *([names] if dialect.header != "none" else []),
            *([row[name] for name in dialect.order] for row in cells),
        ]
        text = "".join(dialect.delimiter.join(line) + dialect.line_end for line in lines)
    else:
        text = _by_csv(dialect, names, cells)
    text = "".join(f"{line}{dialect.line_end}" for line in dialect.preamble) + text
    return text if dialect.has_last_end else text.removesuffix(dialect.line_end)


def _by_csv(dialect: Dialect, names: Sequence[str], cells: Sequence[Cells]) -> str:
    out = io.StringIO(newline="")
    quoting = QUOTING[dialect.quoting]
    form = {"quotechar": None} if dialect.quoting == "none" else {}
    writer = csv.writer(
        out,
        delimiter=dialect.delimiter,
        quoting=quoting,
        lineterminator=dialect.line_end,
        **form,  # type: ignore[arg-type]
    )
    if dialect.header != "none":
        writer.writerow(names)
    is_bare = dialect.quoting == "text"  # its numbers are written as numbers
    writer.writerows([_number(row[name]) if is_bare else row[name] for name in dialect.order] for row in cells)
    return out.getvalue()


def _number(cell: str) -> str | int:
    return int(cell) if cell.isdecimal() and str(int(cell)) == cell else cell


def _by_pandas(
    dialect: Dialect, names: Sequence[str], cells: Sequence[Cells], rows: Sequence[Row], rng: random.Random
) -> str:
    frame = pd.DataFrame(cells)[list(dialect.order)]
    if dialect.ratings and not dialect.blanks:
        frame["rating"] = [row[2] for row in rows]
    if dialect.times in PER_SECOND and not dialect.blanks:
        frame["timestamp"] = frame["timestamp"].astype("int64")
    has_names = dialect.header != "none"
    return frame.set_axis(list(names), axis=1).to_csv(
        sep=dialect.delimiter,
        header=has_names,
        index=has_names and rng.random() < 0.25,
        quoting=QUOTING[dialect.quoting],
        lineterminator=dialect.line_end,
        decimal=dialect.decimal,
    )


def _json(dialect: Dialect, cells: Sequence[Cells], rows: Sequence[Row], rng: random.Random) -> str:
    is_ascii, has_lists, is_number = rng.random() < 0.5, rng.random() < 0.5, _has_plain_digits(dialect, rows)
    records = []
    for row, (user, item, rating, _) in zip(cells, rows, strict=True):
        values: dict[str, object] = dict(row)
        values |= {"user": int(user), "item": int(item)} if is_number else {}
        values["rating"] = rating
        if dialect.times in (*PER_SECOND, "fraction"):
            values["timestamp"] = json.loads(row["timestamp"])
        record = {dialect.names.get(name, name): values[name] for name in dialect.order}
        records.append(record | ({"helpful": [0, 1]} if has_lists else {}))
    if dialect.kind == "loose-json":
        lines = [repr(record) for record in records]
    else:
        lines = [json.dumps(record, ensure_ascii=is_ascii) for record in records]
    text = f"{dialect.line_end.join(lines)}{dialect.line_end}"
    if dialect.kind == "json-array":
        form: Mapping[str, object] = rng.choice(({}, {"indent": 2}, {"indent": 0}))
        text = json.dumps(records, ensure_ascii=is_ascii, **form) + "\n"  # type: ignore[arg-type]
    elif dialect.kind == "json-over-lines":
        text = "".join(json.dumps(record, indent=1, ensure_ascii=is_ascii) + "\n" for record in records)
    return text if dialect.has_last_end else text.rstrip("\r\n")


def _has_plain_digits(dialect: Dialect, rows: Sequence[Row]) -> bool:
    return dialect.ids == "digits" and not any(one.startswith("0") for row in rows for one in row[:2])


def _typed(dialect: Dialect, rows: Sequence[Row], cells: Sequence[Cells], rng: random.Random) -> pa.Table:
    columns: dict[str, pa.Array] = {name: pa.array([row[name] for row in cells]) for name in dialect.order}
    if _has_plain_digits(dialect, rows):
        columns |= {role: pa.array([int(row[at]) for row in rows]) for at, role in enumerate(("user", "item"))}
    if "rating" in columns:
        columns["rating"] = pa.array([row[2] for row in rows])
    if dialect.times in PER_SECOND:
        columns["timestamp"] = pa.array([int(row["timestamp"]) for row in cells])
    elif dialect.times == "fraction":
        columns["timestamp"] = pa.array([row[3] for row in rows])
    elif dialect.times and rng.random() < 0.5:
        unit = rng.choice(("ms", "us", "ns"))
        moments = [datetime.fromtimestamp(row[3], UTC) for row in rows if row[3] is not None]
        columns["timestamp"] = pa.array(moments, pa.timestamp("us", tz="UTC")).cast(pa.timestamp(unit, tz="UTC"))
    return pa.table({dialect.names.get(name, name): columns[name] for name in dialect.order})


def _encode(text: str, encoding: str) -> bytes:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    return (mark + text).encode(encoding)


def pack(data: bytes, packing: str, rng: random.Random) -> bytes:
    """Return the bytes of a file that holds these, packed."""
    if packing == "members":
        middle = rng.randint(0, len(data))
        return gzip.compress(data[:middle], 1) + gzip.compress(data[middle:], 1)
    if packing == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("reviews.txt", data)
        return out.getvalue()
    if packing == "zstd":
        return bytes(pa.Codec("zstd").compress(data, asbytes=True))
    form = {"gzip": lambda one: gzip.compress(one, 1), "bz2": bz2.compress, "xz": lzma.compress}.get(packing, bytes)
    return bytes(form(data))
