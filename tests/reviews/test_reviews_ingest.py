import gzip
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from reviews import parse
from reviews.checks import Limits
from reviews.ingest import Merged, count_reasons, first_rows, ingest_file
from reviews.options import IngestOptions
from reviews.partitions import check_partitions
from schema.dataset import QuarantinedRow, QuarantineReason
from schema.errors import InvalidInput
from schema.understood import Loss
from storage.parquet import ROW_GROUP_ROWS, write_parquet

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
LENIENT = IngestOptions(max_bad_share=1, latest_timestamp=1_750_000_000)


def ingest(path: Path, folder: Path, options: IngestOptions = LENIENT) -> Merged:
    merged = ingest_file(path, options, folder, write_parquet)
    counts = merged.counts
    assert counts.n_lines == counts.n_blank + counts.n_reviews + counts.n_quarantined
    assert counts.n_quarantined == sum(reason.count for reason in count_reasons(folder / "quarantine.parquet"))
    assert counts.n_reviews == pq.read_metadata(folder / "reviews.parquet").num_rows
    assert counts.n_quarantined == pq.read_metadata(folder / "quarantine.parquet").num_rows
    return merged


def review(user: object = "A", item: object = "B", rating: object = 4.0, time: object = 1_393_545_600) -> str:
    return json.dumps({"reviewerID": user, "asin": item, "overall": rating, "unixReviewTime": time})


@pytest.fixture
def ingest_lines(tmp_path):
    """Ingest lines; return what came of them, the reviews and the quarantine as lists of dicts."""

    def of_lines(lines: list[str], options: IngestOptions = LENIENT):
        path = tmp_path / "input"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
        merged = ingest(path, tmp_path, options)
        tables = [pq.read_table(tmp_path / f"{name}.parquet") for name in ("reviews", "quarantine")]
        return merged, *(table.to_pylist() for table in tables)

    return of_lines


def test_good_rows_are_kept_in_file_order_with_their_types(ingest_lines):
    _, reviews, _ = ingest_lines([review("A2", "0528881469"), "", review("A1", rating=5)])
    assert reviews == [
        {"user_id": "A2", "item_id": "0528881469", "rating": 4.0, "timestamp": 1_393_545_600, "line": 1},
        {"user_id": "A1", "item_id": "B", "rating": 5.0, "timestamp": 1_393_545_600, "line": 3},
    ]


def test_bad_rows_are_quarantined_with_line_reason_and_raw_text(ingest_lines, tmp_path):
    bad = {
        "user id holds a control character": review("a\nb"),
        "item id is longer than 256 characters": review(item="x" * 10_000),
        "rating is missing or NaN": review(rating=float("nan")),
        "rating outside 1 to 5 (--min-rating, --max-rating)": review(rating=7),
        "timestamp looks like milliseconds (use --timestamp-unit ms)": review(time=1_393_545_600_000),
        "timestamp is in the future": review(time=1_950_000_000),
        "not valid JSON": review()[:-5],
        "user id is blank; rating outside 1 to 5 (--min-rating, --max-rating)": review(user="", rating=0),
    }
    odd_but_fine = [review('say "hi"'), review(item="🎧")]
    options = LENIENT.model_copy(update={"min_rating": 1.0, "max_rating": 5.0})
    _, reviews, quarantine = ingest_lines([*odd_but_fine, *bad.values()], options)
    assert [row["line"] for row in reviews] == [1, 2]
    assert quarantine == [
        {"line": line, "reason": reason, "text": text} for line, (reason, text) in enumerate(bad.items(), start=3)
    ]
    assert count_reasons(tmp_path / "quarantine.parquet") == [
        QuarantineReason(row["reason"], 1, row["line"], row["text"])
        for row in sorted(quarantine, key=lambda row: row["reason"])
    ]


