"""Let parts of a stack fail under a training, and check how it ends and that nothing is lost or stuck.

    python -m benchmarks.outages
    python -m benchmarks.outages --only spark-driver,minio

Each training is the main job on a small sample, by the deployment train/nightly on a process stack of the benchmark's
own: Prefect, Dask, Spark, MinIO and MLflow. During a step of it something is killed, stopped for 30 s or sent SIGTERM.
The training must end, in the state that is right for it; the same training, run again, must complete; and the store
must then hold the same bytes as one that nobody disturbed. A full disk, a memory limit and SIGTERM to a command are
tried with python flows/train.py.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import harness
from benchmarks.scenarios import SCENARIOS, Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if every training ended as it should and nothing was lost or stuck, else 1."""
    chosen = _parser().parse_args(arguments)
    return harness.run_command(lambda: _run(chosen))


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
    from benchmarks.command_outages import try_commands
    from benchmarks.stack_outages import try_on_stack
    from benchmarks.trainings import Place, prepare_parameters

    parameters = prepare_parameters(folder / "sample")
    chosen = [one for name, one in SCENARIOS.items() if name in only]
    if on_stack := [one for one in chosen if one.step]:
        yield from try_on_stack(on_stack, parameters, folder)
    if commands := [one for one in chosen if not one.step]:
        yield from try_commands(commands, Place("local", str(folder / "store"), parameters, folder))


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
