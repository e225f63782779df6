import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviews import lines, parse
from reviews.formats import Format, detect_format
from reviews.parse import RejectedLineError, parse_line, read_partitions
from schema.errors import InvalidInput

JSON = Format("json", False, {"user": "u", "item": "i", "rating": "r"}, numeric=frozenset({"rating"}))
CSV = Format("delimited", False, {"user": "1", "item": "2", "rating": "3"}, ("1", "2", "3"))
TEXT_LAST = Format("delimited", False, {"user": "1", "item": "2"}, ("1", "2", "3"))
GOOD = {"json": b'{"u": "A", "i": "B", "r": 4}', "delimited": b"A,B,4"}


@pytest.fixture
def read(tmp_path: Path):
    """Read bytes; return rows (line, user, item, rating) and rejected (line, reason, text)."""

    def of_bytes(content: bytes, file_format: Format, partition_bytes: int = 2**20):
        path = tmp_path / "file"
        path.write_bytes(content)
        parts = list(read_partitions(path, file_format, partition_bytes))
        assert [part.number for part in parts] == list(range(len(parts)))
        for part in parts:
            assert part.n_lines == part.n_blank + part.reviews.num_rows + part.rejected.num_rows
        rows = [tuple(r.values()) for p in parts for r in p.reviews.drop_columns("text").to_pylist()]
        rejected = [tuple(r.values()) for p in parts for r in p.rejected.to_pylist()]
        return [(line, *row) for *row, line in rows], rejected

    return of_bytes


def test_ids_keep_leading_zeros_and_numbers_become_their_text(read):
    rows, _ = read(b'{"u": 17, "i": "0528881469", "r": 5.0}\n{"u": "017", "i": "B", "r": 1}\n', JSON)
    assert rows == [(1, "17", "0528881469", 5.0), (2, "017", "B", 1.0)]
    assert read(b"007,0528881469,5\n", CSV)[0] == [(1, "007", "0528881469", 5.0)]


def test_numeric_json_ids_become_their_text_in_whole_blocks_too(read):
    numeric = Format("json", False, JSON.roles, numeric=frozenset({"user", "item", "rating"}))
    line = b'{"u": 12345678901234567, "i": 7, "r": 1}\n'
    expected = (1, "12345678901234567", "7", 1.0)
    assert read(line, numeric)[0] == [expected]
    assert read(line + b'{"u": "x", "i": 1.50, "r": "2"}\n', numeric)[0] == [expected, (2, "x", "1.50", 2.0)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b'{"u": "A", "i": "B", "r"', "not valid JSON", id="cut off"),
        pytest.param(b'{"u": "A", "i": "B"} {"u": "A", "i": "B"}', "not valid JSON", id="two objects"),
        pytest.param(b'["A", "B"]', "not a JSON object", id="array"),
        pytest.param(b'{"u": ["A"], "i": "B"}', "user id is neither text nor a number", id="list as id"),
        pytest.param(b'{"u": "A", "i": true}', "item id is neither text nor a number", id="true as id"),
        pytest.param(b'{"u": "A\xff", "i": "B"}', "user id is not valid UTF-8", id="undecodable id"),
        pytest.param(b'{"u": "A", "i": "\\ud800"}', "item id is not valid UTF-8", id="lone surrogate"),
        pytest.param(b'{"u": "A", "i": "B", "r": "five"}', "rating is not a number", id="word as rating"),
        pytest.param(b'{"u": "A", "i": "B", "r": true}', "rating is not a number", id="true as rating"),
        pytest.param(b'{"i": ' + b"[" * 99_999, "JSON nested too deeply", id="deep"),
    ],
)
def test_broken_json_line_is_rejected_and_its_neighbours_kept(read, line, reason):
    good = GOOD["json"]
    rows, rejected = read(b"\n".join([good, line, good]), JSON)
    assert [row[0] for row in rows] == [1, 3]
    assert rejected == [(2, reason, line.decode("utf-8", "backslashreplace"))]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"A,B", "expected 3 columns, found 2", id="too few"),
        pytest.param(b"A,B,4,9", "expected 3 columns, found 4", id="too many"),
        pytest.param(b'"A,B,4', "not valid CSV: an odd number of quotes", id="open quote"),
        pytest.param(b'A"",B,"4', "not valid CSV: an odd number of quotes", id="open quote after a stray pair"),
        pytest.param(b'A",B,"4', "not valid CSV: a quote is never closed", id="open quote after a stray one"),
        pytest.param(b'A,"B\nC",4,5', "not valid CSV: an odd number of quotes", id="line break in quotes"),
        pytest.param(b"A\rB,C,4", "not valid CSV: a stray carriage return or an endless field", id="lone CR"),
        pytest.param(b"A,B,good", "rating is not a number", id="word as rating"),
        pytest.param(b"A,B,1_0", "rating is not a number", id="Python's digits"),
        pytest.param(b"A,\xff,4", "item id is not valid UTF-8", id="undecodable id"),
    ],
)
def test_broken_csv_line_is_rejected_and_its_neighbours_kept(read, line, reason):
    rows, rejected = read(b"\n".join([GOOD["delimited"], line, GOOD["delimited"]]), CSV)
    n_lines = line.count(b"\n") + 1
    assert [row[0] for row in rows] == [1, 2 + n_lines]
    assert rejected[0] == (2, reason, line.split(b"\n")[0].decode("utf-8", "backslashreplace"))
    assert len(rejected) == n_lines


