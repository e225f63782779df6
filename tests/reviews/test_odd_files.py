"""Files that people make by hand, by other programs or by accident: read rightly, put aside in part, or refused."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from whole_file import Ingested, ingest_file

from reviews import delimited_rows
from reviews.formats import detect_format
from reviews.options import IngestOptions, ReadingOptions
from reviews.parse import read_partitions
from reviews.reading import read_reviews
from schema.errors import InvalidInput
from storage.parquet import write_parquet

NAMES = ("user_id", "item_id", "rating", "timestamp")
ROWS = [
    (f"u{user}", f"i{item}", float((user + item) % 5 + 1), 1_500_000_000 + (7 * user + item) * 86_400)
    for user in range(8)
    for item in range(6)
]
SAID = ("fine", 'say "hi", now', "two\nlines", 'cheap,light,5,1500000000,yes\n"x"', '24" LED', "a\\b", "it's", "'q', r")
TEXTS = [(*row, SAID[place % len(SAID)]) for place, row in enumerate(ROWS)]
RECORDS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]


def write(rows: Sequence[Sequence[object]], names: Sequence[str] = NAMES, **form: object) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n", **form)  # type: ignore[arg-type]
    writer.writerows([names, *rows] if names else rows)
    return out.getvalue()


def lines(rows: Sequence[Sequence[object]], delimiter: str = ",") -> str:
    return "".join(delimiter.join(map(str, row)) + "\n" for row in rows)


def fixed_width(side: str) -> str:
    return "".join(f"{a:{side}10}{b:{side}12}{c!s:>8}{d!s:>14}\n" for a, b, c, d in [NAMES, *ROWS])


def with_time(form: str) -> str:
    return write([(*row[:3], form.format(row[3])) for row in ROWS])


ESCAPED: Mapping[str, object] = {"doublequote": False, "escapechar": "\\"}
BODY = write(ROWS, ())

RIGHT: Mapping[str, str] = {
    "single quotes around all": write(TEXTS, (*NAMES, "text"), quotechar="'", quoting=csv.QUOTE_ALL),
    "blanks before quotes": write(TEXTS, (*NAMES, "text"), quoting=csv.QUOTE_ALL).replace('","', '", "'),
    "a delimiter behind each line": write(ROWS).replace("\n", ",\n"),
    "a delimiter behind each row": write([]) + BODY.replace("\n", ",\n"),
    "line ends of two systems": write(ROWS[:24]).replace("\n", "\r\n") + write(ROWS[24:], ()),
    "quotes around some rows": write(ROWS[:24], quoting=csv.QUOTE_ALL) + write(ROWS[24:], ()),
    "quotes escaped by backslashes": write(TEXTS, (*NAMES, "text"), **ESCAPED),
    "two files in one": write(ROWS[:24]) + write(ROWS[24:]),
    "a comment within": write(ROWS[:24]) + "# made up\n\n" + write(ROWS[24:], ()),
    "a count at the end": write(ROWS) + "\n(48 rows)\n",
    "a table of psql": lines([NAMES], " | ") + "-+-\n" + lines(ROWS, " | ") + "(48 rows)\n",
    "a table of Markdown": "".join(f"| {line} |\n" for line in (lines([NAMES, ("-",) * 4, *ROWS], " | ").splitlines())),
    "columns of one width": fixed_width("<"),
    "columns of one width, blanks first": fixed_width(">"),
    "an index of pandas": write([(place, *row) for place, row in enumerate(ROWS)], ("", *NAMES)),
    "an id of the review": write([(place, *row) for place, row in enumerate(ROWS)], ("id", *NAMES)),
    "names beside ids": write([(f"name of {row[0]}", *row) for row in ROWS], ("user", *NAMES)),
    "names with units": write(ROWS, ("user_id", "item_id", "rating (1-5)", "timestamp [s]")),
    "two headers": "a,b,c,d\n" + write(ROWS),
    "NULs at the end": write(ROWS) + "\0" * 50,
    "an end of DOS": write(ROWS) + "\x1a",
    "JSON that has a better name at times": "".join(
        json.dumps({"username": a, **({"user_id": 7} if b == "i1" else {}), "item_id": b, "rating": c, "timestamp": d})
        + "\n"
        for a, b, c, d in ROWS
    ),
    "JSON on one line": "".join(map(json.dumps, RECORDS)),
    "numbers as JSON strings": "".join(json.dumps({k: str(v) for k, v in one.items()}) + "\n" for one in RECORDS),
}

REFUSED: Mapping[str, tuple[str, str]] = {
    "delimiters escaped by backslashes": (
        write(TEXTS, (*NAMES, "text"), quoting=csv.QUOTE_NONE, escapechar="\\"),
        "expected 5 columns",
    ),
    "stray quotes at two ends": (
        write([(*row, "ok") for row in ROWS[:20]], (*NAMES, "text"))
        + 'u9,i1,5,1500000000,"oops\n'
        + write([(*row, "ok") for row in ROWS[20:30]], ())
        + 'u9,i2,5,1500000000,oops"\n',
        "two rules of quoting",
    ),
    "row names of R": (write([], NAMES) + lines([(place, *row) for place, row in enumerate(ROWS)]), "4 names"),
    "thousands": (with_time("{:,}"), "timestamps"),
    "timestamps of two units": (
        write([(*row[:3], row[3] * (1000 if place % 2 else 1)) for place, row in enumerate(ROWS)]),
        "more than one form",
    ),
    "stars in words": (write([(*row[:2], f"{row[2]:g} stars", row[3]) for row in ROWS]), "rating is not a number"),
    "row numbers before rows": (lines([(n, row[0], row[2]) for n, row in enumerate(ROWS)]), "count the rows"),
    "row names of R over empty cells": (
        write([], NAMES) + lines([(place, 7, 70, 5, "") for place, row in enumerate(ROWS)]),
        "first cell counts them",
    ),
    "the size of a matrix": (
        "%%MatrixMarket matrix coordinate integer general\n% x\n8 6 48\n"
        + lines([(row[0][1:], row[1][1:], 5) for row in ROWS], " "),
        "--header-line 3",
    ),
    "numbers for names": (lines([("0", "1"), *(row[:2] for row in ROWS)]), "unknown names"),
    "numbers for names of numbers": (lines([(1, 2, 3), *((9, 7, 5) for row in ROWS)], "\t"), "counts the columns"),
    "numbers for names or a row of numbers": (lines([(1, 2, 3), *((1, n, 5) for n in range(9))], "\t"), "or be a row"),
    "two files of which one has items first": (
        lines([NAMES[:2], *(row[:2] for row in ROWS), NAMES[1::-1], *(row[1::-1] for row in ROWS)]),
        "another order",
    ),
    "two rated files of which one has items first": (
        write(ROWS) + lines([("movieId", "userId", *NAMES[2:]), *((row[1], row[0], *row[2:]) for row in ROWS)]),
        "another order",
    ),
    "a number among unknown names": (lines([("person", "thing", 5), *(row[:3] for row in ROWS)]), "unknown names"),
    "a year among unknown names": (lines([("Konto", "Artikel", 2014), *(row[:3] for row in ROWS)]), "unknown names"),
    "thousands by points": (
        write([(*row[:2], ("7", "1.234", "12.345")[place % 3]) for place, row in enumerate(ROWS)], NAMES[:3]),
        "take the points out for thousands",
    ),
    "ids guarded by equals signs": (lines([NAMES[:3], *((f'="{row[0]}"', *row[1:3]) for row in ROWS)]), "guards"),
    "ids guarded by apostrophes": (lines([NAMES[:3], *(("'" + row[0], *row[1:3]) for row in ROWS)]), "guards"),
    "times before items": (
        lines([(row[0], "2014-04-01T10:51:09Z", row[1]) for row in ROWS], "\t").replace("\ti", "\t"),
        "that are times",
    ),
    "two names of users": (
        write([(place, *row) for place, row in enumerate(ROWS)], ("uid", "user", *NAMES[1:])),
        "may",
    ),
    "ids in objects": (
        "".join(json.dumps({**one, "user_id": {"$numberLong": "1"}}) + "\n" for one in RECORDS),
        "expected one text or number",
    ),
    "a matrix": (write([(f"u{user}", *"12345") for user in range(8)], ("user_id", *"abcde")), "user_id"),
    "Netflix's blocks": ("".join(f"{item}:\n" + "9,5,2005-09-01\n8,4,2005-09-02\n" for item in range(9)), "--columns"),
    "objects in an object": (json.dumps({"reviews": RECORDS}), "jq"),
    "columns in an object": (json.dumps({name: {"0": 1, "1": 2} for name in NAMES}), "orient='records'"),
    "arrays of arrays": (json.dumps(ROWS), "object"),
    "a page of a failed download": ("<!DOCTYPE html>\n<html><body>Not found</body></html>\n", "HTML"),
}


def ingest(text: str, folder: Path, **options: object) -> Ingested:
    path = folder / "input"
    path.write_text(text, "utf-8", newline="")
    return ingest_file(path, folder / "out", **options)


@pytest.mark.parametrize("what", RIGHT)
def test_an_odd_file_is_read_rightly(tmp_path, what):
    read = ingest(RIGHT[what], tmp_path)
    assert sorted(read.reviews[list(NAMES)].itertuples(index=False, name=None)) == sorted(ROWS)
    assert len(read.quarantine) <= 2


@pytest.mark.parametrize(("line", "n_rows"), [(0, 10), (1, 9)])
def test_numbers_that_may_be_names_or_a_row_are_what_the_header_line_says(tmp_path, line, n_rows):
    text, expected = REFUSED["numbers for names or a row of numbers"]
    asked = {"input_columns": "user=1,item=2,rating=3"}
    with pytest.raises(InvalidInput, match=expected):
        ingest(text, tmp_path, **asked)
    assert len(ingest(text, tmp_path, header_line=line, **asked).reviews) == n_rows


@pytest.mark.parametrize("what", REFUSED)
def test_an_odd_file_that_could_be_read_wrongly_is_refused(tmp_path, what):
    text, expected = REFUSED[what]
    with pytest.raises(InvalidInput, match=expected):
        ingest(text, tmp_path)


def test_rows_with_a_delimiter_too_many_are_put_aside_alone(tmp_path):
    rows = [(*row, "well, yes" if place == 30 else "ok") for place, row in enumerate(ROWS)]
    for text in (lines([(*NAMES, "text"), *rows]), lines([("text", *NAMES), *((row[-1], *row[:-1]) for row in rows)])):
        read = ingest(text, tmp_path)
        assert (len(read.reviews), len(read.quarantine), read.quarantine["line"][0]) == (47, 1, 32)


PAIRS = [(*row[:2], "ok") for row in ROWS]


@pytest.mark.parametrize("delimiter", [";", "|"])
@pytest.mark.parametrize(
    ("between", "reason"),
    [
        (("---", ":--:", "---"), "a line between rows"),
        (("USER_ID", "ITEM_ID", "TEXT"), "the header again"),
        (("\ufeffuser_id", "item_id", "text"), "the header again"),
        (("userId", "movieId", "tag"), "the header again"),
        (("# end", "of", "file"), "a comment"),
        (("TOTAL", "48", ""), "a word for a total"),
    ],
)
@pytest.mark.parametrize("asked", [{}, {"input_columns": "user=1,item=2"}])
def test_a_line_that_is_no_review_is_none_where_there_is_no_number(tmp_path, delimiter, between, reason, asked):
    text = lines([(*NAMES[:2], "text"), *PAIRS[:24], between, *PAIRS[24:]], delimiter)
    read = ingest(text, tmp_path, **asked)
    assert sorted(read.reviews[list(NAMES[:2])].itertuples(index=False, name=None)) == sorted(row[:2] for row in ROWS)
    assert (list(read.quarantine["line"]), reason in read.quarantine["reason"][0]) == ([26], True)


def test_a_header_of_unknown_names_that_comes_again_is_no_review(tmp_path):
    text = lines([("Konto", "Artikel"), *(row[:2] for row in ROWS)])
    for columns in ("user=Konto,item=Artikel", "user=1,item=2"):
        read = ingest(text + text.upper().replace("U", "v"), tmp_path, input_columns=columns)
        assert (len(read.reviews), list(read.quarantine["reason"])) == (96, ["the header again"])


def test_a_mark_between_files_without_headers_is_no_part_of_an_id(tmp_path):
    text = lines([row[:2] for row in ROWS])
    read = ingest(text + "\ufeff" + text, tmp_path)
    assert (read.sizes[1], len(read.quarantine)) == (8, 1)


def test_comments_between_rows_delimited_by_blanks_are_none(tmp_path):
    read = ingest(lines([NAMES[:2], *(row[:2] for row in ROWS)], " ") + "# end\n", tmp_path)
    assert (len(read.reviews), len(read.quarantine)) == (48, 1)


SWALLOWED = 'u9,i1,5,1500000000,"oops\n' + write([(*row, "ok") for row in ROWS[:9]], ()) + 'u9,i2,5,1500000000,oops"\n'


@pytest.mark.parametrize(("n_before", "text"), [(50_000, "fine"), (10, '"some\nlines, two"')])
def test_rows_between_stray_quotes_are_put_aside_as_one(tmp_path, n_before, text):
    before = "".join(f"u{k % 8},i{k},3,1500000000,{text}\n" for k in range(n_before))
    read = ingest(",".join(NAMES) + ",text\n" + before + SWALLOWED + before, tmp_path)
    assert set(read.reviews["user_id"]) == {f"u{k}" for k in range(8)}
    assert len(read.reviews) == 2 * n_before
    assert (len(read.quarantine), read.quarantine["reason"].str.contains("quote too many").sum()) == (1, 1)


ADJACENT = 'u9,i1,5,1500000000,"oops\nu9,i2,5,1500000000,oops"\n'


@pytest.mark.parametrize(
    ("text", "late", "n_said"),
    [("fine", ADJACENT, 1), ("fine", "", 0), ('"some\nlines"', ADJACENT, 0), ("fine", "\n\n", 0)],
)
def test_a_text_over_lines_where_no_text_was_before_is_warned_of(tmp_path, text, late, n_said):
    before = "".join(f"u{k % 8},i{k},3,1500000000,{text}\n" for k in range(50_000))
    path = tmp_path / "input"
    path.write_text(",".join(NAMES) + ",text\n" + before + late, "utf-8")
    found = detect_format(path, ReadingOptions())
    read = read_reviews(path, found, IngestOptions(), tmp_path / "parts", write_parquet)
    assert [said.split()[0] for said in read.understood.warnings if "quoted text" in said] == ["1"] * n_said


def test_rows_behind_a_quote_escaped_late_are_none(tmp_path):
    clean = "".join(f"u{k % 8},i{k},fine\n" for k in range(100_000))
    with pytest.raises(InvalidInput, match="behind a backslash"):
        ingest("user_id,item_id,text\n" + clean + 'u9,i9,"he said \\"good\\"\nbest,2,buy"\n', tmp_path)


def test_one_text_with_escaped_quotes_and_a_line_like_a_row_is_one_record(tmp_path):
    clean = "".join(f"u{k % 8},i{k % 6},fine\n" for k in range(48))
    read = ingest("user_id,item_id,text\n" + clean + 'u9,i9,"he said \\"good\\"\nbest,2,buy"\n', tmp_path)
    assert ("u9", "i9") in set(read.reviews[["user_id", "item_id"]].itertuples(index=False, name=None))
    assert "best" not in set(read.reviews["user_id"])


@pytest.mark.parametrize(
    ("first", "asked"),
    [('sep="\n', {}), ("sep=§\n", {}), ("", {"delimiter": "¦"})] + [("", {"quote": one}) for one in "»,\n "],
)
def test_a_delimiter_or_quote_that_is_none_is_refused(tmp_path, first, asked):
    path = tmp_path / "input"
    path.write_text(first + write(ROWS), "utf-8")
    with pytest.raises(InvalidInput, match="none that is read"):
        detect_format(path, ReadingOptions(**asked))


def test_an_endless_number_in_an_array_is_no_crash(tmp_path):
    text = json.dumps(RECORDS)
    read = ingest(text[:-1] + ', {"user_id": "u1", "item_id": "i9", "rating": ' + "1" * 4_301 + "}]", tmp_path)
    assert (len(read.reviews), len(read.quarantine)) == (48, 1)


@pytest.mark.parametrize("text", ["fine", '"so, so"', '"say ""a, b"", é"'])
def test_many_rows_of_another_width_are_found_without_reading_them(tmp_path, monkeypatch, text):
    path = tmp_path / "input"
    rows = (f"u{k},i{k},{text}{',x' * (k % 40 == 7)}\n" for k in range(20_000))
    path.write_text("user_id,item_id,text\n" + "".join(rows), "utf-8")
    read, singly = delimited_rows.read_row, []
    monkeypatch.setattr(delimited_rows, "read_row", lambda text, form: singly.append(text) or read(text, form))
    (partition,) = read_partitions(path, detect_format(path), 2**22)
    assert (partition.reviews.num_rows, partition.rejected.num_rows, len(singly)) == (19_500, 500, 500)
