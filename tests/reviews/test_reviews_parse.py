import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reviews import parse, quotes, records
from reviews.columns import is_number
from reviews.delimited_rows import read_row as read_delimited
from reviews.formats import Format
from reviews.json_rows import read_row as read_json
from reviews.parse import read_partitions, read_texts
from reviews.records import RejectedRecordError
from reviews.values import reviews_schema
from schema.errors import InvalidInput

JSON = Format("json", {"user": "u", "item": "i", "rating": "r"}, numeric=frozenset({"rating"}))
CSV = Format("delimited", {"user": "1", "item": "2", "rating": "3"}, ("1", "2", "3"))
TEXT_LAST = Format("delimited", {"user": "1", "item": "2"}, ("1", "2", "3"))
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
        rows = [tuple(r.values()) for p in parts for r in p.reviews.to_pylist()]
        rejected = [tuple(r.values()) for p in parts for r in p.rejected.to_pylist()]
        assert [one.next_line for one in parts[-1:]] == [content.count(b"\n") + (not content.endswith(b"\n")) + 1]
        assert dict(read_texts(path, file_format, [row[0] for row in rejected])) == {row[0]: row[2] for row in rejected}
        return [(line, *row) for *row, line in rows], rejected

    return of_bytes


def test_ids_keep_leading_zeros_and_numbers_become_their_text(read):
    rows, _ = read(b'{"u": 17, "i": "0528881469", "r": 5.0}\n{"u": "017", "i": "B", "r": 1}\n', JSON)
    assert rows == [(1, "17", "0528881469", 5.0), (2, "017", "B", 1.0)]
    assert read(b"007,0528881469,5\n", CSV)[0] == [(1, "007", "0528881469", 5.0)]


def test_numeric_json_ids_become_their_text_in_whole_blocks_too(read):
    numeric = Format("json", JSON.roles, numeric=frozenset({"user", "item", "rating"}))
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
    ("record", "reason"),
    [
        pytest.param(b"A,B", "expected 3 columns, found 2", id="too few"),
        pytest.param(b"A,B,4,9", "expected 3 columns, found 4", id="too many"),
        pytest.param(b'"A"x,B,4', "not valid CSV: text after a closing quote", id="text after a quote"),
        pytest.param(b'A,"B\ncheap,item,5",4,9', "expected 3 columns, found 4", id="line break in quotes"),
        pytest.param(b"A\rB,C,4", "not valid CSV: a stray carriage return", id="lone CR"),
        pytest.param(b"A,B,good", "rating is not a number", id="word as rating"),
        pytest.param(b"A,B,1_0", "rating is not a number", id="Python's digits"),
        pytest.param(b"A,\xff,4", "item id is not valid UTF-8", id="undecodable id"),
    ],
)
def test_broken_csv_record_is_rejected_and_its_neighbours_kept(read, record, reason):
    rows, rejected = read(b"\n".join([GOOD["delimited"], record, GOOD["delimited"]]), CSV)
    assert [row[0] for row in rows] == [1, 3 + record.count(b"\n")]
    assert rejected == [(2, reason, record.decode("utf-8", "backslashreplace"))]


def test_quoted_cell_may_go_over_lines_that_look_like_rows(read):
    content = b'A,B,"fine"\r\nC,D,"one\r\ncheap,item,5\n\n"\nE,F,"a ""b"" c"\n'
    rows, rejected = read(content, TEXT_LAST)
    assert [row[:3] for row in rows] == [(1, "A", "B"), (2, "C", "D"), (6, "E", "F")]
    assert rejected == []


def test_records_are_read_again_by_the_lines_on_which_they_begin(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "_MAX_BLOCK_BYTES", 10)
    path = tmp_path / "file"
    path.write_bytes(b'u,i,t\nA,B,"one\r\ntwo"\nC,D,\xff\n\nE,F,"open')
    shape = replace(TEXT_LAST, header_line=1)
    expected = {2: 'A,B,"one\r\ntwo"', 4: "C,D,\\xff", 6: 'E,F,"open'}
    assert dict(read_texts(path, shape, [6, 2, 4])) == expected
    assert dict(read_texts(path, shape, [4])) == {4: expected[4]}
    assert dict(read_texts(path, shape, [])) == {}


def test_quote_behind_blanks_encloses_a_cell_as_well(read):
    content = b'A, B, "one, two"\nC, D, "x\ncheap, item, 5\n"\nE, F, "G" and so on\n'
    rows, rejected = read(content, TEXT_LAST)
    assert [row[:3] for row in rows] == [(1, "A", "B"), (2, "C", "D")]
    assert [row[:2] for row in rejected] == [(5, "not valid CSV: text after a closing quote")]