def test_open_quote_in_the_very_last_line_is_rejected(read):
    rows, rejected = read(b'A,B,"fine"\nA",B,"open\n', TEXT_LAST)
    assert [row[0] for row in rows] == [1]
    assert [row[:2] for row in rejected] == [(2, "not valid CSV: a quote is never closed")]


def test_lines_with_two_objects_do_not_make_up_for_objects_over_two_lines(read):
    two = GOOD["json"] * 2
    rows, rejected = read(b"\n".join([two, b'{"x":', b"{}}"]), JSON)
    assert rows == []
    assert [row[:2] for row in rejected] == [(n, "not valid JSON") for n in (1, 2, 3)]


def test_lines_with_two_rows_do_not_make_up_for_rows_over_two_lines(read):
    rows, rejected = read(b'A,B,4\rC,D,5\nA",B,"\n5"x"\n', TEXT_LAST)
    assert rows == []
    assert [row[0] for row in rejected] == [1, 2, 3]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("file_format", [JSON, CSV], ids=["json", "csv"])
def test_well_formed_lines_are_parsed_as_one_block(read, monkeypatch, file_format, end):
    monkeypatch.setattr(parse, "parse_line", None)
    assert len(read((GOOD[file_format.kind] + end) * 50, file_format)[0]) == 50


def test_byte_order_mark_is_no_part_of_the_first_id(read):
    assert read(b"\xef\xbb\xbfA,B,4\nA,B\n", CSV)[0] == [(1, "A", "B", 4.0)]


@pytest.mark.parametrize("bad_id", ['say "hi"', "a\nb", "🎧", "x" * 10_000, "", " "])
def test_odd_ids_are_read_as_they_are_for_the_checks_to_judge(read, bad_id):
    line = json.dumps({"u": bad_id, "i": "B", "r": 3}).encode()
    assert read(line, JSON)[0] == [(1, bad_id, "B", 3.0)]


def test_missing_fields_are_null_and_nan_is_nan(read):
    rows, _ = read(b'{"u": "A"}\n{"i": null, "u": "A", "r": NaN}\n', JSON)
    assert rows[0] == (1, "A", None, None)
    assert str(rows[1][3]) == "nan"


def test_blank_lines_are_counted_and_line_numbers_stay_true(read):
    rows, rejected = read(b"\nA,B,4\n \t\n\r\nA,B\nA,C,5", CSV)
    assert [row[0] for row in rows] == [2, 6]
    assert [row[0] for row in rejected] == [5]


def test_windows_line_ends_are_no_part_of_values(read):
    rows, rejected = read(b"A,B,4\r\nA,C\r\n", CSV)
    assert rows == [(1, "A", "B", 4.0)]
    assert rejected == [(2, "expected 3 columns, found 2", "A,C")]


def test_header_is_no_line_of_data(read, tmp_path):
    path = tmp_path / "with-header.csv"
    path.write_bytes(b"\xef\xbb\xbfuser,item\nA,B\n")
    (part,) = read_partitions(path, detect_format(path), 2**20)
    assert (part.n_lines, part.reviews["line"].to_pylist()) == (1, [2])


def test_column_the_file_lacks_is_absent(read, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"A\tB\n")
    (part,) = read_partitions(path, detect_format(path), 2**20)
    assert part.reviews.column_names == ["user_id", "item_id", "line", "text"]
    assert part.reviews["text"].to_pylist() == [b"A\tB\n"]


