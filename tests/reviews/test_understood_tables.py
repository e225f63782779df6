"""What the first lines of a delimited file say: its delimiter, quotes, header and columns, or why it is refused."""

import re
from pathlib import Path

import pytest

from reviews.formats import Format, detect_format
from reviews.options import ReadingOptions
from schema.errors import InvalidInput

HEADER = "user_id,item_id,rating,timestamp\n"
ROWS = "".join(f"{user},{item},{(user + item) % 5 + 1},{1500000000 + item}\n" for user in range(4) for item in range(3))


@pytest.fixture
def detect(tmp_path: Path):
    def of_text(text: str, **options: object) -> Format:
        path = tmp_path / "reviews.dat"
        path.write_bytes(text.encode())
        return detect_format(path, ReadingOptions.model_validate(options))

    return of_text


def said_of(found: Format, name: str) -> str:
    part = next(one for one in found.understood.parts if one.name == name)
    return f"{part.value}: {part.evidence}"


@pytest.mark.parametrize(
    ("before", "header_line", "skipped_lines"),
    [
        pytest.param("", 1, 0, id="none"),
        pytest.param("sep=,\n", 2, 1, id="Excel"),
        pytest.param('"sep=,"\n', 2, 1, id="Excel, quoted"),
        pytest.param("# made up\n% and again\n\n", 4, 3, id="comments"),
        pytest.param("Ratings, made 2020\nof our shop\n", 3, 2, id="titles"),
        pytest.param("[export]\n", 2, 1, id="brackets"),
    ],
)
def test_header_is_found_behind_what_stands_before_it(detect, before, header_line, skipped_lines):
    found = detect(before + HEADER + ROWS)
    assert (found.header_line, found.skipped_lines) == (header_line, skipped_lines)
    assert found.names == ("user_id", "item_id", "rating", "timestamp")
    assert found.understood.first_rows[0]["timestamp"] == "2017-07-14 02:40:00"


@pytest.mark.parametrize("sign", ["#", "# ", "%", "//"])
def test_a_comment_may_be_the_header(detect, sign):
    found = detect(sign + HEADER + ROWS)
    assert (found.header_line, found.skipped_lines, found.names[0]) == (1, 0, "user_id")


def test_a_header_may_go_over_lines_and_stand_in_quotes(detect):
    found = detect(HEADER.replace("user_id", '"user\nid"').replace("item_id", '"item_id"') + ROWS)
    assert (found.header_line, found.skipped_lines, found.roles["item"]) == (2, 0, "item_id")


@pytest.mark.parametrize("options", [{}, {"input_columns": "user=1,item=2"}])
def test_a_header_of_words_above_words_is_no_row(detect, options):
    text = "Customer,Which product\n" + "ann,heat\nbob,heat\nann,up\n" * 4
    if not options:
        with pytest.raises(InvalidInput, match="it says what the columns hold"):
            detect(text)
    else:
        assert detect(text, **options).header_line == 1


@pytest.mark.parametrize("row", ["u{n},i{n}", "A{n:013d},B{n:09d}", "A{n:013d},{n:010d}"])
def test_a_header_above_ids_that_look_alike_is_no_row(detect, row):
    rows = "".join(row.format(n=37 * n) + "\n" for n in range(9))
    with pytest.raises(InvalidInput, match=r"unlike all other rows|no number where the rows have"):
        detect("col1,col2\n" + rows)
    assert detect(rows).header_line == 0
    assert detect("guest," + rows.partition(",")[2]).header_line == 0


@pytest.mark.parametrize("first", ["AOQEF7DTXZMEN9,B00DWDMVUC", "guest,0867157813", "A6V8BSE3CQC0SG,none"])
def test_a_first_row_unlike_some_others_is_a_row(detect, first):
    rows = "".join(f"A{n}V8BSE3CQC0S,086715781{n}\n" for n in range(9)) + "A6V8BSE3CQC0SG,B00DWDMVUC\n"
    assert detect(f"{first}\n{rows}", input_columns="user=1,item=2").header_line == 0


