"""Let parts of a stack fail under a training, and check how it ends and that nothing is lost or stuck.

    python -m benchmarks.outages
    python -m benchmarks.outages --only spark-driver,minio

Each training is the main job on a small sample, by the deployment train/nightly on a process stack of the benchmark's
own: Prefect, Dask, Spark, MinIO and MLflow. During a step of it something is killed, stopped for 30 s or for good, or
sent SIGTERM. The training must end, in the state that is right for it; the same training, run again, must complete;
and the store must then hold the same bytes as one that nobody disturbed. A full disk, a memory limit and SIGTERM to a
command are tried with the training of python flows/train.py, forked from a process that has done its imports.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.scenarios import SCENARIOS, Outcome, Scenario
from flows.child_server import LOOPBACK, free_port
from schema.errors import Unavailable

if TYPE_CHECKING:
    from benchmarks.trainings import Ending, Place

LOOK_SECONDS, END_SECONDS = 0.1, 300.0
SMALL_DISK = "400k"  # less than the training publishes
LEADING_ELSEWHERE = ("STORE_", "S3_", "PREFECT_API", "DASK_", "SPARK_", "MLFLOW_", "WORK_DIR")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if every training ended as it should and nothing was lost or stuck, else 1."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="recommender-outages-") as folder:
        for one in _try_all(chosen.only, Path(folder)):
            seconds = "never" if one.seconds is None else f"{one.seconds:.0f} s"
            then = f"{one.state} after {seconds}, then {one.rerun}, lost {len(one.lost)}"
            harness.say(f"{one.scenario.name}: {then}: {one.verdict}")
            outcomes.append(one)
    _show(outcomes)
    harness.write_rows(chosen.json, [one.to_row(harness.describe_machine()) for one in outcomes])
    return judge(outcomes)


def judge(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if every outage that was tried came out right, and one was tried at all; else 1."""
    return harness.DONE if outcomes and all(one.is_right for one in outcomes) else harness.FAILED


def _try_all(only: Sequence[str], folder: Path) -> Iterator[Outcome]:
    from benchmarks.stack_outages import try_on_stack
    from benchmarks.trainings import Place, prepare_parameters

    parameters = prepare_parameters(folder / "sample")
    chosen = [one for name, one in SCENARIOS.items() if name in only]
    if on_stack := [one for one in chosen if one.step]:
        yield from try_on_stack(on_stack, parameters, folder)
    if commands := [one for one in chosen if not one.step]:
        yield from _try_commands(commands, Place("local", str(folder / "store"), parameters, folder))


def _try_commands(scenarios: Sequence[Scenario], place: "Place") -> Iterator[Outcome]:
    """Yield the outcome of each scenario: the training ends, runs again, and leaves what an undisturbed one does.

    One that does not end in time is killed, and so has a wrong exit code. Variables of this process that lead
    trainings elsewhere are removed.

    Raises:
        Unavailable: If the undisturbed training fails, or this user may not mount a disk.
    """
    from benchmarks.reader import compare

    for name in [name for name in os.environ if name.startswith(LEADING_ELSEWHERE)]:
        del os.environ[name]
    undisturbed = f"{place.root}/undisturbed"
    ending = place.run(undisturbed, kill_after=END_SECONDS)
    if ending.code:
        raise Unavailable(f"an undisturbed training failed: {ending.last_error}")
    expected = place.digests(undisturbed)
    for scenario in scenarios:
        with COMMANDS[scenario.name](place) as (uri, ending):
            rerun = place.run(uri, kill_after=END_SECONDS)
            lost = compare(place.digests(uri), expected)
        state, again = (f"exit code {one.code}" for one in (ending, rerun))
        yield Outcome(scenario, state, ending.seconds, ending.last_error, again, lost)


