"""Time and memory of one large upload and download on S3, beside boto3's transfer manager alone.

    python -m benchmarks.throughput --megabytes 500 --repetitions 3

It starts a MinIO of its own in a temporary folder, and removes all of it at the end. Every transfer runs in a fresh
process; boto3's goes through a client like the store's, with the default TransferConfig. Peak memory is what the
process held at most (VmHWM, set back by writing 5 to /proc/self/clear_refs) above what it held idle: after its
imports, with a client made and one tiny request answered. What comes back is compared with what went up.
"""

import argparse
import hashlib
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import boto3
from rich.console import Console

from benchmarks.machine import describe_machine
from benchmarks.transfers.figures import MEGABYTE, Figure, rows_of, summarise
from benchmarks.transfers.rounds import Measurement, Rounds
from benchmarks.transfers.table import table_of, verdicts
from deployments.s3_server import open_minio
from flows.child_server import require_program
from schema.errors import InvalidInput, OutOfSpace, RecommenderError

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130
BUCKET = "throughput"
COPIES = 4  # the source, one object of each method, and one that comes back
MODULE = re.compile(rb"\nmod\tgithub\.com/minio/minio\t(v[^\t\n]+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    chosen = _parser().parse_args(arguments)
    try:
        parameters = _parameters(chosen.megabytes, chosen.repetitions)
        figures = summarise(measure(chosen.megabytes, chosen.repetitions), chosen.megabytes)
        _show(figures, parameters)
        if chosen.json:
            content = json.dumps({"rows": list(rows_of(figures, parameters))}, indent=2)
            chosen.json.write_text(content + "\n", "utf-8")
    except (RecommenderError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return BAD_USAGE if isinstance(error, InvalidInput) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return DONE


def measure(megabytes: int, repetitions: int) -> list[Measurement]:
    """Transfer a file of random bytes up and down by every method, as often as asked for.

    Raises:
        InvalidInput: If MinIO is not installed.
        OutOfSpace: If the temporary folder has no room for the file and its copies.
        Unavailable: If MinIO does not start, or a transfer fails.
        CorruptObject: If what came back is not what went up.
    """
    measurements: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="throughput-") as name, open_minio(Path(name, "s3"), bucket=BUCKET) as s3:
        source = Path(name, "source")
        rounds = Rounds(s3, source, make_source(source, megabytes))
        for repetition in range(repetitions):
            sys.stderr.write(f"repetition {repetition + 1} of {repetitions}\n")
            measurements += rounds.run(repetition)
    return measurements


def make_source(path: Path, megabytes: int) -> str:
    """Write a file of random bytes, durably, and return its SHA-256.

    Raises:
        OutOfSpace: If there is no room for it and its copies.
    """
    needed, free = COPIES * megabytes * MEGABYTE, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OutOfSpace(f"{path.parent} has {free} bytes free; {needed} are needed. Choose another folder by TMPDIR.")
    digest = hashlib.sha256()
    with path.open("xb") as stream:
        for _ in range(megabytes):
            block = os.urandom(MEGABYTE)
            digest.update(block)
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def minio_version(program: Path) -> str:
    """Return the version of the Go module that a MinIO was built from, else what it says of itself."""
    with program.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if found := MODULE.search(content):
            return found[1].decode()
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split("(")[0].removeprefix("minio version").strip()


def _parameters(megabytes: int, repetitions: int) -> dict[str, str | int]:
    return {
        "megabytes": megabytes,
        "repetitions": repetitions,
        "machine": describe_machine(),
        "minio": minio_version(require_program("minio")),
        "boto3": boto3.__version__,
    }


def _show(figures: Sequence[Figure], parameters: Mapping[str, str | int]) -> None:
    console = Console(width=100, highlight=False, emoji=False, markup=False)
    title = f"{parameters['megabytes']} MB of random bytes, median of {parameters['repetitions']}"
    console.print(table_of(figures, title))
    console.print(f"Machine: {parameters['machine']}")
    console.print(f"MinIO {parameters['minio']}, boto3 {parameters['boto3']}; peaks are above the idle process")
    for sentence in verdicts(figures):
        console.print(sentence)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, found {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=_at_least_one, default=500, help="Size of the file (default: 500).")
    parser.add_argument("--repetitions", type=_at_least_one, default=3, help="Of each transfer (default: 3).")
    parser.add_argument("--json", type=Path, metavar="PATH", help="Also write the figures here, as JSON.")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and cleans up
    sys.exit(main())
