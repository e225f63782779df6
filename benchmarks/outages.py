"""Let parts of a stack fail under a training, and see how it ends and that nothing is lost or stuck.

    python -m benchmarks.outages
    python -m benchmarks.outages --only spark-driver,minio

Each training is the main job on a small sample, by the deployment train/nightly on a process stack of the benchmark's
own: Prefect, Dask, Spark, MinIO and MLflow. At a step of it something is killed, stopped for 30 s or sent SIGTERM.
The training must end, in the state that is right for it; the same training, run again, must complete; and the store
must then hold the very bytes of one that nobody disturbed. A full disk, a memory limit and SIGTERM to a command are
tried with python flows/train.py.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun
from rich.console import Console
from rich.table import Table

from benchmarks.crashes.rounds import digests
from benchmarks.failing.commands import COMMANDS, Job, clean
from benchmarks.failing.office import Office, open_office
from benchmarks.failing.own_stack import OwnStack, open_stack
from benchmarks.failing.scenarios import SCENARIOS, Scenario
from benchmarks.failing.verdict import NOT_TRIED, STUCK, Outcome, compare
from benchmarks.machine import describe_machine
from benchmarks.rows import write_rows
from reports.display import clean_text
from reviews.options import SampleOptions
from reviews.sample import SampleFiles, write_sample
from schema.errors import RecommenderError, Unavailable
from storage.opening import S3Options, open_store
from storage.protocol import Store

SAMPLE = SampleOptions(n_users=600, n_items=250)
PARAMETERS: Mapping[str, Any] = {
    "partition_bytes": 65536,
    "split": "random",
    "knn_neighbours": 1,  # ALS wins so, and the files of a model of Spark's are at stake too
    "als_models": ["implicit"],
    "als_rank": [32],
    "als_reg": [0.2],
    "als_alpha": [0.5],
    "als_maxiter": 3,
    "als_blocks": 1,  # so that sums have one order
}
FLAGS = (
    *("--split", "random", "--knn-neighbours", "1", "--models", "implicit", "--rank", "32", "--reg", "0.2"),
    *("--alpha", "0.5", "--maxiter", "3", "--als-blocks", "1", "--spark-driver-memory", "1g"),
)
SIZES = {"STACK_DASK_WORKERS": "2", "STACK_SPARK_WORKERS": "1", "STACK_DASK_WORKER_MEMORY": "1g"}
STEP_SECONDS, END_SECONDS = 180.0, 300.0
NAMES = (*(one.name for one in SCENARIOS), *COMMANDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if every training ended as it should and nothing was lost or stuck, else 1."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # everything is stopped then too
    with tempfile.TemporaryDirectory(prefix="recommender-outages-") as folder:
        try:
            outcomes = list(_try_all(chosen.only, Path(folder)))
        except RecommenderError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted; nothing is left of it\n")
            return 130
    _show(outcomes)
    if chosen.json:
        write_rows(chosen.json, [one.to_row({"machine": describe_machine()}) for one in outcomes])
    return judge(outcomes)


def judge(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if every outage that was tried came out right, and one was tried at all; else 1."""
    return 0 if outcomes and all(one.is_right for one in outcomes) else 1


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outages",
        description=description,
        epilog=f"{epilog}\nOutages: {', '.join(NAMES)}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", type=_names, default=NAMES, metavar="NAME,…", help="outages to try (all)")
    parser.add_argument("--json", type=Path, help="write the outcomes here as JSON")
    return parser


def _names(text: str) -> tuple[str, ...]:
    unknown = sorted(set(text.split(",")) - set(NAMES))
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no outage {unknown[0]!r}; there are {', '.join(NAMES)}")
    return tuple(text.split(","))