def test_line_breaks_quotes_and_emoji_in_csv_ids(ingest_lines):
    rows = ["user,item,rating", '"say ""hi""",B,4', '"a', 'b",C,5', "🎧,D,5", f"{'x' * 10_000},E,5"]
    merged, reviews, quarantine = ingest_lines(rows)
    assert [(row["user_id"], row["line"]) for row in reviews] == [('say "hi"', 2), ("🎧", 5)]
    assert [(row["line"], row["text"][:9]) for row in quarantine] == [(3, '"a\nb",C,5'), (6, "xxxxxxxxx")]
    assert (merged.counts.n_lines, merged.counts.has_ratings, merged.counts.has_timestamps) == (4, True, False)


def test_undecodable_bytes_are_shown_as_escapes(tmp_path):
    (tmp_path / "input").write_bytes("user,item,rating\né,B,4\né,C,4\né,D,4\n".encode() + b"caf\xe9,B,4\n")
    ingest(tmp_path / "input", tmp_path)
    quarantine = pq.read_table(tmp_path / "quarantine.parquet")
    assert quarantine["text"].to_pylist() == ["caf\\xe9,B,4"]


def test_columns_that_the_input_lacks_are_null(ingest_lines):
    options = LENIENT.model_copy(update={"input_columns": "user=1,item=2"})
    merged, reviews, _ = ingest_lines(["7\t8", "7\t9"], options)
    counts = merged.counts
    assert reviews[0] == {"user_id": "7", "item_id": "8", "rating": None, "timestamp": None, "line": 1}
    assert (counts.has_ratings, counts.has_timestamps, counts.n_distinct_ratings) == (False, False, 0)


def test_all_ratings_equal_is_accepted_and_counted(ingest_lines):
    counts = ingest_lines([review(rating=5), review(rating=5), ""])[0].counts
    assert (counts.n_reviews, counts.has_ratings, counts.n_distinct_ratings) == (2, True, 1)


def test_every_different_rating_is_counted(ingest_lines):
    lines = [f"u\ti{n}\t{1 + n // 50}" for n in range(70_000)]  # more than are read at once
    merged, _, _ = ingest_lines(lines, IngestOptions(max_rating=1_400, partition_bytes=300_000))
    assert merged.counts.n_distinct_ratings == 1_400


def test_one_user_and_one_item_are_a_reviews_file(ingest_lines):
    assert ingest_lines([review()])[0].counts.n_reviews == 1


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1_000), ("us", 1_000_000)])
def test_timestamps_are_stored_in_seconds_whatever_the_unit(ingest_lines, unit, per_second):
    options = IngestOptions(timestamp_unit=unit)
    _, reviews, _ = ingest_lines([review(time=1_393_545_600 * per_second + (per_second - 1))], options)
    assert reviews[0]["timestamp"] == 1_393_545_600


def test_too_many_bad_rows_stop_the_run_with_reasons_and_examples(ingest_lines, tmp_path):
    lines = [review()] * 94 + [review(rating=7)] * 4 + [review(time=1_393_545_600_000)] * 2
    message = (
        "6 of 100 rows (6.0%) are bad; expected at most 5.0%. Commonest reasons: "
        "4 x rating outside 1 to 5 (--min-rating, --max-rating), first in "
        f"line 95: {review(rating=7)!r}; 2 x timestamp looks like milliseconds (use --timestamp-unit ms), "
        "first in line 99"
    )
    with pytest.raises(InvalidInput, match=re.escape(message)):
        ingest_lines(lines, IngestOptions(max_bad_share=0.05, min_rating=1, max_rating=5))
    assert not list(tmp_path.glob("*.parquet"))
    merged, _, _ = ingest_lines(lines, IngestOptions(max_bad_share=0.06, min_rating=1, max_rating=5))
    assert merged.counts.n_quarantined == 6


def test_input_without_one_good_row_is_refused_whatever_share_is_allowed(ingest_lines):
    with pytest.raises(InvalidInput, match="no good row is left"):
        ingest_lines([review(rating=7)], IngestOptions(max_rating=5))