def test_a_header_of_unknown_names_above_numbered_columns_is_said(detect):
    found = detect("a,b,c,d\n" + ROWS, input_columns="user=1,item=2")
    assert "is taken for a header, as it has no number" in found.understood.warnings[0]


def test_a_header_by_another_delimiter_than_the_rows_is_refused(detect):
    with pytest.raises(InvalidInput, match="delimited otherwise than the rows"):
        detect("item_id,user_id,rating\n" + "7\t8\t5\n" * 5)


def test_a_comment_may_be_set_as_the_header(detect):
    assert detect("#user,thing,rating\n" + "u1,i1,5\n" * 3, header_line=1, input_columns="user=user,item=thing")


def test_a_delimiter_at_the_end_of_each_row_is_no_column(detect):
    found = detect(HEADER + ROWS.replace("\n", ",\n"))
    assert found.names == ("user_id", "item_id", "rating", "timestamp", "")


def test_comments_of_a_file_without_a_header_are_skipped_and_a_row_among_them_is_said(detect):
    found = detect("% 3 4 5\n#u9,i9,5,1500000000\n" + "u1,i1,5,1500000000\n" * 3)
    assert (found.header_line, found.skipped_lines) == (0, 2)
    assert "#u9,i9,5,1500000000" in found.understood.warnings[0]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        pytest.param("who,what,how,when\n", "unknown names on line 1: ['who', 'what', 'how', 'when']", id="unknown"),
        pytest.param("0,1,2,3\n", "it counts the columns", id="numbers of columns"),
        pytest.param("1,2,3,4\n", "it counts the columns", id="numbers of columns from 1"),
        pytest.param("user_id,item_id,rating\n", "header of 3 names on line 1", id="names of rows, as R writes them"),
        pytest.param("user_id,userId,item_id,x\n", "may hold the user: 'user_id', 'userId'", id="two users"),
        pytest.param("user_id,item_id,rating,rating\n", "may hold the rating", id="one name twice"),
    ],
)
def test_a_header_that_does_not_say_which_column_is_which_is_refused_and_numbers_help(detect, header, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        detect(header + ROWS)
    found = detect(header + ROWS, input_columns="user=1,item=2", header_line=1)
    assert (found.position("item"), found.header_line, dict(found.understood.first_rows[0])) == (
        1,
        1,
        {"user": "0", "item": "0"},
    )


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("asin,parent_asin,user_id,rating,timestamp", "parent_asin rating timestamp"),
        ("user,user_id,item,item_id,stars,rating", "item_id rating"),
        ("marketplace,user_id,product_id,product_parent,star_rating,review_date", "product_id star_rating review_date"),
        ("timestamp,user_id,event,itemid,transactionid", "itemid timestamp"),
        ("app_id,helpful,date,hours,user_id", "app_id date"),
        ("user_id:token,item_id:token,rating:float,timestamp:float", "item_id:token rating:float timestamp:float"),
    ],
)
def test_the_better_of_two_names_is_taken(detect, header, roles):
    row = ",".join("2015-08-31" if "date" in name else "1500000000" for name in header.split(","))
    found = detect(f"{header}\n{row}\n{row}\n")
    assert [found.roles[role] for role in ("item", "rating", "timestamp") if role in found.roles] == roles.split()


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        pytest.param("u1;i1;4,5\nu2;i2;3,0\nu3;i2;1,5\n", ";", id="decimal commas"),
        pytest.param("u1,i1,5,2015-08-31 10:00:00\n" * 3, ",", id="blanks in times"),
        pytest.param("u1, i1, 5\nu1,i2,3\nu2, i1, 4\n", ",", id="blanks behind commas"),
        pytest.param("u1\ti1\ta, b\nu2\ti2\tc, d\n", "\t", id="commas in text"),
        pytest.param("u1 \t i1 \t 5\nu2 \t i2 \t 4\n", "\t", id="blanks around tabs"),
        pytest.param("u1::i1::5\nu2::i2::4\n", "::", id="colons"),
        pytest.param("  u1   i1 5\nu2 i2   4  \n", " ", id="runs of blanks"),
        pytest.param("user_id\titem_id\n" + "Ann Lee\tHeat, 1995\nJoe Doe\tUp, 2009\n", "\t", id="names of two words"),
        pytest.param("u1\ti1\tgood: 5; 4\nu1\ti1\tbad: 5; 4\n", "\t", id="other signs in text"),
    ],
)
def test_delimiter_is_that_which_makes_most_of_the_file_a_table(detect, text, delimiter):
    options = {"input_columns": "user=1,item=2"} if "a, b" in text or "good" in text else {}
    assert detect(text, **options).delimiter == delimiter


