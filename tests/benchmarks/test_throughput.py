"""``python -m benchmarks.throughput``: what it prints and writes, and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import throughput
from benchmarks.machine import describe_machine
from benchmarks.transfers.child import peak_bytes, reset_peak
from benchmarks.transfers.figures import METRICS, rows_of, summarise
from benchmarks.transfers.rounds import Measurement
from benchmarks.transfers.table import verdicts
from flows.child_server import find_program
from schema.errors import OutOfSpace

with_minio = pytest.mark.skipif(find_program("minio") is None, reason="no minio: make services")
TRANSFERS = {
    ("upload", "boto3"),
    ("upload", "store"),
    ("download", "boto3"),
    ("download", "store"),
    ("download", "store_verified"),
}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.throughput", *arguments]


def environment(temporary: Path) -> Mapping[str, str]:
    temporary.mkdir()
    return {**os.environ, "TMPDIR": str(temporary)}


def measured(seconds: float, megabytes: int = 10) -> list[Measurement]:
    """One repetition in which the store takes the seconds and memory given, and boto3 one second and 40 MB."""
    return [
        Measurement(
            direction, model, 1.0 if model == "boto3" else seconds, (40 if model == "boto3" else megabytes) * 10**6
        )
        for direction, model in sorted(TRANSFERS)
    ]


@with_minio
def test_a_run_prints_a_table_writes_rows_and_leaves_nothing(tmp_path: Path) -> None:
    variables, written = environment(tmp_path / "temporary"), tmp_path / "rows.json"
    done = subprocess.run(
        command("--megabytes", "1", "--repetitions", "1", "--json", str(written)),
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for expected in ("Seconds", "MB/s", "x boto3", "Peak MB", "store, SHA-256 checked", describe_machine(), "MinIO v"):
        assert expected in done.stdout
    assert sum("aim" in line for line in done.stdout.splitlines()) == 5
    rows: list[dict[str, Any]] = json.loads(written.read_text("utf-8"))["rows"]
    assert {(row["split"], row["model"], row["metric"]) for row in rows} == {
        (*transfer, metric) for transfer in TRANSFERS for metric in METRICS
    }
    for row in rows:
        assert set(row) == {"model", "parameters", "split", "metric", "k", "value", "low", "high"}
        assert row["low"] == row["value"] == row["high"]
        assert row["parameters"].keys() == {"megabytes", "repetitions", "machine", "minio", "boto3"}
    assert list((tmp_path / "temporary").iterdir()) == []


@with_minio
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    if signal.getsignal(how) is signal.SIG_IGN:
        pytest.skip("a job in the background has no Ctrl-C")
    temporary = tmp_path / "temporary"
    with subprocess.Popen(
        command("--megabytes", "20", "--repetitions", "100"),
        env=environment(temporary),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # its first repetition begins
        process.send_signal(how)
        said = process.stderr.read()
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert list(temporary.iterdir()) == []


def test_medians_ranges_and_ratios_are_those_of_the_repetitions() -> None:
    figures = summarise([*measured(1.0), *measured(3.0), *measured(2.0)], megabytes=6)
    store = next(figure for figure in figures if (figure.direction, figure.model) == ("upload", "store"))
    assert (store.seconds.value, store.seconds.low, store.seconds.high) == (2.0, 1.0, 3.0)
    assert (store.megabytes_per_second.value, store.megabytes_per_second.low) == (3.0, 2.0)
    assert (store.ratio_to_boto3.value, store.ratio_to_boto3.high) == (2.0, 3.0)
    assert store.peak_megabytes.value == 10.0


def test_rows_name_the_direction_as_their_split() -> None:
    rows = list(rows_of(summarise(measured(2.0), megabytes=6), {"megabytes": 6}))
    assert len(rows) == len(TRANSFERS) * len(METRICS)
    assert rows[0] == {
        "model": "boto3",
        "parameters": {"megabytes": 6},
        "split": "upload",
        "metric": "seconds",
        "k": None,
        "value": 1.0,
        "low": 1.0,
        "high": 1.0,
    }


@pytest.mark.parametrize(("seconds", "megabytes", "n_met"), [(1.5, 199, 5), (1.6, 199, 3), (1.5, 200, 2)])
def test_each_aim_is_judged_by_itself(seconds: float, megabytes: int, n_met: int) -> None:
    said = list(verdicts(summarise(measured(seconds, megabytes), megabytes=6)))
    assert (len(said), sum(sentence.endswith(": met") for sentence in said)) == (5, n_met)


def test_the_peak_of_memory_counts_from_its_last_reset() -> None:
    _ = bytearray(b"x") * 64_000_000
    before = reset_peak()
    held = bytearray(b"x") * 32_000_000
    assert 24_000_000 < peak_bytes() - before < 60_000_000
    del held


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OutOfSpace, match="TMPDIR"):
        throughput.make_source(tmp_path / "source", 10**12)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["--megabytes", "--repetitions"])
def test_nothing_to_measure_is_bad_usage(flag: str) -> None:
    with pytest.raises(SystemExit) as ended:
        throughput.main([flag, "0"])
    assert ended.value.code == 2
