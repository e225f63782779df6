import gzip
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews.products import Products, read_products
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
        *('{"asin": "B1", "title": "kept"}' for _ in range(9)),
        '{"asin": "B2", "title": "cut sho',
        "{'asin': 'B3', 'title': __import__('os').getcwd()}",
        '["asin"]',
        '{"title": "no id"}',
        '{"asin": 17, "title": "numeric id"}',
        "[" * 5000,
        "-" * 200_000 + "1",
        '{"asin": "' + "9" * 5000,
    )
    assert read_products(path) == Products({"B1": "kept", "17": "numeric id"}, n_skipped=7)


def test_read_products_reads_lines_of_some_mib(tmp_path):
    path = _write(tmp_path / "m.gz", '{"asin": "B1"}', json.dumps({"asin": "B2", "title": "next", "x": "y" * 2**22}))
    assert read_products(path).titles == {"B2": "next"}


def test_read_products_takes_ids_by_the_name_that_holds_those_wanted(tmp_path):
    lines = [{"asin": "", "isbn": f"03{n}", "book_id": n, "title": f"t{n}"} for n in range(9)]
    lines.append({"asin": "B0", "isbn": "", "book_id": 9.0, "title": "t9"})
    path = _write(tmp_path / "m.gz", *map(json.dumps, lines))
    titles = {str(n): f"t{n}" for n in range(10)}
    assert read_products(path) == read_products(path, set(titles)) == Products(titles)
    assert read_products(path, {"038", "B0"}).titles == {"038": "t8", "B0": "t9"}


def test_read_products_refuses_a_quote_that_is_not_closed_far_behind_the_start(tmp_path):
    rows = [f"B{n},A lens for cameras of all makes and kinds" for n in range(60_000)]
    rows[40_000] = 'B,"open'
    with pytest.raises(InvalidInput, match=r"a quote in line 40002 that is not closed"):
        read_products(_write(tmp_path / "m.csv.gz", "asin,title", *rows))


def test_read_products_says_what_is_only_probable_of_the_encoding(tmp_path):
    (tmp_path / "products").write_bytes("asin,title\nB1,Caf\xe9\nB2,Th\xe9\n".encode("latin-1"))
    assert "only probably windows-1252" in read_products(tmp_path / "products").warnings[0]


def test_read_products_reads_what_it_says_of_parquet_and_no_more(tmp_path, monkeypatch):
    names = {"parent_asin": ["B1"], "Title": ["Lens"], "also_view": [["B2"]], "description": [["long"] * 9]}
    pq.write_table(pa.table(names), tmp_path / "products")
    read, iterate = [], pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda self, *a, columns: read.append(columns) or iterate(self, *a, columns=columns),
    )
    assert read_products(tmp_path / "products") == Products({"B1": "Lens"}, viewed={"B1": ("B2",)})
    assert read == [["parent_asin", "Title", "also_view"]]


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


TITLES = {"001": "Café, “the” book", "2": 'Two "quoted"\nlines'}
ON_ONE_LINE = {"001": "Café, “the” book", "2": 'Two "quoted" lines'}
OBJECTS = [{"movieId": one, "title": title, "genres": "Drama|War"} for one, title in TITLES.items()]
CSV = 'movieId,title,genres\r\n001,"Café, “the” book",Drama|War\r\n\r\n 2,"Two ""quoted""\nlines",Drama|War\r\n'


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(OBJECTS), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("".join(json.dumps(one) + "\n" for one in OBJECTS).encode("utf-16"), id="JSON lines in UTF-16"),
        pytest.param(json.dumps(OBJECTS, indent=2).encode("utf-8-sig"), id="an array over lines, with a mark"),
        pytest.param("\n".join(json.dumps(one, indent=1) for one in OBJECTS).encode(), id="objects over lines"),
        pytest.param(CSV.encode(), id="CSV"),
        pytest.param(CSV.encode("windows-1252"), id="CSV in Windows-1252"),
        pytest.param(b"sep=;\n" + CSV.replace(",", ";").replace("Café;", "Café,").encode(), id="semicolons"),
        pytest.param(
            ("# products of the shop\n" + CSV.replace("movieId", "item_id:token")).encode(), id="a comment first"
        ),
        pytest.param(_parquet(), id="Parquet"),
    ],
)
def test_read_products_reads_what_reviews_may_be_written_as(content, tmp_path):
    (tmp_path / "products").write_bytes(content)
    read = read_products(tmp_path / "products")
    assert replace(read, warnings=()) == Products(ON_ONE_LINE, categories=dict.fromkeys(TITLES, ("Drama", "War")))


def test_read_products_counts_rows_that_are_none(tmp_path):
    (tmp_path / "products").write_text("asin,title\nB1,Lens\nB2\n,no id\nB3,Case\nB4,Cap\n")
    assert read_products(tmp_path / "products") == Products({"B1": "Lens", "B3": "Case", "B4": "Cap"}, n_skipped=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("number,title\n1,Lens\n", r"no column known to hold the ids of items; found \['number', 'title'\]"),
        ('{"number": 1, "title": "Lens"}\n' * 3, "none of 3 records is a product with an id"),
        ('{"products": [{"asin": "1", "title": "L"}]}\n', "keeps its rows under 'products'"),
        ("<html>not found</html>", "an HTML page"),
    ],
)
def test_read_products_refuses_what_has_no_items(content, message, tmp_path):
    (tmp_path / "products").write_text(content)
    with pytest.raises(InvalidInput, match=message):
        read_products(tmp_path / "products")
