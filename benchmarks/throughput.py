"""Time and memory of one large upload and download on S3, beside boto3's transfer manager alone.

    python -m benchmarks.throughput --megabytes 500 --repetitions 3

It starts a MinIO of its own in a temporary folder, and removes all of it at the end. Every transfer runs in a fresh
process; boto3's goes through a client like the store's, with the default TransferConfig. Peak memory is the most that
the process held (VmHWM, reset by writing 5 to /proc/self/clear_refs) above what it held idle: after its imports, with
a client made and one tiny request answered. The downloaded bytes are compared with the uploaded ones.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from benchmarks.measuring import MEGABYTE, Spread

if TYPE_CHECKING:
    from benchmarks.transfers import Measurements

MOST_RATIO = 1.5
LEAST_TOO_MANY_MEGABYTES = 200
COLUMNS = (
    ("Seconds", "seconds", 2),
    ("(range)", "seconds", None),
    ("MB/s", "megabytes_per_second", 0),
    ("x boto3", "ratio_to_boto3", 2),
    ("Peak MB", "peak_megabytes", 0),
)
LABELS = {"boto3": "boto3 alone", "store": "store", "store_verified": "store, SHA-256 checked"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    import boto3

    from benchmarks.transfers import make_source, minio_version, run_rounds
    from deployments.s3_server import open_minio
    from flows.child_server import require_program

    parameters = {
        "megabytes": chosen.megabytes,
        "repetitions": chosen.repetitions,
        "machine": harness.describe_machine(),
        "minio": minio_version(require_program("minio")),
        "boto3": boto3.__version__,
    }
    with (
        tempfile.TemporaryDirectory(prefix="throughput-") as folder,
        open_minio(Path(folder, "s3"), bucket="throughput") as server,
    ):
        source = Path(folder, "source")
        sha256 = make_source(source, chosen.megabytes)
        figures = summarise(run_rounds(server, source, sha256, chosen.repetitions), chosen.megabytes)
    _show(figures, parameters)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def summarise(measurements: "Measurements", megabytes: int) -> list[harness.Figures]:
    """Return the figures of each direction and method, from one measurement of each in every repetition.

    They are the seconds and megabytes (of 1,000,000 bytes) a second of a transfer, the ratio of its time to boto3's,
    and the peak of memory above idle.
    """
    figures = []
    for (direction, method), measured in measurements.items():
        seconds = [one.seconds for one in measured]
        values = {
            "seconds": Spread.of(seconds),
            "megabytes_per_second": Spread.of([megabytes / one for one in seconds]),
            "ratio_to_boto3": Spread.of_ratios(seconds, [one.seconds for one in measurements[direction, "boto3"]]),
            "peak_megabytes": Spread.of([one.bytes_above_idle / MEGABYTE for one in measured]),
        }
        figures.append(harness.Figures(method, direction, values))
    return figures


def verdicts(figures: Sequence[harness.Figures]) -> Iterator[str]:
    """Yield a sentence for each aim and method of the store; memory is judged by its greatest peak.

    Checking the SHA-256 is work that boto3 does not do, so no aim is set for the time of that method.
    """
    for figure in figures:
        name = f"{figure.split} by {LABELS[figure.model]}"
        if figure.model == "store":
            ratio = figure.values["ratio_to_boto3"].value
            found = f"{name}: {ratio:.2f} x boto3's time"
            yield harness.describe_aim(found, f"at most {MOST_RATIO}", ratio <= MOST_RATIO)
        if figure.model != "boto3":
            peak = figure.values["peak_megabytes"].high
            found = f"{name}: at most {peak:.0f} MB above idle"
            yield harness.describe_aim(found, f"below {LEAST_TOO_MANY_MEGABYTES}", peak < LEAST_TOO_MANY_MEGABYTES)


def _show(figures: Sequence[harness.Figures], parameters: Mapping[str, Any]) -> None:
    title = f"{parameters['megabytes']} MB of random bytes, median of {parameters['repetitions']}"
    rows = {(figure.split, LABELS[figure.model]): figure for figure in figures}
    console = harness.open_console(100)
    console.print(harness.make_table(title, ["Transfer", "By"], COLUMNS, rows))
    console.print(f"Machine: {parameters['machine']}")
    console.print(f"MinIO {parameters['minio']}, boto3 {parameters['boto3']}; peaks are above the idle process")
    for sentence in verdicts(figures):
        console.print(sentence)


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("throughput", __doc__)
    parser.add_argument("--megabytes", type=harness.at_least_one, default=500, help="size of the file (500)")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=3, help="of each transfer (3)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
