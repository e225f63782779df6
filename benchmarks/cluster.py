"""Ingest, dataset and split on a cluster over MinIO, which must give the bytes of those of this machine in a folder.

    python -m benchmarks.cluster --rows 170000,1700000

Spark's standalone master with two executors of one core and 1 GiB each, a Dask scheduler with two worker processes, a
Prefect server and MinIO are started for it, as the process stack starts them. Each step of `benchmarks.growth` up to
the split is run embedded, on a folder, and on the cluster. Every object of both stores is compared, manifests with ids
included; one that differs is named, and the exit code is 1. All share the cores of one machine, so that the seconds
say what a cluster costs and not what it gains.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from benchmarks import harness
from benchmarks.growth import measure_steps, parse_rows, summarise_traffic
from benchmarks.harness import Figures
from benchmarks.measuring import ROOT, Measurement, Spread
from benchmarks.reader import Digests, compare, digests
from deployments.stack.placement import ACCESS_KEYS, place_on_this_machine
from deployments.stack.services import services
from deployments.stack.settings import StackSettings
from deployments.stack.supervisor import Supervisor
from flows.child_server import free_port
from storage.opening import open_store
from storage.s3_options import S3Options

STEPS = ("ingest", "dataset", "split")
EMBEDDED, CLUSTER = "embedded", "cluster"
SERVICES = ("minio", "store-bucket", "prefect-server", "dask-", "spark-")
SIZES = {
    "dask_workers": 2,
    "dask_worker_memory": "1g",
    "spark_workers": 2,
    "spark_worker_cores": 1,
    "spark_worker_memory": "1g",
}
COLUMNS = (
    *((f"{step} s", f"{step}_seconds", 1) for step in STEPS),
    ("Shuffled MB", "shuffled_megabytes", 1),
    ("Read MB", "read_megabytes", 1),
    ("Broadcast MB", "broadcast_megabytes", 1),
    ("To driver MB", "result_megabytes", 2),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; return 1 if the bytes differ."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    figures, differences = list[Figures](), dict[int, Sequence[str]]()
    for n_rows in sorted(chosen.rows):
        found, differences[n_rows] = measure(n_rows, chosen.seed, chosen.repetitions)
        figures += found
    console, machine = harness.open_console(120), harness.describe_machine()
    rows = {(one.model, f"{one.parameters['rows']:,}"): one for one in figures}
    console.print(harness.make_table("Up to the split", ["Where", "Rows"], COLUMNS, rows))
    console.print(f"Machine: {machine}; median of {chosen.repetitions}")
    for n_rows, differing in differences.items():
        console.print("\n".join([f"{n_rows:,} rows: {len(differing)} objects differ", *differing]))
    parameters = {"seed": chosen.seed, "repetitions": chosen.repetitions, "machine": machine}
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.FAILED if any(differences.values()) else harness.DONE


def measure(n_rows: int, seed: int, repetitions: int) -> tuple[list[Figures], tuple[str, ...]]:
    """Return the figures of both, and how the store of the cluster differs from the folder, in any repetition."""
    runs: dict[str, list[Mapping[str, Measurement]]] = {EMBEDDED: [], CLUSTER: []}
    differences: set[str] = set()
    for _ in harness.take_turns([f"{n_rows:,} rows"], repetitions):
        with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
            expected, there = Path(folder, "store"), Path(folder, "cluster")
            runs[EMBEDDED].append(dict(measure_steps(n_rows, seed, STEPS, {"STORE_URI": str(expected)})))
            with open_cluster(there) as variables:
                runs[CLUSTER].append(dict(measure_steps(n_rows, seed, STEPS, variables)))
                found = _digests(variables)
            differences |= {*compare(found, digests(open_store(str(expected))))}
    return [summarise(name, n_rows, done) for name, done in runs.items()], tuple(sorted(differences))


def _digests(variables: Mapping[str, str]) -> Digests:
    """Return the digest of each object of the store to which variables lead."""
    with patch.dict(os.environ, {name: variables[name] for name in ACCESS_KEYS}):
        store = open_store(variables["STORE_URI"], S3Options(s3_endpoint_url=variables["S3_ENDPOINT_URL"]))
        return digests(store)


def summarise(name: str, n_rows: int, runs: Sequence[Mapping[str, Measurement]]) -> Figures:
    """Return the seconds of each step, and what Spark moved for the dataset."""
    seconds = {f"{step}_seconds": Spread.of([one[step].answer["step_seconds"] for one in runs]) for step in STEPS}
    moved, *_ = summarise_traffic(n_rows, [one["dataset"] for one in runs])
    return Figures(name, f"{n_rows} rows", {**seconds, **moved.values}, {"rows": n_rows})


@contextmanager
def open_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the variables by which flows find MinIO, Prefect, Dask and Spark, which end with the block.

    Raises:
        InvalidInput: If a program is not installed.
        Unavailable: If a service cannot be used.
    """
    ports = {name: free_port() for name in StackSettings.model_fields if name.endswith("_port")}
    places = {"folder": folder / "stack", "minio_folder": folder / "minio"}
    placement = place_on_this_machine(StackSettings.model_validate({**places, **ports, **SIZES}))
    here = {"PYTHONPATH": str(ROOT)}  # Dask gets the steps by their names, and the benchmarks are not installed
    wanted = [
        replace(one, environment={**one.environment, **here})
        for one in services(placement)
        if one.name.startswith(SERVICES)
    ]
    supervisor = Supervisor(wanted, placement.settings.folder, placement.secrets)
    try:
        supervisor.start()
        yield placement.flow_variables() | {name: placement.secrets[name] for name in ACCESS_KEYS}
    finally:
        supervisor.stop()


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("cluster", __doc__)
    parser.add_argument("--rows", type=parse_rows, default=[170_000, 1_700_000], help="sizes (170000,1700000)")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=1, help="runs of each step (1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the input (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
