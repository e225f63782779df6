"""What a user's mistake looks like: one message with what was found, what was expected and what to do."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import ingest, train
from storage import layout
from storage.local import LocalStore

Write = Callable[[Path], None]


def review(user: str, item: str, rating: float | str = 5.0, timestamp: int = 1_386_201_600) -> str:
    fields = {"reviewerID": user, "asin": item, "overall": rating, "unixReviewTime": timestamp}
    return json.dumps(fields) + "\n"


def lines(*rows: str) -> Write:
    return lambda path: path.write_text("".join(rows), encoding="utf-8") and None


ONE_USER = lines(*(review("A1", f"B{item}") for item in range(9)))
ONE_ITEM = lines(*(review(f"A{user}", "B1") for user in range(9)))
TWO_UNITS = lines(*(review(f"A{row}", f"B{row}", timestamp=1_386_201_600 * 1000 ** (row % 2)) for row in range(9)))
SPREADSHEET_IDS = lines("user,isbn,rating\n", *(f"u{row},9.78013E+12,4\n" for row in range(9)))
NO_SIDES = lines(*(f"{row},{row + 5},{row % 5 + 1}\n" for row in range(9)))
FUTURE = lines(*(review(f"A{row}", f"B{row}", timestamp=9_999_999_999) for row in range(9)))
WRONG_COLUMNS = lines("height,weight\n", "1,2\n", "3,4\n")
OUT_OF_RANGE = lines(
    *(review(f"A{row}", f"B{row}", rating=50.0 if row % 10 == 3 else row % 5 + 1) for row in range(60))
)
NAN = lines(*(review(f"A{row}", f"B{row}", rating=float("nan")) for row in range(9)))
LONG_IDS = lines(*(review(f"A{row}" + "x" * 10_000, f"B{row}") for row in range(9)))

CASES: dict[str, tuple[Write, list[str]]] = {
    "a file that is not there": (lambda _: None, ["input.json", "--input"]),
    "a folder": (lambda path: path.mkdir(), ["input.json", "is a directory"]),
    "an empty file": (lambda path: path.write_bytes(b"") and None, ["empty"]),
    "a gzip of nothing": (lambda path: path.write_bytes(gzip.compress(b"")) and None, ["nothing"]),
    "a truncated gzip": (
        lambda path: path.write_bytes(gzip.compress(b'{"a": 1}\n' * 10_000)[:-40]) and None,
        ["input.json"],
    ),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 40) and None, ["JSON, delimited text or Parquet"]),
    "wrong columns": (WRONG_COLUMNS, ["height", "--columns"]),
    "seconds and milliseconds": (TWO_UNITS, ["1386201600000", "--timestamp-unit"]),
    "ids that a spreadsheet rounded": (SPREADSHEET_IDS, ["spreadsheet", "9.78013E+12"]),
    "two columns that may hold either side": (NO_SIDES, ["user 0, item 5", "--columns"]),
    "the future": (FUTURE, ["future", "9999999999"]),
    "ratings out of range": (OUT_OF_RANGE, ["outside 1 to 5", "50", "--max-rating"]),
    "ratings that are not numbers": (NAN, ["rating", "NaN"]),
    "ids of 10,000 characters": (LONG_IDS, ["256 characters"]),
    "one user": (ONE_USER, ["5-core", "k=1 would leave 9 interactions", "--min-interactions"]),
    "one item": (ONE_ITEM, ["5-core", "k=1 would leave 9 interactions", "--min-interactions"]),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_in_one_message_and_nothing_is_half_written(case, in_folder, capfd):
    write, expected = CASES[case]
    path = in_folder / "input.json"
    write(path)

    code = ingest.main(["--input", str(path), "--store", str(in_folder / "store")])

    said = capfd.readouterr().err
    assert code == 1
    assert "Traceback" not in said
    assert said.count("ERROR") == 1
    for part in expected:
        assert part in said
    visible = [info.key for info in LocalStore(in_folder / "store").list("")]
    assert not [key for key in visible if key.startswith("datasets/")]


def test_odd_but_valid_ids_are_kept_as_they_are(in_folder):
    users = ['O"Brien', "日本語", "🙂", "a,b", "0001"]
    rows = [review(user, f"0{item}") for user in users for item in range(3)]
    lines(*rows)(in_folder / "input.json")
    flags = ["--input", "input.json", "--store", "store", "--min-interactions", "1", "--json", "out.json"]
    assert ingest.main(flags) == 0
    counts = json.loads((in_folder / "out.json").read_text())["counts"]
    assert counts["dataset"]["n_users"] == len(users)
    assert counts["reviews"]["n_quarantined"] == 0


def test_a_spreadsheet_of_another_country_is_read_and_how_is_kept(in_folder):
    said = '"Größe: gut;\r\nu9;i9;5,0;2014-01-01;""so""\r\n"'
    rows = [f"u{user};i{item};4,5;2014-02-0{user + 1};{said}\r\n" for user in range(6) for item in range(4)]
    with zipfile.ZipFile(in_folder / "input.zip", "w") as archive:
        archive.writestr("ratings.csv", "".join(["sep=;\r\nuser;item;rating;date;text\r\n", *rows]).encode("utf-16"))
    flags = ["--input", "input.zip", "--store", "store", "--min-interactions", "1", "--json", "out.json"]
    assert ingest.main(flags) == 0
    counts = json.loads((in_folder / "out.json").read_text())["counts"]
    assert (counts["reviews"]["n_reviews"], counts["reviews"]["n_quarantined"]) == (24, 0)
    assert (counts["dataset"]["n_users"], counts["dataset"]["n_items"]) == (6, 4)
    store = LocalStore(in_folder / "store")
    [key] = [info.key for info in store.list("reviews/") if info.key.endswith(layout.READING)]
    decided = {part["name"]: part["value"] for part in json.loads(store.read(key))["understood"]["parts"]}
    expected = {"packing": "zip", "encoding": "utf-16-le", "delimiter": "semicolon", "decimal": "comma"}
    assert decided | expected == decided


@pytest.mark.parametrize(
    ("flags", "missing", "advice"),
    [(["--split", "time"], "timestamp", "--split random"), (["--model", "als-explicit"], "ratings", "Leave it out")],
)
def test_what_the_columns_do_not_allow_is_refused_and_says_what_they_do(flags, missing, advice, in_folder, capfd):
    rows = [f"u{user},i{item}\n" for user in range(6) for item in range(6)]
    lines("user,item\n", *rows)(in_folder / "input.csv")
    tracking = ["--mlflow-tracking-uri", f"sqlite:///{in_folder / 'mlflow.db'}"]
    code = train.main(["--input", "input.csv", "--store", "store", *flags, *tracking])
    said = capfd.readouterr().err
    assert code == 1
    assert missing in said
    assert advice in said
    assert "Traceback" not in said


def test_tracking_server_that_does_not_answer_fails_at_the_start(in_folder, capfd):
    lines(*(review(f"A{user}", f"B{item}") for user in range(6) for item in range(6)))(in_folder / "input.json")
    flags = ["--input", "input.json", "--store", "store", "--mlflow-tracking-uri", "http://secret:word@127.0.0.1:9"]
    code = train.main(flags)
    said = capfd.readouterr().err
    assert code == 1
    assert "MLflow does not answer" in said
    assert "MLFLOW_TRACKING_URI" in said
    assert "secret" not in said
    assert not (in_folder / "store" / "datasets").exists()
