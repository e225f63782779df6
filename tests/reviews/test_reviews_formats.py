import gzip
import json
import re
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews.formats import Format, detect_format
from reviews.options import ReadingOptions
from schema.errors import InvalidInput

AMAZON_2014 = (
    b'{"reviewerID": "A2IBPI20UZIR0U", "asin": "1384719342", "reviewerName": "c", "helpful": [0, 0], '
    b'"reviewText": "ok, fine", "overall": 5.0, "summary": "s", "unixReviewTime": 1393545600}\n'
)


@pytest.fixture
def detect(tmp_path: Path):
    def of_bytes(content: bytes, columns: str | None = None, **options: object) -> Format:
        path = tmp_path / "some.dat"
        path.write_bytes(content)
        return detect_format(path, ReadingOptions(input_columns=columns, **options))

    return of_bytes


def test_amazon_field_names_are_found_in_json_lines(detect):
    found = detect(AMAZON_2014)
    assert found.kind == "json"
    assert found.roles == {"user": "reviewerID", "item": "asin", "rating": "overall", "timestamp": "unixReviewTime"}
    assert found.numeric == {"rating", "timestamp"}


def test_a_first_line_that_is_longer_than_what_is_looked_at_is_refused(detect):
    with pytest.raises(InvalidInput, match=r"a first line of more than 1,048,576 bytes, beginning 'user_id,item_id,"):
        detect(b"user_id,item_id,text\ta,b," + b"x" * 2**20 + b"\n")


def test_gzip_is_found_by_content_whatever_the_name(detect):
    assert detect(gzip.compress(AMAZON_2014)).describe().startswith("gzip: JSON lines: user=reviewerID")


def test_2023_names_prefer_the_parent_product(detect):
    found = detect(b'{"user_id": "AE1", "asin": "B1", "parent_asin": "B2", "rating": 4, "timestamp": 1588687728923}\n')
    assert found.roles["item"] == "parent_asin"


def test_one_broken_line_first_does_not_hide_json_lines(detect):
    assert detect(b"hello, world\n" + AMAZON_2014 * 3).kind == "json"


def test_csv_header_names_are_matched_without_case_and_underscores(detect):
    found = detect(b"UserId,Item_ID,RATING,Time\nA1,0528881469,5.0,1365811200\n")
    assert found.roles == {"user": "UserId", "item": "Item_ID", "rating": "RATING", "timestamp": "Time"}
    assert (found.delimiter, found.header_line) == (",", 1)


def test_byte_order_mark_is_no_part_of_the_first_name(detect):
    assert detect(b"\xef\xbb\xbfuser,item\na,b\n").roles == {"user": "user", "item": "item"}


def test_header_may_follow_blank_lines(detect):
    assert detect(b"\n\nuser,item\na,b\n").header_line == 3


@pytest.mark.parametrize(
    ("row", "roles"),
    [
        pytest.param(b"A2CX7LUOHB2NDG,0321732944,5.0,1341100800\n", "user item rating timestamp", id="SNAP of 2014"),
        pytest.param(b"B00009W3I4,A34A1UP40713F8,5.0,1341100800\n", "item user rating timestamp", id="SNAP of 2018"),
        pytest.param(b"B00009W3I4\tA34A1UP40713F8\t5\n", "item user rating", id="TSV, Amazon ids"),
        pytest.param(b"i7;u12;2015-08-31;4\n", "item user timestamp rating", id="ids that say what they are"),
        pytest.param(b"user_3|item-9\n", "user item", id="pairs that say what they are"),
        pytest.param(b"196\t242\t3\t881250949\n", "user item rating timestamp", id="MovieLens u.data"),
        pytest.param(b"1::1193::5::978300760\n", "user item rating timestamp", id="MovieLens 1M"),
        pytest.param(b"7 8  4.5\n", "user item rating", id="triples by blanks"),
    ],
)
def test_columns_without_a_header_are_chosen_by_what_they_hold(detect, row, roles):
    found = detect(row * 3)
    assert found.header_line == 0
    assert found.roles == {role: str(i) for i, role in enumerate(roles.split(), start=1)}


def test_one_broken_row_first_is_not_taken_for_a_header(detect):
    assert detect(b"hello\n" + b"196\t242\t3\t881250949\n" * 3).header_line == 0


def test_named_columns_are_read_and_no_others(detect):
    found = detect(b"who,what,stars,when\nA,B,5,1341100800\n", "user=who,item=what")
    assert found.roles == {"user": "who", "item": "what"}
    assert not {"rating", "timestamp"} & found.roles.keys()


def test_numbered_columns_fit_files_without_a_header(detect):
    found = detect(b"5,x,y\n4,z,y\n", "rating=1,user=3,item=2")
    assert (found.position("user"), found.position("item"), found.position("rating")) == (2, 1, 0)


def test_numbered_columns_pass_over_a_header_of_unknown_names(detect):
    found = detect(b"foo,bar,baz\nA,B,5\n", "user=1,item=2,rating=3")
    assert (found.header_line, found.position("item")) == (1, 1)