def test_scale_is_that_of_the_file_unless_it_is_set_and_what_is_gone_is_said(ingest_lines):
    lines = [review(f"A{n % 8}", f"B{n % 6}", rating=(1 + n % 10) / 2) for n in range(48)]
    merged, reviews, _ = ingest_lines(lines)
    assert (len(reviews), merged.losses) == (48, [])
    merged, _, _ = ingest_lines(lines, LENIENT.model_copy(update={"min_rating": 1.0}))
    reason = "rating outside 1 to 5 (--min-rating, --max-rating)"
    assert merged.losses == [Loss("rating value", 1, ("0.5",), 5, reason)]


def test_ids_that_are_others_with_a_fraction_of_nothing_are_warned_of(ingest_lines):
    merged, _, _ = ingest_lines(["user,item,rating", "u1,70,5", "u2,70.0,4", "u3,71.0,4", "u4,v1.0,4"])
    (warning,) = merged.warnings
    assert "1 item id is there with '.0' behind as well, such as 70.0 beside 70" in warning
    assert ingest_lines(["user,item,rating", "u1,70.0,5", "u2,71.0,4"])[0].warnings == []


def test_ids_with_a_fraction_of_nothing_are_looked_at_up_to_a_number(ingest_lines, monkeypatch):
    monkeypatch.setattr("reviews.ingest.MOST_DECIMAL_IDS", 3)
    merged, _, _ = ingest_lines(["user,item,rating", *(f"u{n}{end},i{n},5" for end in ("", ".0") for n in range(9))])
    (warning,) = merged.warnings
    assert "At least 3 user ids are there with '.0' behind as well, such as u0.0 beside u0" in warning


def test_users_are_no_loss_by_the_share_of_rows_put_aside_of_which_only_the_first_are_judged(ingest_lines, monkeypatch):
    monkeypatch.setattr("reviews.ingest.MOST_JUDGED", 20)
    monkeypatch.setattr("reviews.losses._LEAST_ROWS", 1)
    lines = [review(f"A{n}", f"B{n % 6}", rating=5 if n % 10 == 9 else 99) for n in range(400)]
    options = LENIENT.model_copy(update={"partition_bytes": 900, "max_rating": 5.0})
    merged, _, _ = ingest_lines(lines, options)
    assert [loss.kind for loss in merged.losses] == ["rating value"]


def test_fractions_of_seconds_are_cut_off(ingest_lines):
    _, reviews, _ = ingest_lines([review(time=1_393_545_600.75)])
    assert reviews[0]["timestamp"] == 1_393_545_600


def test_first_rows_of_a_quarantine_are_read_alone(ingest_lines, tmp_path):
    ingest_lines([review(), *[review(user=" ")] * 5])
    rows = first_rows(tmp_path / "quarantine.parquet", 2)
    assert rows == [QuarantinedRow(line, "user id is blank", review(user=" ")) for line in (2, 3)]
    ingest_lines([review()])
    assert first_rows(tmp_path / "quarantine.parquet", 2) == []


def test_many_bad_rows_are_read_again_in_order_whatever_the_size_of_partitions(ingest_lines, monkeypatch):
    opened, read = [], parse.read_blocks
    monkeypatch.setattr(parse, "read_blocks", lambda *args: opened.append(args) or read(*args))
    lines = [review(f"A{n}", rating=9 if n % 3 else 5) for n in range(300)]
    options = LENIENT.model_copy(update={"partition_bytes": 900, "max_rating": 5.0})
    _, reviews, quarantine = ingest_lines(lines, options)
    assert [row["line"] for row in reviews] == list(range(1, 301, 3))
    assert [row["text"] for row in quarantine] == [line for n, line in enumerate(lines) if n % 3]
    assert len(opened) == 2  # for the rows, and for the texts


def test_unknown_check_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="no check is named 'colour'"):
        check_partitions([], "colour", Limits(), write_parquet)


