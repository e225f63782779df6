"""Kill trainings and servers at random moments, recover, and count losses and half-done states that a reader saw.

    python -m benchmarks.faults                                      100 kills on a folder, 100 on a MinIO of its own
    python -m benchmarks.faults --kills 20 --store s3://bucket/prefix

Each training is the main job on a small sample, forked from a process that has done the imports, with the JVM's
classes from an archive. It is killed with SIGKILL at a moment drawn evenly over the duration of an undisturbed one,
started again, killed again, up to ``--kills-per-round`` times, and then left to its end: so a recovery also recovers
from kills during the recovery. Its store must then hold the same bytes as a store that nobody disturbed. A reader
looks at the store all the time.
"""

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.measuring import Spread
from schema.errors import RecommenderError
from storage.s3_options import S3_SCHEME, S3Options

if TYPE_CHECKING:
    from benchmarks.kills import Round
    from benchmarks.reader import Digests
    from benchmarks.trainings import Place

LOCAL, MINIO = "local", "minio"
AWAY_SECONDS = (1.0, 3.0)
COLUMNS = (
    ("kills", "kills", 0),
    ("recovered", "recovered", 0),
    ("server kills", "server_kills", 0),
    ("recovered", "server_recovered", 0),
    ("rerun by hand", "reruns", 0),
    ("violations", "violations", 0),
    ("looks of the reader", "looks", 0),
    ("orphans", "orphans", 0),
    ("recovery, median s", "seconds_to_recover", 1),
)
# Words in a line of a training's log, by the stage that writes it, in the order of the training.
STAGES = {
    "ingest": r"kept as raw|fetch raw|read raw|reviews/|publish reviews|quarantine|'check (?!tracking)|'keep ",
    "dataset": r"k-core|datasets/|build dataset",
    "split": r"split|Split",
    "fit": r"\bfit |fits/|BLAS",
    "score": r"\bscore |scores/",
    "choose": r"choose|Chosen|No trained model",
    "publish": r"models/|publish model|reports/|publish report|NDCG|Test split|Sample data",
    "recommend": r"recommend",
    "track": r"track|MLflow|mlflow|Report:|Model:|Recommendations:|experiment",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if everything was recovered and no reader saw anything half-done, else 1."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    from flows.runtime import open_prefect_api

    with tempfile.TemporaryDirectory(prefix="recommender-faults-") as folder, ExitStack() as stack:
        os.environ |= {"PREFECT_HOME": f"{folder}/prefect", "TMPDIR": folder, "SPARK_LOCAL_DIRS": folder}
        os.environ["PREFECT_API_URL"] = stack.enter_context(open_prefect_api())  # before the first training is forked
        rounds = {name: _kill_on(name, chosen, Path(folder)) for name in chosen.store or (LOCAL, MINIO)}
    machine = harness.describe_machine()
    figures = [summarise(name, done) for name, done in rounds.items()]
    _show(rounds, figures, machine)
    harness.write_rows(chosen.json, harness.rows_of(figures, {"machine": machine}))
    all_rounds = [one for done in rounds.values() for one in done]
    is_right = all(one.is_recovered and not one.violations for one in all_rounds)
    return harness.DONE if is_right else harness.FAILED


def _kill_on(name: str, chosen: argparse.Namespace, folder: Path) -> "list[Round]":
    scratch = folder / uuid.uuid4().hex[:8]
    with _open_place(name, scratch) as place:
        os.environ |= place.environment
        expected, seconds = _undisturbed(place)
        harness.say(f"{place.name}: an undisturbed training takes {seconds:.1f} s and leaves {len(expected)} objects")
        return list(kill_rounds(chosen, place, expected, seconds))


@contextmanager
def _open_place(name: str, scratch: Path) -> "Iterator[Place]":
    from benchmarks.trainings import Place, prepare_parameters
    from deployments.s3_server import open_minio

    parameters = prepare_parameters(scratch / "sample")
    if name == LOCAL:
        yield Place(LOCAL, str(scratch / "store"), parameters, scratch)
    elif name == MINIO:
        with open_minio(scratch / "minio", bucket="faults") as server:
            options, variables = S3Options(s3_endpoint_url=server.endpoint_url), server.environment()
            yield Place(MINIO, f"{S3_SCHEME}{server.bucket}", parameters, scratch, options, variables, server)
    else:
        options = S3Options(s3_endpoint_url=os.environ.get("S3_ENDPOINT_URL"))
        yield Place(name, f"{name.rstrip('/')}/faults-{uuid.uuid4().hex[:8]}", parameters, scratch, options)


def _undisturbed(place: "Place") -> "tuple[Digests, float]":
    """Return the objects of an undisturbed training, the same on a folder and on the place, and its duration there.

    The first one on the place writes the archive of the JVM's classes, and so is not timed.
    """
    uris = [f"{place.root}/undisturbed", str(place.scratch / "reference"), f"{place.root}/timed"]
    endings = [place.run(uri) for uri in uris]
    if any(ending.code for ending in endings):
        raise RecommenderError(f"an undisturbed training failed: {[ending.last_error for ending in endings]}")
    first, *others = (place.digests(uri) for uri in uris)
    if any(first != other for other in others):
        raise RecommenderError("undisturbed trainings left different bytes, so nothing can be compared with them")
    return first, endings[-1].seconds


def kill_rounds(chosen: argparse.Namespace, place: "Place", expected: "Digests", seconds: float) -> "Iterator[Round]":
    """Yield rounds until enough trainings, and then enough servers, were killed at moments uniform over a training."""
    from benchmarks.kills import kill_in_round, kill_server_in_round

    draw, started = random.Random(chosen.seed), time.monotonic()  # noqa: S311 - not for secrets
    n_kills = n_server_kills = number = 0
    while n_kills < chosen.kills:
        number += 1
        moments = [draw.uniform(0, seconds) for _ in range(min(chosen.kills_per_round, chosen.kills - n_kills))]
        done = kill_in_round(place, f"{place.root}/round-{number}", expected, moments)
        n_kills += len(done.kills)
        left = (time.monotonic() - started) / max(n_kills, 1) * (chosen.kills - n_kills)
        progress = f"{n_kills} of {chosen.kills}, {left / 60:.0f} min left"
        harness.say(f"{place.name}, round {number}: {describe_round(done)}; {progress}")
        yield done
        if not done.kills and not done.is_recovered:
            return  # trainings fail by themselves
    while place.server and n_server_kills < chosen.server_kills:
        number += 1
        moment, away = draw.uniform(0, seconds), draw.uniform(*AWAY_SECONDS)
        done = kill_server_in_round(place, place.server, f"{place.root}/round-{number}", expected, moment, away)
        n_server_kills += done.server_kills
        harness.say(f"{place.name}, server kill {n_server_kills} of {chosen.server_kills}: {describe_round(done)}")
        yield done


def describe_round(done: "Round") -> str:
    """Return one line on a round: its kills, its recovery and the first of each trouble."""
    state = "recovered" if done.is_recovered else f"NOT RECOVERED: {done.problems[0]}"
    seen = f", READER SAW: {done.violations[0]}" if done.violations else ""
    again = f", failed and run again ({done.reruns[0][:120]})" if done.reruns else ""
    return f"{len(done.kills)} kills, {state} in {done.seconds_to_recover:.0f} s{again}{seen}"


def stage_of(line: str) -> str:
    """Return the stage of a training that wrote a line of its log; 'start' if none has begun.

    Example:
        >>> stage_of("Task run 'build dataset-01c' - k-core pass 1: 80 users")
        'dataset'
        >>> stage_of("Flow run 'train on sample-reviews.json.gz' - MLflow: sqlite:///mlflow.db")
        'track'
        >>> stage_of("")
        'start'
    """
    return next((stage for stage, words in STAGES.items() if re.search(words, line)), "start")


def summarise(name: str, done: "Sequence[Round]") -> harness.Figures:
    """Return the figures of the rounds on a place."""
    by_kill = [one for one in done if one.kills]
    by_server = [one for one in done if one.server_kills]
    figures = {
        "kills": sum(len(one.kills) for one in by_kill),
        "recovered": sum(len(one.kills) for one in by_kill if one.is_recovered),
        "server_kills": len(by_server),
        "server_recovered": sum(one.is_recovered for one in by_server),
        "reruns": sum(len(one.reruns) for one in done),
        "violations": sum(len(one.violations) for one in done),
        "looks": sum(one.n_looks for one in done),
        "orphans": sum(one.n_orphans for one in done),
        "seconds_to_recover": round(statistics.median(one.seconds_to_recover for one in done), 1) if done else 0,
    }
    moments = [[round(kill.seconds, 2), stage_of(kill.last_line)] for one in by_kill for kill in one.kills]
    values = {metric: Spread.of([value]) for metric, value in figures.items()}
    return harness.Figures(name, "", values, {"kill_seconds_and_stage": moments})


def _show(rounds: "Mapping[str, list[Round]]", figures: Sequence[harness.Figures], machine: str) -> None:
    console = harness.open_console(150)
    rows = {(one.model,): one for one in figures}
    console.print(harness.make_table("Killed and recovered", ["store"], COLUMNS, rows))
    console.print(f"Machine: {machine}")
    stages = Counter(stage for one in figures for _, stage in one.parameters["kill_seconds_and_stage"])
    console.print("Stages of the kills: " + ", ".join(f"{stage} {n}" for stage, n in stages.most_common()))
    for name, done in rounds.items():
        for one in done:
            for trouble in (*one.problems, *one.violations):
                console.print(f"{name} {one.uri}: {trouble}", style="red")


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("faults", __doc__)
    parser.add_argument("--kills", type=int, default=100, help="trainings that are killed on each store (100)")
    parser.add_argument("--kills-per-round", type=int, default=5, help="kills before a training is left alone (5)")
    parser.add_argument("--server-kills", type=int, default=10, help="kills of this benchmark's own MinIO (10)")
    parser.add_argument(
        "--store", action="append", help="local, minio, or the URI of a store; may be repeated (local and minio)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
