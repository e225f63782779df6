import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews.side_files import MAX_LINE_BYTES, Products, read_pairs, read_products
from schema.errors import InvalidInput


def _write(path: Path, *lines: str) -> Path:
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return path


def test_read_products_reads_json_and_python_literals(tmp_path):
    path = _write(
        tmp_path / "meta.json.gz",
        '{"asin": "0528881469", "title": "Rand McNally GPS"}',
        """{'asin': 'B000001', 'title': "Kid's tablet", 'price': 5.0, 'related': {'also_viewed': []}}""",
        '{"parent_asin": "B000002", "title": "Cable"}',
    )
    titles = {"0528881469": "Rand McNally GPS", "B000001": "Kid's tablet", "B000002": "Cable"}
    assert read_products(path) == Products(titles)


def test_read_products_reads_a_plain_file(tmp_path):
    path = tmp_path / "meta.json"
    path.write_text('{"asin": "B1", "title": "Lens"}')
    assert read_products(path).titles == {"B1": "Lens"}


def test_read_products_skips_and_counts_what_is_no_product(tmp_path):
    path = _write(
        tmp_path / "meta.json.gz",
        '{"asin": "B1", "title": "kept"}',
        '{"asin": "B2", "title": "cut sho',
        "{'asin': 'B3', 'title': __import__('os').getcwd()}",
        '["asin"]',
        '{"title": "no id"}',
        '{"asin": 17, "title": "numeric id"}',
        "[" * 5000,
        "-" * 200_000 + "1",
        '{"asin": "' + "9" * 5000,
    )
    assert read_products(path) == Products({"B1": "kept"}, n_skipped=8)


def test_read_products_passes_over_lines_that_are_too_long_and_reads_on(tmp_path):
    long_line = json.dumps({"asin": "B1", "title": "x" * (3 * MAX_LINE_BYTES)})
    path = _write(tmp_path / "meta.json.gz", long_line, '{"asin": "B2", "title": "next"}')
    assert read_products(path) == Products({"B2": "next"}, n_skipped=1)


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_read_products_keeps_a_line_of_exactly_the_longest_length(tmp_path, surplus):
    frame = len('{"asin": "B1", "title": ""}\n')
    line = json.dumps({"asin": "B1", "title": "x" * (MAX_LINE_BYTES - frame + surplus)})
    assert read_products(_write(tmp_path / "meta.json.gz", line)).n_skipped == (surplus > 0)


def test_read_products_leaves_out_items_without_title_and_skips_blank_lines(tmp_path):
    path = _write(tmp_path / "meta.json.gz", '{"asin": "B1"}', "", '{"asin": "B2", "title": "  "}')
    assert read_products(path) == Products()


def test_read_products_puts_a_title_on_one_line_that_utf8_can_hold(tmp_path):
    path = _write(tmp_path / "meta.json.gz", r'{"asin": "B1", "title": " Hub,\n\t7 ports \ud800 "}')
    assert read_products(path).titles == {"B1": "Hub, 7 ports ?"}


def test_read_products_reads_what_was_viewed_as_well_of_both_releases_that_say_so(tmp_path):
    path = _write(
        tmp_path / "meta.json.gz",
        """{'asin': 'A', 'related': {'also_bought': ['X'], 'also_viewed': ['B', 'C', 'B']}}""",
        '{"asin": "B", "also_view": ["A", 7, ""], "also_buy": ["X"]}',
        '{"asin": "C", "related": "A", "also_view": "A"}',
    )
    assert read_products(path).viewed == {"A": ("B", "C"), "B": ("A",)}


def test_read_products_reads_brands_and_categories_of_every_release(tmp_path):
    path = _write(
        tmp_path / "meta.json.gz",
        """{'asin': 'A', 'brand': 'Sony', 'categories': [['Shop', 'Audio', 'Mini'], ['Shop', 'Home']]}""",
        '{"asin": "B", "brand": " by\\n Sony ", "category": ["Shop", "Camera &amp; Photo", "Shop"]}',
        '{"parent_asin": "C", "brand": "", "store": "Sony", "categories": ["Shop", "Cables"], "main_category": "All"}',
        '{"asin": "D", "brand": ["Sony"], "category": "Shop", "categories": null}',
        json.dumps({"asin": "E", "brand": 3, "categories": {"a": 1}, "category": [[[]], 1, None, "", "x" * 101]}),
        json.dumps({"asin": "F", "categories": [[f"c{n}" for n in range(40)]]}),
    )
    products = read_products(path)
    assert products.brands == {"A": "Sony", "B": "by Sony", "C": "Sony"}
    assert products.categories == {
        "A": ("Shop", "Audio", "Mini", "Home"),
        "B": ("Shop", "Camera & Photo"),
        "C": ("Shop", "Cables"),
        "D": ("Shop",),
        "F": tuple(f"c{n}" for n in range(32)),
    }


def test_read_products_keeps_those_that_are_wanted_and_of_what_comes_twice_the_last_that_is_said(tmp_path):
    lines = [
        '{"asin": "A", "title": "old", "brand": "Sony"}',
        '{"asin": "A", "title": "new"}',
        '{"asin": "B", "title": "b"}',
    ]
    products = read_products(_write(tmp_path / "meta.json.gz", *lines, "no product"), {"A", "C"})
    assert products == Products({"A": "new"}, {"A": "Sony"}, {}, n_skipped=1)


def test_read_products_keeps_the_last_title(tmp_path):
    path = _write(tmp_path / "m.gz", '{"asin": "B1", "title": "old"}', '{"asin": "B1", "title": "new"}')
    assert read_products(path).titles == {"B1": "new"}


def test_read_products_refuses_a_missing_and_a_truncated_file(tmp_path):
    with pytest.raises(InvalidInput, match="No products file at"):
        read_products(tmp_path / "meta.json.gz")
    path = _write(tmp_path / "cut.json.gz", *(f'{{"asin": "B{n}", "title": "t"}}' for n in range(500)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InvalidInput, match="cut off or damaged"):
        read_products(path)


ROWS = [{"user_id": "A01", "item_id": "007"}, {"user_id": "B", "item_id": "8"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lists.csv", b"user_id,item_id\nA01,007\nB,8\n"),
        ("lists.tsv", b"user\titem\nA01\t007\nB\t8\n"),
        ("lists.csv", b'"asin","reviewerID"\r\n007,A01\r\n8,B\r\n'),
        ("lists.csv.gz", gzip.compress(b"userId,itemId\nA01,007\nB,8\n", mtime=0)),
    ],
)
def test_ids_are_text_by_whatever_usual_name(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    assert read_pairs(tmp_path / name).to_pylist() == ROWS


def test_parquet_is_known_by_its_content_and_numbers_become_text(tmp_path):
    pq.write_table(pa.table({"user_id": [1, 2], "item_id": [3, 4], "score": [1, 2]}), tmp_path / "lists")
    assert read_pairs(tmp_path / "lists").to_pylist() == [
        {"user_id": "1", "item_id": "3", "score": 1.0},
        {"user_id": "2", "item_id": "4", "score": 2.0},
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as a table"),
        (b"user_id,thing\n1,2\n", r"lacks item_id \(found \['user_id', 'thing'\]\)"),
        (b"user_id,item_id,score\n1,2,high\n", "column score is not numbers"),
        (b"user_id,item_id,score\n1,2,nan\n", "without a finite number"),
        (b"PAR1 and nothing more", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_of_ids_is_refused(content, message, tmp_path):
    (tmp_path / "lists.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_pairs(tmp_path / "lists.csv")