def test_bytes_do_not_depend_on_the_size_of_partitions(tmp_path):
    path = tmp_path / "input.tsv"
    rows = (f"{5 * i % 977}\t{3 * i % 1009}\t{i % 5 + 1 + 90 * (i % 500 == 7)}" for i in range(ROW_GROUP_ROWS + 50_000))
    path.write_text("\n".join(rows) + "\n")
    digests = set()
    for partition_bytes in (2**30, 300_000):
        folder = tmp_path / str(partition_bytes)
        ingest(path, folder, LENIENT.model_copy(update={"partition_bytes": partition_bytes}))
        for name in ("reviews", "quarantine"):
            digests.add((name, hashlib.sha256((folder / f"{name}.parquet").read_bytes()).hexdigest()))
    assert len(digests) == 2
    groups = pq.read_metadata(folder / "reviews.parquet")
    assert groups.row_group(0).num_rows == ROW_GROUP_ROWS
    assert b"pandas" not in (groups.metadata or {})


def shared(name: str) -> Path:
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} is not there: the real data sets lie beside the checkout")
    return SHARED / name


def assert_equal_to_pandas(path: Path, tmp_path: Path, expected: pd.DataFrame) -> None:
    """Compare with columns user_id, item_id, rating, timestamp that pandas read by itself."""
    counts = ingest(path, tmp_path, IngestOptions(max_bad_share=0, partition_bytes=2**20)).counts
    found = pd.read_parquet(tmp_path / "reviews.parquet")
    assert counts.n_lines == counts.n_reviews == len(expected)
    assert found["user_id"].nunique() == expected["user_id"].nunique()
    assert found["item_id"].nunique() == expected["item_id"].nunique()
    assert counts.n_distinct_ratings == expected["rating"].nunique()
    for column in ("user_id", "item_id", "timestamp"):
        assert found[column].tolist() == expected[column].tolist()
    np.testing.assert_array_equal(found["rating"], expected["rating"].astype("float32"))


AMAZON = {"reviewerID": "user_id", "asin": "item_id", "overall": "rating", "unixReviewTime": "timestamp"}
AMAZON_FILES = [
    ("amazon-reviews-196k/reviews.json.gz", 195_791, 6_170, 2_753),
    ("amazon-2018-5core-small/AMAZON_FASHION_5.json.gz", 3_176, 406, 31),
    ("amazon-2018-5core-small/All_Beauty_5.json.gz", 5_269, 991, 85),
    ("amazon-2018-5core-small/Appliances_5.json.gz", 2_277, 47, 48),
    ("amazon-2018-5core-small/Gift_Cards_5.json.gz", 2_972, 458, 148),
    ("amazon-2018-5core-small/Magazine_Subscriptions_5.json.gz", 2_375, 348, 157),
]


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "n_rows", "n_users", "n_items"), AMAZON_FILES)
def test_amazon_json_is_read_as_pandas_reads_it(tmp_path, name, n_rows, n_users, n_items):
    with gzip.open(shared(name), "rt", encoding="utf-8") as lines:
        expected = pd.DataFrame([json.loads(line) for line in lines]).rename(columns=AMAZON)
    assert (len(expected), expected["user_id"].nunique(), expected["item_id"].nunique()) == (n_rows, n_users, n_items)
    assert_equal_to_pandas(SHARED / name, tmp_path, expected)


@pytest.mark.shared_data
def test_movielens_tsv_is_read_as_pandas_reads_it(tmp_path):
    path = shared("movielens-100k/u.data.gz")
    names = ["user_id", "item_id", "rating", "timestamp"]
    expected = pd.read_csv(path, sep="\t", names=names, dtype={"user_id": str, "item_id": str})
    assert (len(expected), expected["user_id"].nunique(), expected["item_id"].nunique()) == (100_000, 943, 1_682)
    assert_equal_to_pandas(path, tmp_path, expected)


@pytest.mark.shared_data
def test_snap_csv_is_read_as_pandas_reads_it(tmp_path):
    path = shared("amazon-electronics-csv-head/ratings_Electronics.head.csv.gz")
    expected = pd.read_csv(path, dtype={"ItemId": str}).rename(columns={"UserId": "user_id", "ItemId": "item_id"})
    assert "0528881469" in set(expected["item_id"])
    assert_equal_to_pandas(path, tmp_path, expected)


@pytest.mark.shared_data
def test_lists_of_items_per_user_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="neither JSON lines nor rows"):
        ingest(shared("amazon-baby-5core/baby.txt.gz"), tmp_path)
