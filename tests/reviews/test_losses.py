"""What is gone as a whole is found, whatever the reason; what chance alone put aside is not called a loss."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews.formats import Format
from reviews.ingest import REVIEWS_SCHEMA
from reviews.losses import find_losses, lost_values, recover
from schema.understood import Loss

NOW = 1_750_000_000
ROLES = {"user": "user", "item": "item", "rating": "rating", "timestamp": "timestamp"}
CSV = Format("delimited", ROLES, tuple(ROLES))
MAY, JUNE = 1_336_000_000, 1_340_000_000  # of 2012


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """48 reviews of 8 users and 6 items, with 4 and 5 stars, in May 2012."""
    rows = [(f"u{n % 8}", f"i{n % 6}", 4.0 + n % 2, MAY, n + 1) for n in range(48)]
    columns = [
        pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), REVIEWS_SCHEMA.types, strict=True)
    ]
    pq.write_table(pa.table(columns, schema=REVIEWS_SCHEMA), tmp_path / "reviews.parquet")
    return tmp_path / "reviews.parquet"


def failed(*rows: tuple[str, str, float, int], reason: str = "wrong") -> pa.Table:
    users, items, ratings, times = (list(values) for values in zip(*rows, strict=True))
    table = pa.table({"user_id": users, "item_id": items, "rating": ratings, "timestamp": [float(t) for t in times]})
    return lost_values(table, [reason] * len(rows))


def test_rating_value_of_which_no_row_is_left_is_a_loss(reviews):
    lost = failed(("u1", "i1", 0.5, MAY), ("u2", "i3", 0.5, MAY), ("u3", "i2", 5.0, MAY), reason="outside")
    assert find_losses(lost, reviews, 51, NOW) == [Loss("rating value", 1, ("0.5",), 2, "outside")]


def test_item_user_and_month_that_are_gone_are_losses(reviews):
    rows = [(f"u{n}", "gone", 4.0, MAY) for n in range(5)] + [("lost", f"i{n}", 4.0, MAY) for n in range(6)]
    rows += [(f"u{n % 8}", f"i{n % 6}", 5.0, JUNE) for n in range(9)]
    found = {
        loss.kind: (loss.n_gone, loss.examples, loss.n_rows) for loss in find_losses(failed(*rows), reviews, 999, NOW)
    }
    assert found == {
        "item": (1, ("gone",), 5),
        "user": (1, ("lost",), 6),
        "period": (1, ("2012-06",), 9),
    }


def test_users_of_a_row_or_two_that_are_put_aside_by_chance_are_no_loss(reviews):
    rows = [(f"once{n}", "i1", 4.0, MAY) for n in range(20)] + [("twice", "i2", 4.0, MAY)] * 2
    assert find_losses(failed(*rows), reviews, 400, NOW) == []


def test_rating_of_a_single_row_is_no_loss(reviews):
    assert find_losses(failed(("u1", "i1", 99.0, MAY)), reviews, 49, NOW) == []


def test_rows_without_a_value_are_no_loss_of_it(reviews):
    lost = failed(*[(" ", "i1", float("nan"), -1)] * 9)
    assert find_losses(lost, reviews, 57, NOW) == []
    assert find_losses(lost.slice(0, 0), reviews, 48, NOW) == []


@pytest.mark.parametrize(
    ("file_format", "texts"),
    [
        (CSV, ['u1,gone,"5,1336000000', "u2,gone,5", "u3,gone,five,1336000000,more"]),
        (
            Format("delimited", ROLES, tuple(ROLES), delimiter="::", quote=""),
            ["u1::gone::5::x", "u2::gone", "u3::gone::"],
        ),
        (
            Format("json", ROLES),
            ['{"user": "u1", "item": "gone", "rating": 5', '{"item": "gone",}', '{"item":"gone"}x'],
        ),
        (
            Format("loose-json", ROLES),
            ["{'user': 'u1', 'item': 'gone', 'rating': 5", "{'item': 'gone'", "{'item': 'gone'}"],
        ),
    ],
)
def test_item_of_records_that_cannot_be_read_is_found_in_their_text(reviews, file_format, texts):
    rejected = pa.table({"reason": ["broken"] * 3, "text": texts})
    (loss,) = [one for one in find_losses(recover(rejected, file_format), reviews, 999, NOW) if one.kind == "item"]
    assert loss == Loss("item", 1, ("gone",), 3, "broken")


@pytest.mark.parametrize(
    ("file_format", "text"),
    [
        (Format("json", ROLES), r'{"user": "u1", "item": "caf\u00e9", "rating": 5'),
        (Format("loose-json", ROLES), r"{'user': 'u1', 'item': 'caf\xe9', 'rating': 5"),
        (Format("json", ROLES), '{"user": null, "item": "i1", "rating": null, "timestamp": null'),
        (Format("loose-json", ROLES), "{'user': None, 'item': 'i1', 'rating': None"),
        (CSV, "NULL,i1,NULL"),
        (CSV, "user,item,rating"),
        (CSV, "\ufeffUSER_ID,asin,stars,time,text"),
        (CSV, "---,---,---"),
    ],
)
def test_words_for_nothing_headers_and_escapes_in_broken_records_are_no_loss(reviews, file_format, text):
    rows = pq.read_table(reviews).to_pylist()
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "item_id": "café"}], REVIEWS_SCHEMA), reviews)
    rejected = pa.table({"reason": ["broken"] * 6, "text": [text] * 6})
    assert find_losses(recover(rejected, file_format), reviews, 999, NOW) == []


def test_months_are_known_in_the_unit_that_was_not_expected(reviews):
    lost = failed(*[(f"u{n % 8}", f"i{n % 6}", 5.0, JUNE * 1000) for n in range(9)], reason="looks like milliseconds")
    assert find_losses(lost, reviews, 999, NOW) == [Loss("period", 1, ("2012-06",), 9, "looks like milliseconds")]