@pytest.mark.parametrize("file_format", [JSON, CSV], ids=["json", "csv"])
def test_many_broken_lines_among_many_good_ones_are_found_exactly(read, file_format):
    good = GOOD[file_format.kind]
    broken = {7, 500, 501, 999, 1000}
    content = b"\n".join(good.replace(b"4", b"oops") if n in broken else good for n in range(1, 1001))
    rows, rejected = read(content, file_format, partition_bytes=5_000)
    assert {row[0] for row in rejected} == broken
    assert [row[0] for row in rows] == [n for n in range(1, 1001) if n not in broken]


def test_last_line_without_an_end_makes_no_partition_of_its_own(tmp_path):
    (tmp_path / "file").write_bytes(b"A,B,4\nA,C,5")
    (part,) = read_partitions(tmp_path / "file", CSV, 2**20)
    assert part.reviews["text"].to_pylist() == [b"A,B,4\n", b"A,C,5\n"]


def test_line_longer_than_a_partition_is_read_whole(read):
    rows, _ = read(b"A" * 500 + b",B,4\nA,B,5\n", CSV, partition_bytes=64)
    assert [(len(row[1]), row[3]) for row in rows] == [(500, 4.0), (1, 5.0)]


def test_endless_line_is_refused_before_it_fills_memory(read, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1_000)
    with pytest.raises(InvalidInput, match="line of more than 1,000 bytes"):
        read(b"A,B,4\n" + b"x" * 2_000, CSV, partition_bytes=100)


def test_gzip_cut_off_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d,B,4\n" % n for n in range(500_000)))[:-1_000])
    with pytest.raises(InvalidInput, match="cut off or damaged"):
        list(read_partitions(path, Format("delimited", True, CSV.roles, CSV.names), 2**16))


ODD_JSON = st.sampled_from(
    [
        GOOD["json"], b'{"u": "A", "i": 5, "r": 1}', b'{"u": "\\u00e9", "i": "B", "r": "2"}', b'{"u": "A"}',
        b' {"u": "L", "i": "B"}', b"{", b"}",
        b'{"u": "A", "u": "Z", "i": "B"}', b'{"u": "A", "i": "B", "x": {}', b',"r": 1}', b"", b"  ", b"[]", b"7",
        b'{"u": "A", "i": "B"}{"u": "A", "i": "B"}', b'{"u": "\xff", "i": "B"}', b'{"u": "A", "i": "B", "r": 1e999}',
        b'{"u": "A", "i": "B", "x": "\xff"}', b'{"u": "A\t", "i": "B"}', b'{"u": "\\u0000", "i": "B"}\r', b'{"u":1}}',
    ]
)  # fmt: skip
ODD_CSV = st.lists(
    st.sampled_from([b"A", b"B", b",", b'"', b'""', b"\r", b"4", b" ", b"\t", b"\xff", b"nan", b".5"]), max_size=9
).map(b"".join) | st.just(GOOD["delimited"])


@pytest.mark.parametrize(("file_format", "line"), [(JSON, ODD_JSON), (CSV, ODD_CSV)], ids=["json", "csv"])
def test_blocks_and_single_lines_are_parsed_alike(tmp_path_factory, monkeypatch, file_format, line):
    monkeypatch.setattr(parse, "_LEAF_LINES", 1)
    path = tmp_path_factory.mktemp("alike") / "file"

    @settings(max_examples=300)
    @given(st.lists(line, max_size=8), st.integers(1, 80))
    def check(lines: list[bytes], partition_bytes: int) -> None:
        path.write_bytes(b"".join(raw + b"\n" for raw in lines))
        parts = list(read_partitions(path, file_format, partition_bytes))
        found = pa.concat_tables([parse.reviews_schema(file_format).empty_table(), *(p.reviews for p in parts)])
        rejected = [tuple(row.values()) for p in parts for row in p.rejected.to_pylist()]
        expected, expected_rejected = _one_by_one(lines, file_format)
        assert repr(found.drop_columns("text").to_pylist()) == repr(expected)
        assert rejected == expected_rejected
        assert sum(p.n_blank for p in parts) == sum(not raw.strip() for raw in lines)

    check()


def _one_by_one(lines: list[bytes], file_format: Format):
    rows, rejected = [], []
    for number, raw in enumerate(lines, start=1):
        try:
            if raw.strip():
                row = parse_line(raw + b"\n", file_format)
                rows.append({"user_id": row["user"], "item_id": row["item"], "rating": row["rating"], "line": number})
        except RejectedLineError as error:
            rejected.append((number, str(error), parse.printable(raw)))
    return rows, rejected
