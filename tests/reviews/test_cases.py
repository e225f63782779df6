"""Files as people have them: each kind of fault, in files that the tests write."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from whole_file import Ingested, ingest_file

from reviews.side_files import read_pairs
from schema.errors import InvalidInput

Write = Callable[..., Path]
Row = tuple[str, str, float, int]

FIRST, DAY = 1_500_000_000, 86_400
ROWS: Sequence[Row] = [
    (f"u{user}", f"i{item}", float((user + item) % 5 + 1), FIRST + (7 * user + item) * DAY)
    for user in range(8)
    for item in range(6)
]
DIGITS = [(user[1:], item[1:], rating, time) for user, item, rating, time in ROWS]
NAMES = ("user_id", "item_id", "rating", "timestamp")
WHOLE = (48, 8, 6)


@pytest.fixture
def ingest(tmp_path: Path) -> Callable[..., Ingested]:
    def of_text(text: str | bytes, encoding: str = "utf-8", **options: object) -> Ingested:
        """Ingest a file of this text."""
        path = tmp_path / "reviews"
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return ingest_file(path, tmp_path / "out", **options)

    return of_text


def table(delimiter: str = ",", names: Sequence[str] = NAMES, rows: Sequence[Sequence[object]] = ROWS) -> str:
    lines = [names, *rows] if names else rows
    return "".join(delimiter.join(map(str, line)) + "\n" for line in lines)


def shown(rows: Sequence[Row]) -> list[tuple[str, str, float, int]]:
    return sorted(rows)


def found(ingested: Ingested) -> list[tuple[str, str, float, int]]:
    return sorted(ingested.reviews[["user_id", "item_id", "rating", "timestamp"]].itertuples(index=False, name=None))


@pytest.mark.parametrize("delimiter", [",", ";", "|"])
@pytest.mark.parametrize("width", [2, 3, 4])
def test_plain_numbers_without_a_header_are_refused_with_both_readings(ingest, delimiter, width):
    text = table(delimiter, (), [row[:width] for row in DIGITS])
    with pytest.raises(InvalidInput, match="--columns") as error:
        ingest(text)
    assert "user" in str(error.value)
    assert "item" in str(error.value)
    told = ingest(text, input_columns="user=2,item=1")
    assert told.sizes == (48, 6, 8)


@pytest.mark.parametrize("delimiter", ["::", "\t", " "])
def test_without_a_header_the_user_comes_first_where_movielens_writes_so_and_that_is_said(ingest, delimiter):
    read = ingest(table(delimiter, (), DIGITS))
    assert found(read) == shown(DIGITS)
    assert read.format.understood.warnings
    assert read.format.understood.first_rows


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_without_a_header_ids_of_amazon_or_that_name_themselves_say_which_is_the_user(ingest, delimiter, order):
    amazon = [(f"A{user[1:]}XK2LMQ0P7T", f"B00{item[1:]}KL9TZQ", *rest) for user, item, *rest in ROWS]
    for rows in (amazon, ROWS):
        turned = [(row[order[0]], row[order[1]], *row[2:]) for row in rows]
        assert found(ingest(table(delimiter, (), turned))) == shown(rows)


PREAMBLES = (
    "sep=,\n",
    "# made up\n",
    "% made up\n",
    "// made up\n",
    "Ratings of our shop\n",
    "\n\n",
    "# one\n\n# two\n",
)


@pytest.mark.parametrize("preamble", PREAMBLES)
def test_a_preamble_hides_no_header_and_becomes_no_row(ingest, preamble):
    read = ingest(preamble + table())
    assert found(read) == shown(ROWS)
    assert read.quarantine.empty
    assert read.reviews["line"].min() == preamble.count("\n") + 2


@pytest.mark.parametrize(
    "names",
    [
        *("reviewerID,asin,overall,unixReviewTime", "customer_id,product_id,star_rating,review_date"),
        *("userId,movieId,rating,timestamp", "user_id,business_id,stars,date", "user_id,parent_asin,rating,timestamp"),
        *("user_id,book_id,rating,timestamp", "User-ID,ISBN,Book-Rating,time", "userID,artistID,weight,timestamp"),
        *("visitorid,itemid,rating,timestamp", "user_id:token,item_id:token,rating:float,timestamp:float"),
    ],
)
def test_names_of_public_data_are_known_in_any_order(ingest, names):
    turned = [row[::-1] for row in ROWS]
    assert found(ingest(table(",", names.split(",")[::-1], turned))) == shown(ROWS)


def test_one_known_name_makes_a_header_and_the_other_is_known_from_goodreads(ingest):
    read = ingest(table(",", ("book_id", "user_id"), [(item, user) for user, item, _, _ in ROWS]))
    assert (read.sizes, len(read.quarantine)) == (WHOLE, 0)


@pytest.mark.parametrize("names", [("reader", "volume"), ("reader", "user_id"), ("wer", "was")])
def test_a_header_of_unknown_names_is_no_review_and_asks_for_columns(ingest, names):
    text = table(",", names, [row[:2] for row in ROWS])
    with pytest.raises(InvalidInput, match="--columns") as error:
        ingest(text)
    assert names[0] in str(error.value)
    assert ingest(text, input_columns=f"user={names[0]},item={names[1]}").sizes == WHOLE


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t", "::", " ", "   "])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_any_usual_delimiter_is_found_with_and_without_a_mark(ingest, delimiter, mark):
    assert found(ingest(mark + table(delimiter))) == shown(ROWS)


@pytest.mark.parametrize("width", [2, 4])
def test_a_header_that_comes_again_between_files_put_together_is_no_review(ingest, width):
    text = table(",", NAMES[:width], [row[:width] for row in ROWS])
    read = ingest(text + text.replace("\nu", "\nv"))
    assert (read.sizes, list(read.quarantine["line"])) == ((96, 16, 6), [50])
    assert set(read.quarantine["reason"]) == {"the header again"}


@pytest.mark.parametrize("quoted", ['"a::b"', '"a ""b"""'])
def test_double_colons_within_quotes_are_text(ingest, quoted):
    rows = [(user, quoted if item == "i0" else item, rating, time) for user, item, rating, time in ROWS]
    read = ingest(table("::", rows=rows))
    assert (len(read.quarantine), read.sizes) == (0, WHOLE)
    assert quoted[1:-1].replace('""', '"') in set(read.reviews["item_id"])


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_fractions(ingest, delimiter):
    rows = [(user, item, rating - 0.5, time) for user, item, rating, time in ROWS]
    text = table(delimiter, NAMES, [(user, item, str(rating).replace(".", ","), t) for user, item, rating, t in rows])
    assert found(ingest(text)) == shown(rows)


