"""Reviews that were published before it was kept how their file was read can still be reported on."""

import pyarrow as pa
from sample_artifacts import publish_folder

from reviews.parse import REJECTED_SCHEMA
from schema.understood import Reading
from storage import layout
from storage.parquet import write_parquet
from tasks.ingest import summarise_file
from tasks.options import PlaceOptions


def test_reviews_without_a_record_of_their_reading_have_an_empty_one(tmp_path):
    places = PlaceOptions(store_uri=str(tmp_path / "store"), work_dir=tmp_path / "work")
    (tmp_path / "made").mkdir()
    rows = pa.table([[3], ["wrong"], ["a,b"]], schema=REJECTED_SCHEMA)
    write_parquet([rows], tmp_path / "made" / layout.QUARANTINE, REJECTED_SCHEMA)
    counts = {"n_reviews": 9, "n_quarantined": 1}
    reviews = publish_folder(
        places.open_store(), tmp_path / "made", layout.REVIEWS_KIND, counts=counts, inputs={"raw": "ab"}
    )
    summary = summarise_file(places, reviews)
    assert (summary.reading, summary.n_rows, summary.reasons[0].reason) == (Reading(), 10, "wrong")
