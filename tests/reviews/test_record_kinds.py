"""Arrays, loose JSON, Parquet, and the delimiters that csv does not know, read into partitions."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews import json_values
from reviews.formats import Format
from reviews.parse import read_partitions, read_texts
from schema.errors import InvalidInput

ROLES = {"user": "u", "item": "i", "rating": "r"}
ARRAY = Format("json-array", ROLES, numeric=frozenset({"rating"}))
LOOSE = Format("loose-json", ROLES)
PARQUET = Format("parquet", ROLES, ("u", "i", "r"))
COLONS = Format("delimited", {"user": "1", "item": "2", "rating": "3"}, ("1", "2", "3"), delimiter="::")


@pytest.fixture
def read(tmp_path: Path):
    """Read bytes or a table; return rows (line, user, item, rating) and rejected (line, reason, text)."""

    def of(content: bytes | pa.Table, file_format: Format, partition_bytes: int = 2**20):
        path = tmp_path / "file"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            pq.write_table(content, path)
        parts = list(read_partitions(path, file_format, partition_bytes))
        for part in parts:
            assert part.n_lines == part.n_blank + part.reviews.num_rows + part.rejected.num_rows
        rows = [tuple(r.values()) for p in parts for r in p.reviews.to_pylist()]
        rejected = [tuple(r.values()) for p in parts for r in p.rejected.to_pylist()]
        lines = [row[-1] for row in rows] + [row[0] for row in rejected]
        texts = dict(read_texts(path, file_format, lines))
        assert sorted(texts) == sorted(lines)
        assert [texts[line] for line, _, _ in rejected] == [text for _, _, text in rejected]
        return [(line, *row) for *row, line in rows], rejected

    return of


RECORDS = [{"u": "A", "i": "0528", "r": 4}, {"u": "Ä", "i": "B", "r": 2.5}, {"u": "C", "i": "D", "x": [{"y": "}],{"}]}]
READ = [(1, "A", "0528", 4.0), (2, "Ä", "B", 2.5), (3, "C", "D", None)]


@pytest.mark.parametrize("partition_bytes", [1, 60, 2**20])
@pytest.mark.parametrize("read_bytes", [1, 2**20])
@pytest.mark.parametrize("indent", [None, 2])
def test_array_is_read_whatever_its_lines(read, monkeypatch, indent, read_bytes, partition_bytes):
    monkeypatch.setattr(json_values, "READ_BYTES", read_bytes)
    text = json.dumps(RECORDS, indent=indent, ensure_ascii=False)
    assert read(text.encode(), ARRAY, partition_bytes) == (READ, [])


def test_objects_over_several_lines_are_read_without_an_array(read):
    text = "\n".join(json.dumps(record, indent=1) for record in RECORDS)
    assert read(text.encode(), ARRAY) == (READ, [])


def test_elements_that_are_no_reviews_are_put_aside_by_their_number(read):
    rows, rejected = read(b'[{"u": "A",\n "i": "B"}, 7, [1,\n2], {"u": 1, "i": "B"}, {"u": {}, "i": "B"}]', ARRAY)
    assert [row[0] for row in rows] == [1, 4]
    assert rejected == [
        (2, "not a JSON object", "7"),
        (3, "not a JSON object", "[1, 2]"),
        (5, "user id is neither text nor a number", '{"u": {}, "i": "B"}'),
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"u": "A", "i": "B"},\n{"u": "A"', 'in line 2, at \'{"u": "A"\''),
        ('[{"u": "A", "i": "B"}', "the file ends: expected a comma or the end"),
        ('[{"u": "A", "i": "B"}\n{"u": "A"}]', "in line 2, .* expected a comma"),
        ('[{"u": "A", "i": "B"}] []', "expected nothing after the end"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_array_that_breaks_off_is_refused_with_the_place(read, text, reason):
    with pytest.raises(InvalidInput, match=reason):
        read(text.encode(), ARRAY)


def test_value_without_an_end_is_refused_before_it_fills_memory(read, monkeypatch):
    monkeypatch.setattr(json_values, "MAX_VALUE_BYTES", 1_000)
    monkeypatch.setattr(json_values, "READ_BYTES", 100)
    with pytest.raises(InvalidInput, match="Unterminated string"):
        read(b'[{"u": "' + b"x" * 100_000 + b'"}]', ARRAY)


@pytest.mark.filterwarnings("error")
def test_python_literals_and_json_are_read_line_by_line(read):
    lines = [
        "{'u': 'A', 'i': u'it\\'s', 'r': 4.0, 'x': '\\d'}",
        '{"u": "A", "i": "B", "r": null}',
        "{'u': open('x')}",
        "{'u': 1",
    ]
    rows, rejected = read("\n".join(lines).encode(), LOOSE)
    assert rows == [(1, "A", "it's", 4.0), (2, "A", "B", None)]
    assert [row[:2] for row in rejected] == [(3, "not valid JSON"), (4, "not valid JSON")]


def test_two_colons_separate_and_one_does_not(read):
    rows, rejected = read(b"A::a:b::4\nB::c\nC::\x01::5\n", COLONS)
    assert rows == [(1, "A", "a:b", 4.0), (3, "C", "\x01", 5.0)]
    assert rejected == [(2, "expected 3 columns, found 2", "B::c")]


@pytest.mark.parametrize("quote", ["", '"'])
def test_runs_of_blanks_and_tabs_separate(read, quote):
    shape = replace(COLONS, delimiter=" ", quote=quote)
    rows, rejected = read(b"  A \t B   4 \r\n \nC D 5\nE F\n", shape)
    assert rows == [(1, "A", "B", 4.0), (3, "C", "D", 5.0)]
    assert [row[0] for row in rejected] == [4]


def test_blanks_within_quotes_do_not_separate(read):
    rows, _ = read(b'A "b c" 4\n"D\nE"  F 5\n', replace(COLONS, delimiter=" "))
    assert rows == [(1, "A", "b c", 4.0), (2, "D\nE", "F", 5.0)]


@pytest.mark.parametrize(
    "ids",
    [
        pa.array(["7", "08"]), pa.array(["7", "08"], pa.large_string()), pa.array(["7", "08"]).dictionary_encode(),
        pa.array([7, 8], pa.int32()), pa.array([7.0, 8.0]), pa.array([2**60, 8]), pa.array([7, None]),
        pa.array([7.0, float("nan")]),
    ],
    ids=lambda ids: f"{ids.type} {ids[1]}",
)  # fmt: skip
@pytest.mark.parametrize("ratings", [pa.array([4, 5]), pa.array(["4", " 5.0"]), pa.array([Decimal("4.0"), Decimal(5)])])
def test_parquet_rows_are_read_by_their_numbers(read, ids, ratings):
    second = None if str(ids[1]) in ("None", "nan") else str(ids[1]).removesuffix(".0")
    rows, rejected = read(pa.table({"x": [0, 0], "r": ratings, "i": ["B", "C"], "u": ids}), PARQUET)
    assert rows == [(1, str(ids[0]).removesuffix(".0"), "B", 4.0), (2, second, "C", 5.0)]
    assert rejected == []


def test_parquet_rows_with_wrong_text_are_put_aside(read):
    table = pa.table({"u": ["A"] * 300, "i": ["B"] * 300, "r": ["4"] * 299 + ["good"]})
    rows, rejected = read(table, PARQUET, partition_bytes=128 * 100)
    assert len(rows) == 299
    assert rejected == [(300, "rating is not a number", '{"u": "A", "i": "B", "r": "good"}')]


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([True]), pa.array([1.5])], ids=lambda one: str(one.type))
def test_parquet_ids_of_other_types_are_refused(read, column):
    with pytest.raises(InvalidInput, match="in the column 'u'; expected text or whole numbers"):
        read(pa.table({"u": column, "i": ["B"], "r": [1]}), PARQUET)


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "file"
    pq.write_table(pa.table({"u": ["A"] * 1_000, "i": ["B"] * 1_000, "r": range(1_000)}), path)
    data = path.read_bytes()
    for damaged in (data[:-8], data[:500] + b"\0" * 50 + data[550:]):
        path.write_bytes(damaged)
        with pytest.raises(InvalidInput, match="cut off or damaged"):
            list(read_partitions(path, PARQUET, 2**20))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_of_parquet_become_unix_seconds(read, unit, zone):
    times = pd.Series(pd.to_datetime(["2015-03-14T09:26:53"], utc=zone is not None))
    times = times.dt.tz_convert(zone) if zone else times
    table = pa.table({"u": ["A"], "i": ["B"], "t": pa.array(times).cast(pa.timestamp(unit, zone))})
    rows, _ = read(table, Format("parquet", {"user": "u", "item": "i", "timestamp": "t"}))
    assert rows[0][3] == datetime(2015, 3, 14, 9, 26, 53, tzinfo=UTC).timestamp()