@contextmanager
def _fill_disk(place: "Place") -> "Iterator[tuple[str, Ending]]":
    """Train on a store whose disk, in memory, is too small; yield the store and the end, with more room by then.

    Raises:
        Unavailable: If this user may not mount a disk.
    """
    disk = place.scratch / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(disk))
    try:
        ending = place.run(f"{disk}/store", kill_after=END_SECONDS)
        _mount("-o", "remount,size=200m", str(disk))
        yield f"{disk}/store", ending
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # noqa: S607


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise Unavailable(f"mount is refused ({done.stderr.strip()}); run as root to try it")


@contextmanager
def _limit_memory(place: "Place") -> "Iterator[tuple[str, Ending]]":
    """Train with a Dask worker that may take less than Python and its libraries; yield the store and the end."""
    uri = f"{place.root}/limited"
    with _starved_dask(place.scratch) as address:
        ending = place.run(uri, "--dask-scheduler-address", address, kill_after=END_SECONDS)
    yield uri, ending


@contextmanager
def _terminate_command(place: "Place") -> "Iterator[tuple[str, Ending]]":
    """Send SIGTERM to a training while Spark takes the k-core; yield the store and the end, timed from then."""
    uri = f"{place.root}/terminated"
    with place.start(uri) as training:
        while not (ending := training.wait(LOOK_SECONDS)) and "k-core pass 1" not in str(training.read_log()):
            pass
        began = time.monotonic()
        training.terminate()
        ending = ending or training.wait(END_SECONDS) or training.kill()
    yield uri, replace(ending, seconds=time.monotonic() - began)


COMMANDS = {"disk-full": _fill_disk, "memory-limit": _limit_memory, "sigterm-command": _terminate_command}


@contextmanager
def _starved_dask(folder: Path) -> Iterator[str]:
    """Yield the address of a Dask whose only worker may take 150 MB, with the settings that the stack gives its own."""
    from deployments.stack.placement import DASK_SCHEDULER, place_in_containers
    from deployments.stack.services import services

    environments: dict[str, Mapping[str, str]] = {one.name: one.environment for one in services(place_in_containers())}
    address = f"tcp://{LOOPBACK}:{free_port()}"
    with ExitStack() as stack:
        for name, command in {
            DASK_SCHEDULER: ("scheduler", "--port", address.rpartition(":")[2], "--dashboard-address", f"{LOOPBACK}:0"),
            "dask-worker-1": ("worker", address, "--nthreads", "1", "--memory-limit", "150MB", "--no-dashboard"),
        }.items():
            dask = {key: value for key, value in environments[name].items() if key.startswith("DASK_")}
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--host", LOOPBACK],
                env={**os.environ, **dask},
                cwd=folder,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield address


def _show(outcomes: Sequence[Outcome]) -> None:
    from reports.tables import TextTable

    rows = [
        (
            one.scenario.what,
            one.state,
            "" if one.seconds is None else f"{one.seconds:.0f}",
            one.message.partition("\n")[0],
            one.rerun,
            str(len(one.lost)),
            str(int(one.is_stuck)),
            one.verdict,
        )
        for one in outcomes
    ]
    columns = ("outage", "training", "s", "message", "run again", "lost", "stuck", "")
    console = harness.open_console(150)
    console.print(TextTable(columns, rows, n_left=len(columns), limit=160).to_rich("Outages under a training"))
    console.print(f"Machine: {harness.describe_machine()}")
    for one in outcomes:
        for trouble in one.lost:
            console.print(f"{one.scenario.name}: {trouble}", style="red")


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("outages", f"{__doc__}\nOutages: {', '.join(SCENARIOS)}.")
    parser.add_argument("--only", type=_names, default=tuple(SCENARIOS), metavar="NAME,…", help="outages to try (all)")
    return parser


def _names(text: str) -> tuple[str, ...]:
    unknown = sorted(set(text.split(",")) - set(SCENARIOS))
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no outage {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    return tuple(text.split(","))


if __name__ == "__main__":
    sys.exit(main())
