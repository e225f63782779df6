"""Kill trainings and servers at random moments, recover, and count what was lost and what a reader saw half-done.

    python -m benchmarks.faults                                      100 kills on a folder, 100 on a MinIO of its own
    python -m benchmarks.faults --kills 20 --store s3://bucket/prefix

Each training is the main job on a small sample, forked from a process that has done the imports, with the JVM's
classes from an archive. It is killed with SIGKILL at a moment drawn evenly over the time an undisturbed one takes,
started again, killed again, up to ``--kills-per-round`` times, and then left to its end: so a recovery also recovers
from kills during the recovery. Its store must then hold the very bytes of a store that nobody disturbed. A reader
looks at the store all the time.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.crashes.rounds import SAMPLE, Digests, Job, Moments, Round, digests, kill_in_round, kill_server_in_round
from benchmarks.crashes.stages import stage_of
from benchmarks.crashes.trainings import open_fork_server
from benchmarks.machine import describe_machine
from benchmarks.rows import write_rows
from deployments.s3_server import S3Server, open_minio
from flows.prefect_server import open_prefect_api
from reviews.sample import write_sample
from schema.errors import RecommenderError
from storage.s3_options import S3_SCHEME, S3Options

LOCAL, MINIO = "local", "minio"


@dataclass(frozen=True)
class Place:
    """A backend that trainings are killed on.

    Attributes:
        name: What it is called in the tables.
        root: URI below which each round has a store of its own.
        options: How an S3 server is reached.
        environment: Variables that a training needs to write there.
        server: The server, where it is this benchmark's own and may be killed.
    """

    name: str
    root: str
    options: S3Options
    environment: dict[str, str]
    server: S3Server | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 if everything was recovered and no reader saw anything half-done, else 1."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # everything is cleaned up then too
    with tempfile.TemporaryDirectory(prefix="recommender-faults-") as folder:
        try:
            rounds = {name: _run(chosen, name, Path(folder)) for name in chosen.store or (LOCAL, MINIO)}
        except RecommenderError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except KeyboardInterrupt:
            sys.stderr.write("Interrupted; nothing is left of it\n")
            return 130
    _show(rounds)
    if chosen.json:
        write_rows(chosen.json, [row for name, done in rounds.items() for row in _rows(name, done)])
    flat = [one for done in rounds.values() for one in done]
    return 0 if all(one.is_recovered and not one.violations for one in flat) else 1


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.faults",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=100, help="trainings that are killed on each store (100)")
    parser.add_argument("--kills-per-round", type=int, default=5, help="kills before a training is left alone (5)")
    parser.add_argument("--server-kills", type=int, default=10, help="kills of this benchmark's own MinIO (10)")
    parser.add_argument(
        "--store", action="append", help="local, minio, or the URI of a store; may be repeated (local and minio)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments (1)")
    parser.add_argument("--json", type=Path, help="write the figures here as JSON")
    return parser


def _run(chosen: argparse.Namespace, name: str, folder: Path) -> list[Round]:
    scratch = folder / uuid.uuid4().hex[:8]
    scratch.mkdir()
    with ExitStack() as stack:
        place = stack.enter_context(_open_place(name, scratch))
        os.environ |= {"PREFECT_HOME": str(scratch / "prefect"), **place.environment}
        url = stack.enter_context(open_prefect_api())
        trainings = stack.enter_context(open_fork_server({**os.environ, "PREFECT_API_URL": url}, scratch / "trainings"))
        job = Job(trainings, write_sample(scratch / "sample", SAMPLE), scratch, place.options)
        expected, seconds = _undisturbed(job, place, scratch)
        _say(f"{place.name}: an undisturbed training takes {seconds:.1f} s and leaves {len(expected)} objects")
        return list(_rounds(chosen, job, place, expected, Moments(chosen.seed, seconds)))


@contextmanager
def _open_place(name: str, scratch: Path) -> Iterator[Place]:
    if name == LOCAL:
        yield Place(LOCAL, str(scratch / "store"), S3Options(), {})
    elif name == MINIO:
        with open_minio(scratch / "minio", bucket="faults") as server:
            options = S3Options(s3_endpoint_url=server.endpoint_url)
            yield Place(MINIO, f"{S3_SCHEME}{server.bucket}", options, server.environment(), server)
    else:
        options = S3Options(s3_endpoint_url=os.environ.get("S3_ENDPOINT_URL"))
        yield Place(name, f"{name.rstrip('/')}/faults-{uuid.uuid4().hex[:8]}", options, {})


def _undisturbed(job: Job, place: Place, scratch: Path) -> tuple[Digests, float]:
    """Return what an undisturbed training leaves, the same on a folder and on the place, and how long it takes there.

    The first one on the place writes the archive of the JVM's classes, and so is not timed.
    """
    uris = [f"{place.root}/undisturbed", str(scratch / "reference"), f"{place.root}/timed"]
    endings = [job.run(uri) for uri in uris]
    if any(ending.code for ending in endings):
        raise RecommenderError(f"an undisturbed training failed: {[ending.last_error for ending in endings]}")
    first, *others = (digests(job.open_store(uri)) for uri in uris)
    if any(first != other for other in others):
        raise RecommenderError("undisturbed trainings left different bytes, so nothing can be held against them")
    return first, endings[-1].seconds


def _rounds(chosen: argparse.Namespace, job: Job, place: Place, expected: Digests, moments: Moments) -> Iterator[Round]:
    started, n_kills, number = time.monotonic(), 0, 0
    while n_kills < chosen.kills:
        number += 1
        most = min(chosen.kills_per_round, chosen.kills - n_kills)
        done = kill_in_round(job, f"{place.root}/round-{number}", expected, most, moments)
        n_kills += len(done.kills)
        left = (time.monotonic() - started) / max(n_kills, 1) * (chosen.kills - n_kills)
        _say(f"{place.name}, round {number}: {_told(done)}; {n_kills} of {chosen.kills}, {left / 60:.0f} min left")
        yield done
    n_kills = 0
    while place.server and n_kills < chosen.server_kills:
        number += 1
        done = kill_server_in_round(job, f"{place.root}/round-{number}", expected, place.server, moments)
        n_kills += done.server_kills
        _say(f"{place.name}, server kill {n_kills} of {chosen.server_kills}: {_told(done)}")
        yield done


def _told(done: Round) -> str:
    state = "recovered" if done.is_recovered else f"NOT RECOVERED: {done.problems[0]}"
    seen = f", READER SAW: {done.violations[0]}" if done.violations else ""
    again = f", failed and run again ({done.reruns[0][:120]})" if done.reruns else ""
    return f"{len(done.kills)} kills, {state} in {done.seconds_to_recover:.0f} s{again}{seen}"


def _show(rounds: dict[str, list[Round]]) -> None:
    console = Console(width=110)
    table = Table(title="Killed and recovered", caption=describe_machine())
    for column in ("store", "kills", "recovered", "server kills", "recovered ", "rerun by hand", "violations"):
        table.add_column(column, justify="left" if column == "store" else "right")
    for column in ("looks of the reader", "orphans", "recovery, median s"):
        table.add_column(column, justify="right")
    for name, done in rounds.items():
        table.add_row(*(name, *(f"{row['value']:g}" for row in _rows(name, done))))
    console.print(table)
    moments = Counter(stage_of(kill.during) for done in rounds.values() for one in done for kill in one.kills)
    console.print("Where the kills fell: " + ", ".join(f"{stage} {n}" for stage, n in moments.most_common()))
    for name, done in rounds.items():
        for one in done:
            for trouble in (*one.problems, *one.violations):
                console.print(f"{name} {one.uri}: {trouble}", style="red")


def _rows(name: str, done: Sequence[Round]) -> list[dict[str, object]]:
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
    moments = [[round(kill.seconds, 2), stage_of(kill.during)] for one in by_kill for kill in one.kills]
    about = {"kill_seconds_and_stage": moments, "machine": describe_machine()}
    return [{"model": name, "parameters": about, "metric": metric, "value": value} for metric, value in figures.items()]


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