def test_quotes_that_enclose_nothing_are_characters(ingest):
    titles = ('24" LED', 'say "hi"', '"great" stuff', "plain")
    rows = [(user, item, titles[place % 4], rating, time) for place, (user, item, rating, time) in enumerate(ROWS)]
    for delimiter in ("\t", "|"):
        read = ingest(table(delimiter, ("user_id", "item_id", "title", "rating", "timestamp"), rows))
        assert found(read) == shown(ROWS)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_no_line_of_a_quoted_text_becomes_a_review(ingest, end):
    said = f'"Pros, and ""cons"":{end}cheap,light,5,1500000000,yes{end}{end}all good"'
    rows = [(*row, said if place % 7 == 0 else "fine") for place, row in enumerate(ROWS)]
    read = ingest(table(",", (*NAMES, "text"), rows).replace(end, "\n").replace("\n", end))
    assert found(read) == shown(ROWS)
    assert read.reviews["line"].is_monotonic_increasing
    assert read.reviews["line"].max() == 1 + 48 + 7 * 3


def test_a_quote_that_is_never_closed_takes_no_row_and_puts_none_together(ingest):
    rows = [*((*row, "fine") for row in ROWS[:-2]), (*ROWS[-2], '"never closed'), (*ROWS[-1], "fine")]
    read = ingest(table(",", (*NAMES, "text"), rows), max_bad_share=0.5)
    assert set(found(read)) <= set(ROWS)
    assert len(read.reviews) in (46, 48)


@pytest.mark.parametrize(
    ("ratings", "scale"),
    [
        ((0.5, 1.0, 2.5, 4.0, 5.0), "0.5 to 5"),
        ((0.0, 3.0, 7.0, 10.0, 9.0), "0 to 10"),
        ((1.0, 4.0, 7.0, 10.0, 9.0), "1 to 10"),
        ((1.0, 20.0, 90.0, 100.0, 9.0), "0 to 100"),
        (tuple(float(n**3) for n in range(1, 30)), "0 or more"),
    ],
)
def test_ratings_are_taken_by_the_scale_that_the_file_has(ingest, ratings, scale):
    rows = [(user, item, ratings[place % len(ratings)], time) for place, (user, item, _, time) in enumerate(ROWS)]
    read = ingest(table(rows=rows))
    assert found(read) == shown(rows)
    assert scale in read.said


def test_a_few_impossible_ratings_change_no_scale_and_what_they_take_with_them_is_said(ingest):
    rows = [(user, f"{item}-{copy}", rating, time) for copy in range(5) for user, item, rating, time in ROWS]
    for place in (7, 70):
        rows[place] = (*rows[place][:2], 55.0, rows[place][3])
    read = ingest(table(rows=rows))
    assert (len(read.reviews), len(read.quarantine)) == (238, 2)
    assert "outside" in read.quarantine["reason"][0]
    assert read.n_lost


@pytest.mark.parametrize("end", ["min_rating", "max_rating"])
def test_ends_of_a_scale_are_refused_for_a_file_without_ratings(ingest, end):
    with pytest.raises(InvalidInput, match="no column of ratings"):
        ingest(table(",", NAMES[:2], [row[:2] for row in ROWS]), **{end: 3.0})


