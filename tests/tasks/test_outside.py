import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schema.errors import InvalidInput
from tasks.outside import read_ids

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
def test_ids_are_text_by_whatever_usual_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert read_ids(tmp_path / name).to_pylist() == ROWS


def test_parquet_is_known_by_its_content_and_numbers_become_text(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": [1, 2], "item_id": [3, 4], "score": [1, 2]}), tmp_path / "lists")
    assert read_ids(tmp_path / "lists").to_pylist() == [
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
def test_what_is_no_table_of_ids_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "lists.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_ids(tmp_path / "lists.csv")
