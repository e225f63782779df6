"""The frame of the benchmarks: help, usage, rows, measurements, and that a run leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from servers import with_minio

from benchmarks import evaluation, throughput
from benchmarks.harness import FIELDS, Figures, command_parser, describe_machine, rows_of, run_command, write_rows
from benchmarks.measuring import Measurement, Spread, measure_in_child, peak_bytes, reset_peak
from schema.errors import InvalidInput, Unavailable

ROOT = Path(__file__).parents[2]
TINY = ["--users", "300", "--items", "200", "--interactions", "3000", "--rank", "8", "--without-spark"]
FLAGS = {
    "evaluation": ["--scaling", "--without-spark", "--seed", "--json"],
    "faults": ["--kills", "--store", "--seed", "--json"],
    "outages": ["--only", "--json"],
    "quality": ["--protocol", "--seeds", "--models", "--set", "--json"],
    "serving": ["--only", "--shares", "--rate", "--seconds", "--quick", "--json"],
    "throughput": ["--megabytes", "--repetitions", "--json"],
}
TRANSFERS = {
    *(("upload", method) for method in ("boto3", "store")),
    *(("download", method) for method in ("boto3", "store", "store_verified")),
}
COSTS = ("seconds", "cpu_seconds", "ratio_to_product", "peak_megabytes", "peak_above_idle_megabytes")
EXPECTED_ROWS = {
    "throughput": {
        (*transfer, metric)
        for transfer in TRANSFERS
        for metric in ("seconds", "megabytes_per_second", "ratio_to_boto3", "peak_megabytes")
    },
    "evaluation": {
        *(("test", model, cost) for model in ("product", "evaluation", "graph") for cost in COSTS),
        *(("test", "evaluation", metric) for metric in ("ndcg", "scaling_seconds", "scaling_ratio")),
    },
}


def run(name: str, *arguments: str, temporary: Path, **options: Any) -> "subprocess.Popen[str]":
    temporary.mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("name", FLAGS)
def test_help_tells_purpose_and_flags(name):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"benchmarks.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(flag in done.stdout for flag in FLAGS[name])
    assert f"python -m benchmarks.{name}" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"prefect", "pyspark", "distributed", "boto3", "pyarrow", "mlflow"}, "help must come quickly"


@pytest.mark.parametrize(
    ("name", "arguments", "n_aims", "columns"),
    [
        pytest.param(
            *("throughput", ["--megabytes", "1", "--repetitions", "1"], 5),
            ("Seconds", "MB/s", "x boto3", "Peak MB", "store, SHA-256 checked", "MinIO v"),
            marks=with_minio,
        ),
        (
            *("evaluation", [*TINY, "--scaling"], 5),
            ("Seconds", "x product", "NDCG@10", "300 users, 200 items, 3,000 interactions, rank 8, K = 5, 10, 20"),
        ),
    ],
)
def test_run_prints_a_table_writes_rows_and_leaves_nothing(tmp_path, name, arguments, n_aims, columns):
    written, temporary = tmp_path / "rows.json", tmp_path / "temporary"
    process = run(name, *arguments, "--json", str(written), temporary=temporary, stdout=subprocess.PIPE)
    shown, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert all(expected in shown for expected in (*columns, describe_machine()))
    assert sum("aim" in line for line in shown.splitlines()) == n_aims
    rows: list[dict[str, Any]] = json.loads(written.read_text("utf-8"))["rows"]
    assert {(row["split"], row["model"], row["metric"]) for row in rows} == EXPECTED_ROWS[name]
    for row in rows:
        assert tuple(row) == FIELDS
        assert 0 <= row["low"] <= row["value"] <= row["high"]
        assert {"machine", "repetitions"} <= row["parameters"].keys()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("name", "arguments", "first_line"),
    [pytest.param("throughput", ["--megabytes", "20"], "boto3", marks=with_minio), ("evaluation", TINY, "product")],
)
def test_interrupted_run_leaves_nothing(tmp_path, name, arguments, first_line, how):
    if signal.getsignal(how) is signal.SIG_IGN:
        pytest.skip("a job in the background has no Ctrl-C")
    temporary = tmp_path / "temporary"
    with run(name, *arguments, "--repetitions", "100", temporary=temporary) as process:
        assert process.stderr is not None
        said = [process.stderr.readline()]
        while not said[-1].startswith(first_line):
            assert said[-1], said
            said.append(process.stderr.readline())
        process.send_signal(how)
        errors = process.stderr.read()
    assert (process.returncode, "Traceback" in errors) == (130, False)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("main", "flag"),
    [(throughput.main, "--megabytes"), (throughput.main, "--repetitions")]
    + [(evaluation.main, flag) for flag in ("--users", "--repetitions", "--rank")],
)
def test_nothing_to_measure_is_bad_usage(main, flag):
    with pytest.raises(SystemExit) as ended:
        main([flag, "0"])
    assert ended.value.code == 2


@pytest.mark.parametrize(("error", "code"), [(InvalidInput("no"), 2), (Unavailable("no"), 1), (OSError("no"), 1)])
def test_error_gives_its_message_and_an_exit_code(error, code, capsys):
    def fail(_: Namespace) -> int:
        raise error

    assert (run_command(command_parser("one", "It fails."), fail, []), capsys.readouterr().err) == (code, "no\n")


def test_rows_name_each_metric_with_its_cut_off_and_lack_no_field(tmp_path):
    figures = Figures("als", "test", {"ndcg_10": Spread(0.2, 0.1, 0.3)}, {"users": 3})
    write_rows(tmp_path / "out" / "rows.json", [*rows_of([figures], {"users": 9, "seed": 1}), {"model": "x"}])
    whole, partial = json.loads((tmp_path / "out" / "rows.json").read_text("utf-8"))["rows"]
    assert whole == {
        "model": "als",
        "parameters": {"users": 3, "seed": 1},
        "split": "test",
        "metric": "ndcg",
        "k": 10,
        "value": 0.2,
        "low": 0.1,
        "high": 0.3,
    }
    assert partial == {**dict.fromkeys(FIELDS), "model": "x"}


def test_peak_of_memory_counts_from_its_last_reset():
    _ = bytearray(b"x") * 128_000_000
    before = reset_peak()
    held = bytearray(b"x") * 64_000_000  # above 32 MiB, malloc takes nothing that it has left
    assert 48_000_000 < peak_bytes() - before < 120_000_000
    del held


@contextmanager
def prepared(megabytes: int) -> Iterator[Callable[[], str]]:
    if megabytes < 0:
        raise InvalidInput(f"{megabytes} MB")
    yield lambda: f"{len(bytearray(b'x') * (megabytes * 10**6))} bytes"


def test_call_in_a_child_is_measured_and_answers():
    folders = (str(Path(__file__).parent), str(ROOT / "tests"))  # this module, and what it imports
    environment = {"PYTHONPATH": os.pathsep.join(folders)}
    measured = measure_in_child(prepared, {"megabytes": 50}, environment)
    assert measured.answer == "50000000 bytes"
    assert 40_000_000 < measured.bytes_above_idle < measured.peak_bytes
    assert measured.seconds > 0
    with pytest.raises(Unavailable, match="'-1' ended with exit code 1"):
        measure_in_child(prepared, {"megabytes": -1}, environment)


def test_spread_is_median_and_range():
    assert Spread.of([3.0, 1.0, 2.0]) == (2.0, 1.0, 3.0)
    assert Spread.of_ratios([2.0, 4.0, 3.0], [1.0, 0.5, 2.0]) == (3.0, 1.5, 8.0)
    assert Measurement(1.0, 1.0, idle_bytes=3, peak_bytes=5).bytes_above_idle == 2
