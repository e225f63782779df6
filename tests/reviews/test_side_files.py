import gzip
import json
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviews.side_files import read_pairs
from schema.errors import InvalidInput

ROWS = [{"user_id": "A01", "item_id": "007"}, {"user_id": "B", "item_id": "8"}]
RANKED = [{"user_id": "A01", "item_id": "007", "rank": 1.0}, {"user_id": "B", "item_id": "8", "rank": 2.0}]
SHARED = Path(__file__).parents[3] / "shared/data/cases"


def _pairs(path: Path) -> list[dict[str, object]]:
    found = read_pairs(path)
    assert not found.warnings
    rows: list[dict[str, object]] = found.table.to_pylist()
    return rows


@pytest.mark.parametrize(
    "content",
    [
        b"user_id,item_id\nA01,007\nB,8\n",
        b"user\titem\nA01\t007\nB\t8\n",
        b'"asin","reviewerID"\r\n007,A01\r\n8,B\r\n',
        gzip.compress(b"userId,itemId\nA01,007\nB,8\n", mtime=0),
        b"\xef\xbb\xbfmovieId;userId;date\n007;A01;2015-08-31\n8;B;\n",
        "user_id:token\tbusiness_id:token\nA01\t007\nB\t8\n".encode("utf-16"),
        b"# made elsewhere\nvisitorid,itemid\nA01,007\n\nB,8",
        b'{"user_id": "A01", "parent_asin": "007"}\n{"user_id": "B", "parent_asin": "8"}\n',
        json.dumps(ROWS, indent=1).encode(),
    ],
)
def test_ids_are_text_by_whatever_usual_name(content, tmp_path):
    (tmp_path / "lists.csv").write_bytes(content)
    assert _pairs(tmp_path / "lists.csv") == ROWS


@pytest.mark.parametrize(
    "content",
    [
        b"user_id,item_id,rank\nA01,007,1\nB,8,2\n",
        b"userId,movieId,score,Rank\nA01,007,high,1\nB,8,,2\n",
        b"user_id,item_id,rank,date\nA01,007,1,03/14/2015\nB,8,2,03/15/2015\n",
        b"user_id;item_id;rank;rating\nA01;007;1,0;5\nB;8;2,0;4\n",
        b'{"user_id": "A01", "item_id": "007", "rank": 1}\n{"user_id": "B", "item_id": "8", "rank": 2}\n',
    ],
)
def test_rank_is_read_whatever_else_there_is(content, tmp_path):
    (tmp_path / "lists.csv").write_bytes(content)
    assert _pairs(tmp_path / "lists.csv") == RANKED


def test_lists_may_be_packed(tmp_path):
    with ZipFile(tmp_path / "lists.zip", "w") as archive:
        archive.writestr("lists.csv", "user_id,item_id,score\nA01,007,0.5\n")
    assert _pairs(tmp_path / "lists.zip") == [{"user_id": "A01", "item_id": "007", "score": 0.5}]


def test_parquet_is_known_by_its_content_and_numbers_become_text(tmp_path):
    pq.write_table(pa.table({"user_id": [1, 2], "item_id": [3, 4], "score": [1, 2]}), tmp_path / "lists")
    assert _pairs(tmp_path / "lists") == [
        {"user_id": "1", "item_id": "3", "score": 1.0},
        {"user_id": "2", "item_id": "4", "score": 2.0},
    ]


def test_blanks_around_ids_are_cut_off_with_a_warning(tmp_path):
    (tmp_path / "lists.csv").write_text("user_id, item_id\nA01, 007\nB, 8\n")
    found = read_pairs(tmp_path / "lists.csv")
    assert found.table.to_pylist() == ROWS
    assert found.warnings == ("2 ids have blanks at their ends, which are cut off.",)


@pytest.mark.skipif(not SHARED.exists(), reason="the cases are not there")
@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("isbn_lists_with_bom", {"user_id": "u0", "item_id": "0528881000"}),
        ("lists_names_of_columns", {"user_id": "1", "item_id": "1"}),
    ],
)
def test_cases_of_lists_keep_their_ids(name, first):
    assert _pairs(SHARED / name / "lists.csv")[0] == first


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"user_id,thing\n1,2\n", r"header of unknown names on line 1: \['user_id', 'thing'\].* Flags set how"),
        (b"user_id,item_id,score\n1,2,high\n", "line 2: score is not a number; expected a user, an item and a score"),
        (b"user_id,item_id,score\n1,2,nan\n", "1 rows have no score, the first in line 2"),
        (b"user_id,item_id,score\n1,2,\n", "1 rows have no score, the first in line 2"),
        (b"user_id,item_id\n1,2\n1,\n", "1 rows have no item_id, the first in line 3"),
        (b"user_id,item_id\n1,2\n1,2,3\n1,4\n", "line 3: expected 2 columns, found 3; expected a user, an item in"),
        (b"user_id,item_id\nu1,9\nu2,9.78013E+12\n", "line 3: item id is a number that a spreadsheet has rounded"),
        (b"user_id,item_id\nu1,9\nNaN,8\n", "line 3: user id is a word for a missing one"),
        (b"PAR1 and nothing more", "cut off or damaged"),
        (b"7,8\n9,10\n", "Flags set how reviews are read, not this file: give it a header"),
    ],
)
def test_what_is_no_table_of_ids_is_refused(content, message, tmp_path):
    (tmp_path / "lists.csv").write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_pairs(tmp_path / "lists.csv")