def test_json_fields_may_be_named(detect):
    found = detect(b'{"who": 17, "what": "B"}\n', "user=who,item=what")
    assert found.roles == {"user": "who", "item": "what"}
    assert found.numeric == {"user"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"user_id,item_id,rating\nu\xe91,i1,5\n" + "ué,i2,4\n".encode() * 9, id="a row"),
        pytest.param(b"user_id,item_id,t\xe9\nu1,i1,5\n" + "ué,i2,4\n".encode() * 9, id="the header"),
        pytest.param(b'{"user_id": "\\ud800", "item_id": "i1"}\n', id="half a surrogate pair in JSON"),
    ],
)
def test_what_was_understood_is_text_even_where_bytes_cannot_be_decoded(detect, content):
    understood = detect(content).understood
    text = json.dumps(asdict(understood), ensure_ascii=False)
    assert text.encode("utf-8")


def test_description_names_shape_and_columns(detect):
    assert detect(b"u1\ti2\n").describe() == "TSV without a header: user=1, item=2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty (0 bytes)", id="empty"),
        pytest.param(b"\n \n\n", "blank lines", id="blank"),
        pytest.param(gzip.compress(AMAZON_2014)[:-20], "cut off or damaged", id="gzip cut off"),
        pytest.param(b'{"user": "a", "price": 3}\n', "known to hold the item; found ['user', 'price']", id="no item"),
        pytest.param(b"name,price\nx,3\n", "header of unknown names on line 1: ['name', 'price']", id="wrong columns"),
        pytest.param(b"7,2,3,4,5\n", "no header and 5 columns", id="five columns"),
        pytest.param(b"1,2,x,y\n", "no header and 4 columns", id="third column no number"),
        pytest.param(b"7,8\n7,9\n", "user 7, item 8   or   user 8, item 7", id="pairs of numbers"),
        pytest.param(b"7,8,5,1341100800\n", "--columns user=2,item=1,rating=3,timestamp=4", id="plain ids by commas"),
        pytest.param(b"7\t8\t1341100800\n", "read both ways", id="no rating behind"),
        pytest.param(b"just some prose\nover two lines\nand more\nof it\n", "neither JSON lines nor", id="prose"),
    ],
)
def test_what_is_no_reviews_file_is_refused_saying_so(detect, content, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        detect(content)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("user=who", "names no item"),
        ("user=who,item=what,colour=red", "'colour=red'"),
        ("user=who,user=what", "'user=what'"),
        ("user=who,item=who", "each with a column of its own"),
        ("user=who,item=", "'item='"),
        ("", "has the part ''"),
        ("user=nobody,item=what", "user=nobody; found ['who', 'what']"),
        ("user=1,item=9", "item=9; found ['1', '2']"),
    ],
)
def test_wrong_column_settings_are_refused_saying_so(detect, columns, message):
    content = b"x,y\nx,z\n" if columns.startswith("user=1") else b"who,what\na,b\n"
    with pytest.raises(InvalidInput, match=re.escape(message)):
        detect(content, columns)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        detect_format(tmp_path / "nowhere.csv")
    with pytest.raises(InvalidInput, match="not a file but a folder"):
        detect_format(tmp_path)


def test_message_shows_only_the_beginning_of_a_huge_row(detect):
    with pytest.raises(InvalidInput) as caught:
        detect(b",".join([b"x" * 10_000] * 7) + b"\n")
    assert len(str(caught.value)) < 1_000


def test_parquet_says_its_columns_itself(tmp_path):
    path = tmp_path / "reviews"
    times = pa.array([1_500_000_000_000], pa.timestamp("ms"))
    pq.write_table(pa.table({"n": [1], "user_id": [7], "asin": ["B1"], "stars": [4.5], "date": times}), path)
    found = detect_format(path)
    assert (found.kind, found.time_form, found.names) == ("parquet", "iso", ("n", "user_id", "asin", "stars", "date"))
    assert found.understood.first_rows == (
        {"user": "7", "item": "B1", "rating": "4.5", "timestamp": "2017-07-14 02:40:00"},
    )
    assert detect_format(path, ReadingOptions(input_columns="user=n,item=asin")).roles == {"user": "n", "item": "asin"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": ["a"], "item_id": [["x", "y"]]}, "the column 'item_id' of the type list"),
        ({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())}, "without a row"),
        ({"who": ["a"], "item_id": ["x"]}, "known to hold the user"),
    ],
)
def test_parquet_that_holds_no_reviews_is_refused(tmp_path, columns, message):
    path = tmp_path / "reviews"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InvalidInput, match=re.escape(message)):
        detect_format(path)


def test_parquet_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "reviews"
    pq.write_table(pa.table({"user_id": ["a"], "item_id": ["x"]}), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InvalidInput, match="cut off or damaged"):
        detect_format(path)


def test_options_of_delimited_text_are_refused_for_json(detect):
    with pytest.raises(InvalidInput, match="is JSON lines, but --delimiter and --header-line is set"):
        detect(AMAZON_2014, delimiter="comma", header_line=1)