def test_quote_within_a_cell_is_a_character(read):
    rows, rejected = read(b'A,B,24" screen\nC,D,"x\ny"\nE",F,""\n', TEXT_LAST)
    assert [row[:3] for row in rows] == [(1, "A", "B"), (2, "C", "D"), (4, 'E"', "F")]
    assert rejected == []


def test_quotes_are_characters_where_nothing_encloses_a_cell(read):
    rows, rejected = read(b'A,B,"open\n"C",D,x\n', replace(TEXT_LAST, quote=""))
    assert [row[:3] for row in rows] == [(1, "A", "B"), (2, '"C"', "D")]
    assert rejected == []


@pytest.mark.parametrize("partition_bytes", [1, 7, 2**20])
def test_what_follows_a_quote_that_is_never_closed_is_one_record(read, partition_bytes):
    rows, rejected = read(b'A,B,"fine"\nC,D,"open\nE,F,5\nG,H,4', TEXT_LAST, partition_bytes)
    assert [row[0] for row in rows] == [1]
    reason = "not valid CSV: a quote is never closed: 3 lines to the end of the file"
    assert rejected == [(2, reason, 'C,D,"open\nE,F,5\nG,H,4')]


@pytest.mark.parametrize("partition_bytes", [100, 2**20])
@pytest.mark.parametrize("end", [b"", b'"\n', b'"x\n'], ids=["open", "closed late", "closed within text"])
def test_quote_that_swallows_many_lines_is_refused_with_the_flag_that_helps(read, partition_bytes, end):
    content = b'A,B,"fine"\nC,D,"open\n' + b"E,F,5\n" * 1_001 + end
    with pytest.raises(InvalidInput, match=r"quote in line 2 .* within 1,000 lines.*--quote none"):
        read(content, TEXT_LAST, partition_bytes)


def test_lines_with_two_objects_do_not_make_up_for_objects_over_two_lines(read):
    two = GOOD["json"] * 2
    rows, rejected = read(b"\n".join([two, b'{"x":', b"{}}"]), JSON)
    assert rows == []
    assert [row[:2] for row in rejected] == [(n, "not valid JSON") for n in (1, 2, 3)]


def test_lines_with_two_rows_do_not_make_up_for_rows_over_two_lines(read):
    rows, rejected = read(b'A,B,4\rC,D,5\nA",B,"\n5"x"\n', TEXT_LAST)
    assert rows == []
    assert [row[0] for row in rejected] == [1, 2]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("file_format", [JSON, CSV], ids=["json", "csv"])
def test_well_formed_lines_are_parsed_as_one_block(read, monkeypatch, file_format, end):
    monkeypatch.setattr(parse, "RejectedRecordError", None)
    assert len(read((GOOD[file_format.kind] + end) * 50, file_format)[0]) == 50


def test_byte_order_mark_is_no_part_of_the_first_id(read):
    assert read(b"\xef\xbb\xbfA,B,4\nA,B\n", CSV)[0] == [(1, "A", "B", 4.0)]


@pytest.mark.parametrize("bad_id", ['say "hi"', "a\nb", "🎧", "x" * 10_000, ""])
def test_odd_ids_are_read_as_they_are_for_the_checks_to_judge(read, bad_id):
    line = json.dumps({"u": bad_id, "i": "B", "r": 3}).encode()
    assert read(line, JSON)[0] == [(1, bad_id, "B", 3.0)]


@pytest.mark.parametrize(
    ("file_format", "content"),
    [(CSV, b" A , B,4\nA,B C,5\n\xc2\xa0,B,3"), (JSON, b'{"u": "A\\t", "i": " B", "r": 4}')],
    ids=["csv", "json"],
)
def test_white_space_at_the_ends_of_ids_is_cut_off_and_counted(tmp_path, file_format, content):
    (tmp_path / "file").write_bytes(content)
    (part,) = read_partitions(tmp_path / "file", file_format, 2**20)
    assert part.reviews.to_pylist()[0] == {"user_id": "A", "item_id": "B", "rating": 4.0, "line": 1}
    assert part.reviews["item_id"].to_pylist()[1:] == ["B C", "B"][: part.n_lines - 1]
    assert part.n_trimmed == (2 if file_format is JSON else 3)


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


@pytest.mark.parametrize("partition_bytes", [1, 2**20])
def test_header_and_what_precedes_it_are_no_lines_of_data(tmp_path, partition_bytes):
    path = tmp_path / "with-header.csv"
    path.write_bytes(b'\xef\xbb\xbfsep=,\n\nuser,"it\nem"\nA,B\n')
    shape = Format("delimited", {"user": "user", "item": "it\nem"}, ("user", "it\nem"), skipped_lines=2, header_line=4)
    (part,) = read_partitions(path, shape, partition_bytes)
    assert (part.n_lines, part.reviews["line"].to_pylist()) == (1, [5])