def test_two_delimiters_that_fit_equally_are_refused_and_one_may_be_set(detect):
    text = "u1;i1|5\nu2;i2|4\n"
    with pytest.raises(InvalidInput, match=r"by semicolon +\['u1', 'i1\|5'\][\s\S]*--delimiter pipe"):
        detect(text)
    assert detect(text, delimiter="pipe", input_columns="user=1,item=2").delimiter == "|"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("user_id\titem_id\trating\ttitle\n" + 'u1\ti1\t5\t24" LED\n' * 5 + 'u1\ti1\t5\t"odd\n', id="one"),
        pytest.param(
            "user_id\titem_id\trating\ttitle\n" + ('u1\ti1\t5\t"odd\n' + "u1\ti1\t5\tok\n" * 5) * 2, id="two, far apart"
        ),
        pytest.param(
            'user_id,item_id,rating,title\nu1,i1,5,"odd\n' + "u1,i1,5,ok\n" * 100_000, id="more rows than are looked at"
        ),
    ],
)
def test_quotes_that_do_not_balance_are_characters_and_that_is_said(detect, text):
    found = detect(text)
    assert found.quote == ""
    assert "do not balance" in said_of(found, "quote")


def test_a_header_in_quotes_is_known_where_quotes_are_characters_in_the_rows(detect):
    found = detect('"user_id"\t"item_id"\t"title"\n' + 'u1\ti1\t"odd\n' * 5)
    assert (found.quote, found.names) == ("", ("user_id", "item_id", "title"))


def test_quotes_that_enclose_cells_over_lines_are_quotes(detect):
    said = "Pros:\ncheap,light,5,yes\nall good"
    found = detect(f'user_id,item_id,rating,text\nu1,i1,5,"{said}"\n' + "u1,i2,3,fine\n" * 5)
    assert found.quote == '"'
    assert "1 of the first records go over several lines" in said_of(found, "quote")


def test_a_broken_quote_among_quoted_cells_makes_no_characters_of_the_others(detect):
    rows = 'u1,i1,5,"good, cheap"\n' * 50 + 'u1,i1,5,"broken" quote"\n' + 'u1,i1,5,"good, cheap"\n' * 50
    assert detect("user_id,item_id,rating,text\n" + rows).quote == '"'


def test_lines_that_are_rows_by_one_rule_of_quoting_and_text_by_the_other_are_refused(detect):
    ok = "u1\ti1\tok\t5\n" * 3
    text = f'user_id\titem_id\ttitle\trating\n{ok}u2\ti2\t"odd\t4\n{ok}u2\ti2\todd"\t4\n{ok}'
    with pytest.raises(InvalidInput, match=r"From line 5[\s\S]*'\"odd'[\s\S]*--quote none"):
        detect(text)
    assert (detect(text, quote="none").quote, detect(text, quote='"').quote) == ("", '"')


def test_single_quotes_enclose_cells_where_they_are_around_all(detect):
    found = detect("'user_id','item_id','rating'\n" + "'u1','i,1','5'\n" * 4)
    assert (found.quote, found.roles["user"], found.understood.first_rows[0]["item"]) == ("'", "user_id", "i,1")
    assert detect(HEADER.replace("rating", "title") + "u1,i1,'tis,1500000000\nu1,i1,'tisn't',1500000000\n").quote == '"'


