"""The files that lie beside the checkout: those collected for a fault each, and public data that hold no reviews."""

from pathlib import Path

import pytest
from whole_file import ingest_file

from reviews.side_files import read_pairs
from schema.errors import InvalidInput

pytestmark = pytest.mark.shared_data

FIRST, DAY = 1_500_000_000, 86_400
WHOLE = (48, 8, 6)
CASES: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys(
        ("movielens_double_colon", "preamble_line_hides_header", "unknown_text_header_is_data", "semicolon_plain"),
        WHOLE,
    ),
    **dict.fromkeys(("semicolon_decimal_comma", "half_stars", "blanks_before_ids", "iso_dates", "latin1_text"), WHOLE),
    **dict.fromkeys(("fractional_timestamps", "array_over_lines", "tmpdir_with_a_blank"), WHOLE),
    **dict.fromkeys(("tsv_quote_is_a_character", "multiline_text_makes_a_review"), (144, 24, 6)),
}
REFUSED = {"headerless_user_first_swapped": "--columns", "excel_scientific_ids": "spreadsheet"}
LISTS = ("isbn_lists_with_bom", "lists_names_of_columns")


def case_file(shared_data: Path, case: str) -> Path:
    folder = shared_data / "cases" / case
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    [path] = folder.iterdir()
    return path


@pytest.mark.parametrize("case", CASES)
def test_a_collected_case_gives_the_right_answer(shared_data, tmp_path, case):
    read = ingest_file(case_file(shared_data, case), tmp_path)
    assert read.sizes == CASES[case]
    assert read.quarantine.empty
    assert "cheap" not in set(read.reviews["user_id"])
    if read.format.roles.keys() >= {"rating", "timestamp"}:
        assert read.reviews["timestamp"].between(FIRST - 40 * DAY, FIRST + 60 * DAY).all() or case.startswith("tsv")
        assert read.reviews["rating"].between(0.5, 5).all()


@pytest.mark.parametrize("case", REFUSED)
def test_a_collected_case_that_cannot_be_read_rightly_is_refused(shared_data, tmp_path, case):
    with pytest.raises(InvalidInput, match=REFUSED[case]):
        ingest_file(case_file(shared_data, case), tmp_path)


@pytest.mark.parametrize("case", LISTS)
def test_collected_lists_give_the_right_answer(shared_data, case):
    read = read_pairs(case_file(shared_data, case)).table.to_pandas()
    assert (len(read), read["user_id"].nunique(), read["item_id"].nunique()) == WHOLE
    assert ("0528881000" in set(read["item_id"])) == case.startswith("isbn")


NO_REVIEWS = (
    *("amazon-baby-5core/baby.txt.gz", "movielens-100k/u.item.gz"),
    *(f"amazon-electronics-10core/{part}.txt.gz" for part in ("train", "val", "test")),
    *(f"amazon-reviews-196k/item_{what}.csv.gz" for what in ("brand", "category", "view")),
)


@pytest.mark.parametrize("name", NO_REVIEWS)
def test_a_public_file_that_holds_no_reviews_is_refused(shared_data, tmp_path, name):
    with pytest.raises(InvalidInput):
        ingest_file(shared_data / name, tmp_path)