def test_column_the_file_lacks_is_absent(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(b"A\tB\n")
    (part,) = read_partitions(path, Format("delimited", {"user": "1", "item": "2"}, ("1", "2"), delimiter="\t"), 2**20)
    assert part.reviews.column_names == ["user_id", "item_id", "line"]


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
    assert part.reviews["item_id"].to_pylist() == ["B", "C"]


def test_line_longer_than_a_partition_is_read_whole(read):
    rows, _ = read(b"A" * 500 + b",B,4\nA,B,5\n", CSV, partition_bytes=64)
    assert [(len(row[1]), row[3]) for row in rows] == [(500, 4.0), (1, 5.0)]


def test_endless_line_is_refused_before_it_fills_memory(read, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 1_000)
    with pytest.raises(InvalidInput, match="record of more than 1,000 bytes"):
        read(b"A,B,4\n" + b"x" * 2_000, CSV, partition_bytes=100)


def test_first_fault_of_a_file_is_named_though_later_blocks_are_read_in_the_meantime(read, monkeypatch):
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 1_000)
    with pytest.raises(InvalidInput, match="quote behind a backslash"):
        read(b'A,"x\\" y,4\n' + b"x" * 2_000, CSV, partition_bytes=100)


def test_gzip_cut_off_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(b"".join(b"%d,B,4\n" % n for n in range(500_000)))[:-1_000])
    with pytest.raises(InvalidInput, match="cut off or damaged"):
        list(read_partitions(path, Format("delimited", CSV.roles, CSV.names), 2**16))


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


@pytest.mark.parametrize(
    ("file_format", "line"),
    [(JSON, ODD_JSON), (CSV, ODD_CSV), (replace(CSV, quote=""), ODD_CSV)],
    ids=["json", "csv", "unquoted"],
)
def test_blocks_and_single_records_are_parsed_alike(tmp_path_factory, monkeypatch, file_format, line):
    monkeypatch.setattr(parse, "_LEAF_RECORDS", 1)
    monkeypatch.setattr(parse, "_PARTS", 2)
    monkeypatch.setattr(quotes, "_WINDOW_BYTES", 20)
    path = tmp_path_factory.mktemp("alike") / "file"

    @settings(max_examples=300)
    @given(st.lists(line, max_size=8), st.integers(1, 80))
    def check(lines: list[bytes], partition_bytes: int) -> None:
        path.write_bytes(b"".join(raw + b"\n" for raw in lines))
        parts = list(read_partitions(path, file_format, partition_bytes))
        found = pa.concat_tables([reviews_schema(file_format).empty_table(), *(p.reviews for p in parts)])
        rejected = [tuple(row.values()) for p in parts for row in p.rejected.to_pylist()]
        whole = _records(lines) if file_format.kind == "delimited" and file_format.quote else list(enumerate(lines, 1))
        expected, expected_rejected = _one_by_one(whole, file_format)
        assert repr(found.to_pylist()) == repr(expected)
        assert rejected == expected_rejected
        assert sum(p.n_lines for p in parts) == len(whole)
        assert sum(p.n_blank for p in parts) == sum(not raw.strip() for _, raw in whole)

    check()


def _records(lines: list[bytes]) -> list[tuple[int, bytes]]:
    """Return first line and bytes of each record: as few lines as Python's csv needs to be out of quotes again."""
    found, first = [], 0
    while first < len(lines):
        ends = (last for last in range(first + 1, len(lines) + 1) if _is_closed(lines[first:last]))
        last = next(ends, len(lines))
        found.append((first + 1, b"\n".join(lines[first:last])))
        first = last
    return found


def _is_closed(lines: list[bytes]) -> bool:
    texts = [line.decode("latin-1").replace("\r", " ") + "\n" for line in lines]
    return list(csv.reader([*texts, "the next"], skipinitialspace=True))[-1] == ["the next"]


def _one_by_one(whole: list[tuple[int, bytes]], file_format: Format):
    rows, rejected = [], []
    read_row = read_json if file_format.kind == "json" else read_delimited
    for number, raw in whole:
        try:
            if raw.strip():
                row = read_row(raw.decode("utf-8", "surrogateescape").removesuffix("\r"), file_format)
                user, item = _id(row["user"], "user"), _id(row["item"], "item")
                rows.append({"user_id": user, "item_id": item, "rating": _rating(row["rating"]), "line": number})
        except RejectedRecordError as error:
            rejected.append((number, str(error), parse.printable(raw)))
    return rows, rejected


def _id(value: str | None, role: str) -> str | None:
    if value is not None and any("\ud800" <= one <= "\udfff" for one in value):
        raise RejectedRecordError(f"{role} id is not valid UTF-8")
    return value and value.strip()


def _rating(value: str | None) -> float | None:
    if value is None or not value.strip():
        return None
    if not is_number(value):
        raise RejectedRecordError("rating is not a number")
    return float(value)