def test_one_rating_far_off_a_few_is_warned_of(ingest):
    rows = [(*row[:2], 55.0 if place == 7 else row[2], row[3]) for place, row in enumerate(ROWS[:30])]
    read = ingest(table(rows=rows))
    assert (len(read.reviews), "--max-rating 5" in read.said) == (30, True)


def test_blanks_at_the_ends_of_ids_are_cut_off_and_counted(ingest):
    rows = [(user, f" {item}" if user > "u3" else item, f" {rating} ", f" {time}") for user, item, rating, time in ROWS]
    read = ingest(table(",", ("user_id", " item_id", " rating", " timestamp"), rows))
    assert found(read) == shown(ROWS)
    assert "24 ids had blanks" in read.said


@pytest.mark.parametrize("spelt", ["9.78013E+12", "9,78013E+12", "9.78E+12"])
def test_ids_that_a_spreadsheet_rounded_are_refused_for_that_reason(ingest, spelt):
    rows = [
        (user, spelt if item == "i0" else f"97801300000{item[1:]}", rating, time) for user, item, rating, time in ROWS
    ]
    with pytest.raises(InvalidInput, match="spreadsheet"):
        ingest(table(";", rows=rows))
    read = ingest(table(";", rows=rows), max_bad_share=0.5)
    assert (len(read.reviews), len(read.quarantine), read.sizes[2]) == (40, 8, 5)


@pytest.mark.parametrize(
    ("form", "unit"),
    [
        *(("%Y-%m-%d %H:%M:%S", 1), ("%Y-%m-%dT%H:%M:%S", 1), ("%Y-%m-%dT%H:%M:%SZ", 1), ("%Y-%m-%dT%H:%M:%S.000Z", 1)),
        *(("%Y-%m-%dT%H:%M:%S+00:00", 1), ("%Y-%m-%d", DAY), ("%Y-%m-%d %H:%M", 60)),
    ],
)
def test_dates_as_iso_8601_writes_them_are_unix_seconds_in_utc(ingest, form, unit):
    rows = [(*row[:3], f"{pd.Timestamp(row[3], unit='s'):{form}}") for row in ROWS]
    expected = [(*row[:3], row[3] // unit * unit) for row in ROWS]
    assert found(ingest(table(rows=rows))) == shown(expected)


@pytest.mark.parametrize(("spelt", "per_second"), [("{}.25", 1), ("{}000", 1), ("{}000000", 1), ("{}000000000", 1)])
def test_fractions_and_units_of_timestamps_come_out_as_whole_seconds(ingest, spelt, per_second):
    rows = [(*row[:3], spelt.format(row[3])) for row in ROWS]
    assert found(ingest(table(rows=rows))) == shown(ROWS)


@pytest.mark.parametrize("form", ["%m/%d/%Y", "%d.%m.%Y"])
def test_dates_of_other_forms_are_refused_with_what_to_do(ingest, form):
    rows = [(*row[:3], f"{pd.Timestamp(row[3], unit='s'):{form}}") for row in ROWS]
    with pytest.raises(InvalidInput, match="2015-08-31T10:00:00Z"):
        ingest(table(rows=rows))


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("user", ["u", "Ü"])
def test_other_encodings_are_read_and_named(ingest, encoding, user):
    rows = [(row[0].replace("u", user), *row[1:]) for row in ROWS]
    read = ingest(table(",", (*NAMES, "title"), [(*row, "Café") for row in rows]), encoding)
    assert found(read) == shown(rows)
    assert "encoding" in read.said.lower()


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_an_array_of_json_is_read_over_any_lines(ingest, indent):
    records = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    assert found(ingest(json.dumps(records, indent=indent))) == shown(ROWS)


def test_objects_over_lines_and_python_literals_are_read(ingest):
    records = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    assert found(ingest("\n".join(json.dumps(record, indent=1) for record in records))) == shown(ROWS)
    assert found(ingest("\n".join(map(repr, records)))) == shown(ROWS)


@pytest.mark.parametrize("names", ["item_id,user_id", "movieId,userId", "asin,reviewerID", "ISBN,User-ID"])
@pytest.mark.parametrize("form", [("utf-8", ","), ("utf-8-sig", ","), ("utf-8-sig", ";"), ("utf-16", "\t")])
def test_lists_are_read_by_the_same_rules_and_ids_keep_their_zeros(tmp_path, names, form):
    encoding, delimiter = form
    rows = [(f"05288810{item[1:]:0>2}", user) for user, item, _, _ in ROWS]
    path = tmp_path / "lists"
    path.write_text(table(delimiter, names.split(","), rows), encoding)
    read = read_pairs(path).table.to_pandas()
    assert list(zip(read["item_id"], read["user_id"], strict=True)) == rows
