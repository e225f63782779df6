"""Deliveries of the same data one after the other: compared, shown, and refused where that is asked for."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from workplace import Outcome, Workplace

from reviews.options import IngestOptions
from serving.events import Event, Journal
from storage import layout
from storage.artifacts import find
from storage.inventory import lineage
from storage.manifest import Manifest
from tasks.ingest import collect_events
from tasks.options import PlaceOptions

DAY = 86_400
FLAGS = ["--min-interactions", "1", "--spark-shuffle-partitions", "1"]
LIMITS = {
    "drift_max_psi": 0.03,
    "drift_min_row_ratio": 0.97,
    "drift_max_new_user_share": 0.01,
    "drift_max_new_item_share": 0.02,
    "drift_max_gone_share": 0.04,
    "drift_max_days_back": 0.5,
    "drift_max_quarantine_rise": 0.001,
}


def deliver(workplace: Workplace, folder: str, n_users: int, rating: int, n_bad: int = 0) -> str:
    """Write reviews of five items by each user, all under one file name, and some rows that are none."""
    rows = [
        f"u{user},i{item},{rating},{1_400_000_000 + n_users * DAY}\n" for user in range(n_users) for item in range(5)
    ]
    path = workplace.folder / folder / "reviews.csv"
    path.parent.mkdir()
    path.write_text("".join(["user,item,rating,timestamp\n", *rows, *["u0,i0,many,1\n"] * n_bad]))
    return str(path)


@pytest.fixture(scope="module")
def first(new_workplace: Callable[[], Workplace]) -> tuple[Workplace, dict[str, Any]]:
    """A workplace with one delivery, and the result record of its ingest."""
    workplace = new_workplace()
    return workplace, workplace.result("ingest", "--input", deliver(workplace, "first", 40, 5), *FLAGS)


@pytest.fixture(scope="module")
def refused(first: tuple[Workplace, dict[str, Any]]) -> tuple[str, Outcome]:
    """A second delivery, which is refused, and what the run said."""
    path = deliver(first[0], "second", 10, 1, n_bad=1)
    limits = [part for name, value in LIMITS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    return path, first[0].run("ingest", "--input", path, *FLAGS, "--drift", "refuse", *limits)


def artifacts(workplace: Workplace, kind: str) -> list[Manifest]:
    return [manifest for manifest in workplace.manifests() if manifest.kind == kind]


def table(prefect_api: str, key: str) -> list[dict[str, Any]]:
    body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
    (found,) = httpx.post(f"{prefect_api}/artifacts/filter", json=body).json()
    rows: list[dict[str, Any]] = json.loads(found["data"])
    return rows


def test_first_ingest_says_that_there_is_nothing_to_compare_with(first):
    workplace, record = first
    assert record["drift"] is None
    assert "has no reviews of reviews.csv older than reviews/" in record["stderr"]
    assert artifacts(workplace, layout.DRIFTS) == []


def test_refused_delivery_stops_in_one_message_and_its_reviews_stay(first, refused):
    workplace, record = first
    said = refused[1].stderr
    assert refused[1].code == 1
    assert said.count("ERROR") == 1
    assert "Traceback" not in said
    message = next(line for line in said.splitlines() if "ERROR" in line)
    assert "rows: 200 rows before, 50 rows now, 0.25 times as many; expected at least 0.97 times" in message
    assert "ratings: mean 5.00 before, mean 1.00 now, PSI" in message
    assert "run again with --drift warn if these reviews are right" in message
    assert len(artifacts(workplace, layout.REVIEWS_KIND)) == 2
    assert {one.inputs["reviews"] for one in artifacts(workplace, layout.DATASETS)} == {record["ids"]["reviews"]}


def test_each_limit_that_is_set_is_held_and_kept_with_its_figure(first, refused):
    (made,) = artifacts(first[0], layout.DRIFTS)
    assert made.parameters == LIMITS
    path = first[0].folder / "store" / "drifts" / made.id / layout.DRIFT
    figures = {row["name"]: row for row in json.loads(path.read_text())["figures"]}
    limits = {row["setting"]: abs(row["limit"]) for row in figures.values() if row["setting"]}
    assert limits == LIMITS
    assert {name for name, row in figures.items() if row["is_beyond"]} == {
        *("rows", "ratings", "gone users", "newest review", "quarantine")
    }
    assert made.counts["n_beyond"] == 5


def test_tables_of_the_run_show_every_figure_and_every_reason(prefect_api, first, refused):
    rows = {row["figure"]: row for row in table(prefect_api, "data-drift")}
    assert len(rows) == 11
    assert rows["rows"]["verdict"] == "beyond"
    assert rows["new users"]["verdict"] == "within"
    assert re.search(r"rows +200 rows +50 rows +0.25 times as many", refused[1].stderr)
    assert {"How the file was understood", "Why rows were put aside"} <= set(
        re.findall(r"\w[\w ]+(?=:\n)", refused[1].stderr)
    )
    assert {row["check"]: row["failures"] for row in table(prefect_api, "checks")}["can be read"] == "1"
    assert table(prefect_api, "quarantine-rows")[0]["line"] == "52"
    assert {row["understood as"] for row in table(prefect_api, "understood")} >= {"comma", "1 to 5"}
    (reason,) = table(prefect_api, "quarantine")
    assert "rating" in reason.pop("reason")
    assert reason == {"rows": "1", "share": "2.0\u00a0%", "example line": "52", "example": "u0,i0,many,1"}


def test_training_on_it_is_refused_again_before_there_is_a_dataset(first, refused):
    workplace, record = first
    outcome = workplace.run("train", "--input", refused[0], *FLAGS, "--drift", "refuse")
    assert outcome.code == 1
    assert f"differs from reviews/{record['ids']['reviews']}" in outcome.stderr
    assert "datasets/" not in outcome.stderr


def test_delivery_is_accepted_with_a_warning_and_without_one_where_drift_is_off(first, refused):
    workplace, record = first
    accepted = workplace.result("ingest", "--input", refused[0], *FLAGS)
    warning = next(line for line in accepted["stderr"].splitlines() if "WARNING" in line)
    assert "expected at least 0.5 times as many (--drift-min-row-ratio)" in warning
    assert accepted["drift"]["before"] == record["ids"]["reviews"]
    beyond = {row["name"] for row in accepted["drift"]["figures"] if row["is_beyond"]}
    assert beyond == {"rows", "ratings", "gone users", "newest review"}

    off = workplace.result("ingest", "--input", refused[0], *FLAGS, "--drift", "off")
    assert off["drift"] is None
    assert "Drift" not in off["stderr"]
    assert off["ids"] == accepted["ids"]


def test_shipped_events_are_read_beside_the_file_and_are_part_of_the_lineage(first, tmp_path):
    workplace, record = first
    places = PlaceOptions(store_uri=workplace.store_uri, work_dir=tmp_path)
    raw = find(workplace.store, layout.RAW, record["ids"]["raw"])
    journal = Journal(tmp_path)
    about = {"user_id": "u0", "item_id": "i9", "timestamp": 1_500_000_000}
    journal.add([Event(event_id="seen", type="view", **about), Event(event_id="bought", type="purchase", **about)])
    assert journal.ship(workplace.store) == 2
    assert collect_events.fn(places, raw, IngestOptions()) is None
    for server in (journal, Journal(tmp_path / "other server")):
        assert server.add([Event(event_id="rated", type="rating", rating=4, **about)]) == 1
        assert server.ship(workplace.store) == 1
    path = next(workplace.folder.glob("first/reviews.csv"))
    now = workplace.result("ingest", "--input", str(path), "--events", "on", *FLAGS)
    assert "1 taken (1 rating); 3 left out (1 view, 1 purchase, 1 repeated)" in now["stderr"]
    assert now["counts"]["reviews"]["n_reviews"] == record["counts"]["reviews"]["n_reviews"] + 1
    reviews = find(workplace.store, layout.REVIEWS_KIND, now["ids"]["reviews"])
    assert reviews.inputs == {"raw": raw.id, "events": now["ids"]["events"]}
    assert [(one.role, one.state) for one in lineage(workplace.store, reviews)[1:]] == [
        ("events", "there"),
        ("raw", "there"),
    ]
