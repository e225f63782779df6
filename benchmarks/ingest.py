"""Time and memory of the ingest of a raw file, beside unpacking alone and other readers.

    python -m benchmarks.ingest --repetitions 3
    python -m benchmarks.ingest --only gunzip,ingest --times 10

The input is made the first time, and kept in ~/.cache: JSON lines with text, in one gzip stream, of the size of the
5-core of Amazon Electronics. --times repeats it, as further gzip members. Each contestant works in a fresh process:

    gunzip   ISA-L, in a thread beside one that counts lines: no reader can be faster
    ingest   what a flow does from the raw file to published reviews, its checks as Prefect tasks on Dask
    reading  the pipeline's reader without checks
    pyarrow, polars, duckdb, spark
             read the four fields, whose names and types they are told, and write them as Parquet; they find no unknown
             format, keep no quarantine, and end at the first line that they cannot read

Peak memory is what the process held at most (VmHWM) from when its imports were done; Spark's is that of its JVM too.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from benchmarks import harness, review_readers
from benchmarks.harness import Figures
from benchmarks.measuring import MEGABYTE, Measurement, Spread, measure_in_child
from benchmarks.review_file import cached_reviews
from benchmarks.synthetic import Size

GUNZIP, INGEST = "gunzip", "ingest"
OPENERS = {
    GUNZIP: review_readers.open_gunzip,
    INGEST: review_readers.open_ingest,
    "reading": review_readers.open_reading,
    "pyarrow": review_readers.open_pyarrow,
    "polars": review_readers.open_polars,
    "duckdb": review_readers.open_duckdb,
    "spark": review_readers.open_spark,
}
MOST_RATIO, MOST_PEAK_MEGABYTES = 3.0, 700
COLUMNS = (
    ("Seconds", "seconds", 2),
    ("(range)", "seconds", None),
    ("x gunzip", "ratio_to_gunzip", 2),
    ("(range)", "ratio_to_gunzip", None),
    ("CPU s", "cpu_seconds", 2),
    ("Peak MB", "peak_megabytes", 0),
    ("Rows", "rows", 0),
)

Measurements = Mapping[str, Sequence[Measurement]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0, whether or not the aims are met."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    names = harness.some_of(chosen.only, OPENERS)
    size = Size() if chosen.rows is None else Size().shrink(max(Size().interactions // chosen.rows, 1))
    source = cached_reviews(size, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="ingest-") as folder:
        path = _repeat(source, chosen.times, Path(folder)) if chosen.times > 1 else source
        parameters = {
            "rows": size.interactions * chosen.times,
            "gzip_megabytes": path.stat().st_size / MEGABYTE,
            "seed": chosen.seed,
            "repetitions": chosen.repetitions,
            "machine": harness.describe_machine(),
        }
        figures = summarise(_measure(path, names, chosen.repetitions))
    _show(figures, parameters)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def _repeat(source: Path, times: int, folder: Path) -> Path:
    path = folder / f"{times}-times.json.gz"
    with path.open("wb") as file:
        for _ in range(times):
            with source.open("rb") as one:
                copyfileobj(one, file)
    return path


def _measure(path: Path, names: Sequence[str], repetitions: int) -> Measurements:
    """Return one measurement of each contestant in every repetition, each with a folder of its own."""
    measured: dict[str, list[Measurement]] = {name: [] for name in names}
    for name in harness.take_turns(names, repetitions):
        with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
            variables = {"STORE_URI": f"{folder}/store", "WORK_DIR": f"{folder}/work", "PREFECT_HOME": f"{folder}/home"}
            arguments = {"path": str(path), "folder": folder}
            measured[name].append(measure_in_child(OPENERS[name], arguments, variables))
    return measured


def summarise(measurements: Measurements) -> list[Figures]:
    """Return the figures of each contestant, from one measurement of each in every repetition.

    They are the seconds and processor seconds, the ratio to gunzip's seconds where that was measured, the peak of
    memory in megabytes of 1,000,000 bytes, and the rows that were found. Those of the ingest without its run, which
    starts Dask and ends the run in Prefect, are a contestant of their own.
    """
    return [
        Figures(name, "", _values(measured, _seconds(measurements.get(GUNZIP, ()))))
        for name, measured in _with_run(measurements).items()
    ]


def _with_run(measurements: Measurements) -> Measurements:
    """Return the measurements with those of the ingest alone beside those of its run."""
    if INGEST not in measurements:
        return measurements
    runs = measurements[INGEST]
    alone = [
        Measurement(one.answer["ingest_seconds"], one.cpu_seconds, one.idle_bytes, one.peak_bytes, one.answer)
        for one in runs
    ]
    return {**measurements, INGEST: alone, "ingest with its run": runs}


def _seconds(measured: Sequence[Measurement]) -> list[float]:
    return [one.seconds for one in measured]


def _values(measured: Sequence[Measurement], gunzip: Sequence[float]) -> dict[str, Spread]:
    answers = [one.answer if isinstance(one.answer, dict) else {"rows": one.answer} for one in measured]
    peaks = [
        (one.peak_bytes + said.get("jvm_bytes", 0)) / MEGABYTE for one, said in zip(measured, answers, strict=True)
    ]
    values = {
        "seconds": Spread.of(_seconds(measured)),
        "cpu_seconds": Spread.of([one.cpu_seconds for one in measured]),
        "peak_megabytes": Spread.of(peaks),
        "rows": Spread.of([said["rows"] for said in answers]),
    }
    return values | ({"ratio_to_gunzip": Spread.of_ratios(_seconds(measured), gunzip)} if gunzip else {})


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield a sentence for each aim of the ingest; memory is judged by its greatest peak."""
    for one in figures:
        if one.model == INGEST:
            peak = one.values["peak_megabytes"].high
            if "ratio_to_gunzip" in one.values:
                ratio = one.values["ratio_to_gunzip"].value
                found = f"ingest: {ratio:.2f} x the time of gunzip"
                yield harness.describe_aim(found, f"at most {MOST_RATIO:g}", ratio <= MOST_RATIO)
            found = f"ingest: peak {peak:.0f} MB"
            yield harness.describe_aim(found, f"below {MOST_PEAK_MEGABYTES}", peak < MOST_PEAK_MEGABYTES)


def _show(figures: Sequence[Figures], parameters: Mapping[str, Any]) -> None:
    console = harness.open_console(110)
    title = f"{parameters['rows']:,} reviews, {parameters['gzip_megabytes']:.0f} MB gzipped"
    console.print(harness.make_table(title, ["Contestant"], COLUMNS, {(one.model,): one for one in figures}))
    console.print(f"Machine: {parameters['machine']}; median of {parameters['repetitions']}")
    for sentence in verdicts(figures):
        console.print(sentence)


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("ingest", __doc__)
    parser.add_argument("--rows", type=harness.at_least_one, help="about so many reviews instead of all")
    parser.add_argument("--times", type=harness.at_least_one, default=1, help="the file so often in a row (1)")
    parser.add_argument("--only", default=",".join(OPENERS), help="contestants (all), with commas")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each contestant (1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