def _try_all(only: Sequence[str], folder: Path) -> Iterator[Outcome]:
    sample = write_sample(folder / "sample", SAMPLE)
    scenarios = [one for one in SCENARIOS if one.name in only]
    if scenarios:
        with open_stack(folder, SIZES) as stack:
            yield from _try_on_stack(stack, scenarios, sample)
    inputs = ("--input", str(sample.reviews), "--products", str(sample.products))
    for name in (name for name in COMMANDS if name in only):
        scratch = folder / name
        scratch.mkdir()
        job = Job((*inputs, *FLAGS), clean(os.environ), scratch)
        yield _said(COMMANDS[name](job))


def _try_on_stack(stack: OwnStack, scenarios: Sequence[Scenario], sample: SampleFiles) -> Iterator[Outcome]:
    command = [sys.executable, "-m", "deployments.register"]
    subprocess.run(command, env=dict(stack.environment), check=True, stdout=subprocess.DEVNULL)
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    os.environ |= {name: stack.environment[name] for name in names}
    options = S3Options(s3_endpoint_url=stack.environment["S3_ENDPOINT_URL"])
    store = open_store(stack.environment["STORE_URI"], options)
    parameters = {**PARAMETERS, "input_reviews": str(sample.reviews), "input_products": str(sample.products)}
    with open_office(stack.environment["PREFECT_API_URL"], parameters) as office:
        began = time.monotonic()
        run = office.wait_for_end(office.start(), END_SECONDS)
        if run is None or run.state is None or not run.state.is_completed():
            raise RecommenderError(f"an undisturbed training did not complete: {run and run.state}")
        expected = digests(store)
        _say(f"an undisturbed training takes {time.monotonic() - began:.0f} s and leaves {len(expected)} objects")
        for scenario in scenarios:
            _empty(store)
            yield _said(_try(stack, office, scenario, store, expected))


def _try(stack: OwnStack, office: Office, scenario: Scenario, store: Store, expected: Mapping[str, str]) -> Outcome:
    what = f"{scenario.what} during '{scenario.step}'"
    try:
        run = office.wait_for_step(office.start(), scenario.step, STEP_SECONDS)
        began = time.monotonic()
        scenario.damage(stack, run)
        ended = office.wait_for_end(run.id, END_SECONDS)
        seconds = round(time.monotonic() - began, 1) if ended else None
        stack.wait_until_whole()
        rerun = ended if _name(ended) == "Completed" else office.wait_for_end(office.start(), END_SECONDS)
    except Unavailable as error:
        return Outcome(scenario.name, what, NOT_TRIED, scenario.expected, None, str(error), NOT_TRIED, ())
    message = str(ended.state.message) if ended and ended.state else ""
    lost = compare(digests(store), expected)
    return Outcome(scenario.name, what, _name(ended), scenario.expected, seconds, message, _name(rerun), lost)


def _name(run: FlowRun | None) -> str:
    return str(run.state.name) if run and run.state else STUCK


def _empty(store: Store) -> None:
    for info in list(store.list("")):
        store.delete(info.key)


def _show(outcomes: Sequence[Outcome]) -> None:
    table = Table(title="Outages under a training", caption=describe_machine())
    for name in ("outage", "training", "s", "what it said", "run again", "lost", "stuck", ""):
        table.add_column(name, overflow="fold")
    for one in outcomes:
        seconds = "" if one.seconds is None else f"{one.seconds:.0f}"
        counted = (str(len(one.lost)), str(int(one.is_stuck)), "right" if one.is_right else "WRONG")
        said = clean_text(one.message.splitlines()[0] if one.message else "", 160)
        table.add_row(one.what, one.state, seconds, said, one.rerun, *counted)
    console = Console(width=150)
    console.print(table)
    for one in outcomes:
        for trouble in one.lost:
            console.print(f"{one.name}: {trouble}", style="red")


def _said(outcome: Outcome) -> Outcome:
    verdict = "right" if outcome.is_right else "WRONG"
    seconds = "never" if outcome.seconds is None else f"{outcome.seconds:.0f} s"
    _say(f"{outcome.name}: {outcome.state} after {seconds}, then {outcome.rerun}, lost {len(outcome.lost)}: {verdict}")
    return outcome


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