def test_quotes_behind_blanks_enclose_cells_and_are_no_part_of_ids(detect):
    text = "user_id, item_id, title\n" + 'u1, "i1", "Smith, J\nand others"\n' * 4
    found = detect(text)
    assert (found.quote, found.understood.first_rows[0]["item"], len(found.names)) == ('"', "i1", 3)
    with pytest.raises(InvalidInput, match="item ids within quotes that enclose no cell"):
        detect("user_id,item_id\n" + 'u1,"i1"\n' * 4, quote="none")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": "semicolon"}, "no table by the delimiter semicolon"),
        ({"delimiter": "ab"}, "--delimiter 'ab' is none that is read"),
        ({"quote": "''"}, "--quote \"''\" is none that is read"),
        ({"header_line": 0}, "has a header on line 1"),
        ({"header_line": 2}, "has a header on line 1"),
        ({"header_line": 99, "input_columns": "user=1,item=2"}, "has a header on line 1"),
        ({"timestamp_unit": "ms"}, "expected milliseconds since 1970"),
        ({"timestamp_unit": "iso"}, "expected ISO 8601"),
        ({"input_columns": "user=user_id,item=thing"}, "item=thing; found ['user_id', 'item_id', 'rating', 'timesta"),
    ],
)
def test_what_is_set_against_the_file_is_refused(detect, options, message):
    with pytest.raises(InvalidInput, match=re.escape(message)):
        detect(HEADER + ROWS, **options)


def test_what_is_set_is_taken_and_marked(detect):
    text = (HEADER + ROWS).replace(",", "^")
    found = detect(text, delimiter="^", quote="none", header_line=1, timestamp_unit="s", decimal="point")
    assert {part.flag for part in found.understood.parts if part.is_set} == {
        *("--delimiter", "--quote", "--header-line", "--timestamp-unit", "--decimal")
    }
    assert (found.delimiter, found.quote) == ("^", "")


def test_rows_of_many_widths_are_said(detect):
    found = detect(HEADER + ROWS + "u1,i1\n" * 3)
    assert found.understood.warnings == ("Only 81% of the first 16 lines have 4 cells as most have.",)


def test_numbers_without_a_name_are_taken_for_ratings_with_a_doubt_unless_they_are_stars(detect):
    assert not detect("u1,i1,4.5\nu2,i2,1\n").understood.warnings
    assert "from 0 to 9" in detect("u1,i1,0\nu2,i2,9\n").understood.warnings[0]


@pytest.mark.parametrize("row", ["u1,u2", "u1,i2,5\ni1,u2"])
def test_ids_of_one_kind_on_both_sides_say_nothing(detect, row):
    with pytest.raises(InvalidInput, match="read both ways"):
        detect(f"{row},5\n" * 6)


@pytest.mark.parametrize(
    "text",
    [
        "customer;sku;bought_at\nann;kettle;2025-11-02 09:14\nben;kettle;\nben;pan;2025-11-04\n",
        '{"customer": "ann", "sku": "kettle", "bought_at": "2025-11-02"}\n{"customer": "ben", "sku": "pan"}\n',
    ],
    ids=["cells", "objects"],
)
def test_a_column_of_dates_that_is_not_read_is_told_with_the_flag_that_reads_it(detect, text):
    columns = "user=customer,item=sku,timestamp=bought_at"
    [doubt] = [part.doubt for part in detect(text).understood.parts if part.name == "timestamp"]
    assert "'bought_at' is not read, and holds dates, as 2025-11-02" in doubt
    assert f"--columns {columns} reads it" in doubt
    read = detect(text, input_columns=columns)
    assert read.roles["timestamp"] == "bought_at"
    assert not any(part.doubt for part in read.understood.parts if part.name == "timestamp")
    assert not any(part.doubt for part in detect(text, input_columns="user=customer,item=sku").understood.parts)


def test_each_decision_has_its_evidence_and_a_flag(detect):
    found = detect("sep=;\n" + (HEADER + ROWS).replace(",", ";"))
    assert said_of(found, "delimiter") == "semicolon: line 1 says sep=;"
    assert said_of(found, "preamble") == "1 lines: skipped, beginning 'sep=;'"
    assert said_of(found, "user") == "user_id: the header on line 2"
    assert said_of(found, "time form") == "seconds since 1970: 12 of 12 values, as 1500000000"
    assert said_of(detect("user,item\na,b\n"), "rating") == "none: no column is known to hold it"
    assert all(part.evidence for part in found.understood.parts)
