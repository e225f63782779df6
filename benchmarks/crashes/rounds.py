"""Rounds of trainings on one store: killed, killed again, let to the end, and held against an undisturbed one."""

import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.crashes.reader import Reader, watching
from benchmarks.crashes.trainings import Ending, ForkServer, Training
from deployments.s3_server import S3Server
from reviews.options import SampleOptions
from reviews.sample import SampleFiles
from schema.errors import Unavailable
from storage import layout
from storage.opening import open_store
from storage.protocol import Store
from storage.s3_options import S3Options

SAMPLE = SampleOptions(n_users=600, n_items=250)
SMALL = (
    "--models",
    "implicit",
    "--rank",
    "32",
    "--reg",
    "0.2",
    "--alpha",
    "0.5",
    "--maxiter",
    "3",
    "--als-blocks",
    "1",
)
# ALS wins so, and the files of a model of Spark's are written under the kills too.
FAVOURABLE = ("--split", "random", "--knn-neighbours", "1")
SMALL_SPARK = ("--spark-master", "local[2]", "--spark-shuffle-partitions", "1", "--spark-driver-memory", "1g")
AWAY_SECONDS = (1.0, 3.0)

Digests = Mapping[str, str]


@dataclass(frozen=True)
class Kill:
    """One training that was killed.

    Attributes:
        seconds: How long it had run.
        during: What it had said last.
        survivors: Processes that outlived it.
    """

    seconds: float
    during: str
    survivors: Sequence[str]


@dataclass
class Round:
    """What became of one store.

    Attributes:
        uri: Root of the store.
        kills: The trainings that were killed.
        server_kills: How often the server was killed under a training.
        reruns: Trainings that failed by themselves, and said why.
        seconds_to_recover: How long the training took that came to its end.
        problems: What differs in the end from a store that nobody disturbed.
        violations: What a reader saw meanwhile and must never see.
        n_orphans: Objects that no manifest names, left by a killed writer of other bytes.
        n_looks: How often the reader looked at all of the store.
    """

    uri: str
    kills: list[Kill] = field(default_factory=list)
    server_kills: int = 0
    reruns: list[str] = field(default_factory=list)
    seconds_to_recover: float = 0.0
    problems: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    n_orphans: int = 0
    n_looks: int = 0

    @property
    def is_recovered(self) -> bool:
        """Whether the store ended as if nothing had happened."""
        return not self.problems


@dataclass(frozen=True)
class Job:
    """The training that is killed, and what it must leave behind.

    Attributes:
        trainings: Starts one.
        sample: What it learns from.
        scratch: Folder for working folders and logs.
        options: How an S3 server is reached.
    """

    trainings: ForkServer
    sample: SampleFiles
    scratch: Path
    options: S3Options

    @property
    def classes(self) -> Path:
        """The archive of the JVM's classes, which halves the start of Spark; the first training writes it."""
        return self.scratch / "classes.jsa"

    def arguments(self, uri: str) -> list[str]:
        """Return the command line of the training on a store."""
        folder = self.folder(uri)
        places = ["--store", uri, "--work-dir", str(folder / "work")]
        tracking = ["--mlflow-tracking-uri", f"sqlite:///{folder}/mlflow.db"]
        return [
            *("--input", str(self.sample.reviews), "--products", str(self.sample.products)),
            *(*FAVOURABLE, *SMALL, *SMALL_SPARK),
            *(*places, *tracking, "--mlflow-artifact-dir", str(folder / "mlflow")),
        ]

    def folder(self, uri: str) -> Path:
        """Return the working folder of the trainings on a store."""
        folder = self.scratch / f"{uri.rsplit('/', 1)[-1]}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def run(self, uri: str, kill_after: float | None = None) -> Ending:
        """Run a training on a store; kill it after so many seconds if it still runs then."""
        training = self.start(uri)
        return training.wait(kill_after) or training.kill()

    def start(self, uri: str) -> Training:
        """Start a training on a store."""
        option = "SharedArchiveFile" if self.classes.exists() else "ArchiveClassesAtExit"
        environment = {"JAVA_TOOL_OPTIONS": f"-XX:{option}={self.classes}"}
        return self.trainings.start(self.arguments(uri), self.folder(uri), environment)

    def open_store(self, uri: str) -> Store:
        """Return a store as a reader of his own opens it."""
        return open_store(uri, self.options)


def kill_in_round(job: Job, uri: str, expected: Digests, n_kills: int, draw: "Moments") -> Round:
    """Kill trainings on an empty store, each at a random moment, until one comes to its end.

    The round ends early where a training was done before its moment came: that one is the recovery.

    Args:
        job: The training.
        uri: Root of the store.
        expected: What must be in the store in the end: SHA-256 by key.
        n_kills: The most trainings that are killed before one is left alone.
        draw: When they are killed.
    """
    done = Round(uri)
    with watching(job.open_store(uri)) as reader:
        while True:
            ending = job.run(uri, draw.moment() if len(done.kills) < n_kills else None)
            if not ending.was_killed:
                break
            done.kills.append(Kill(ending.seconds, ending.last_line, ending.survivors))
        _end(job, done, ending, expected)
    return _with_sights(done, reader)


def kill_server_in_round(job: Job, uri: str, expected: Digests, server: S3Server, draw: "Moments") -> Round:
    """Kill the server of a store at a random moment of a training, start it again, and see how the training ends.

    A training that the outage ends must say so by itself, and is then run once more. Where it had ended before its
    moment came, `server_kills` is 0.
    """
    done = Round(uri)
    with watching(job.open_store(uri)) as reader:
        training = job.start(uri)
        ending = training.wait(draw.moment())
        if ending is None:
            done.server_kills = 1
            server.process.kill()
            time.sleep(draw.between(*AWAY_SECONDS))
            server.process.start()
            ending = training.wait()
        if ending and ending.code != 0:
            done.reruns.append(ending.last_error)
            ending = job.run(uri)
        if ending:
            _end(job, done, ending, expected)
    return _with_sights(done, reader)


class Moments:
    """Random moments, spread evenly over the time that an undisturbed training takes; the same for the same seed."""

    def __init__(self, seed: int, whole_seconds: float) -> None:
        self._random, self._whole_seconds = random.Random(seed), whole_seconds  # noqa: S311 - not for secrets

    def moment(self) -> float:
        """Return seconds after the start of a training."""
        return self.between(0.0, self._whole_seconds)

    def between(self, least: float, most: float) -> float:
        """Return a number of seconds."""
        return self._random.uniform(least, most)


def digests(store: Store) -> dict[str, str]:
    """Return the SHA-256 of every object that a store lists."""
    return {info.key: hashlib.sha256(store.read(info.key)).hexdigest() for info in store.list("")}


def _end(job: Job, done: Round, ending: Ending, expected: Digests) -> None:
    done.seconds_to_recover = ending.seconds
    if ending.code != 0:
        done.problems.append(f"the training ended with code {ending.code}: {ending.last_error}")
    try:
        found = digests(job.open_store(done.uri))
    except Unavailable as error:
        done.problems.append(str(error))
        return
    done.problems += [f"{key} is missing" for key in sorted(expected.keys() - found.keys())]
    done.problems += [f"{key} differs" for key in sorted(expected) if found.get(key, expected[key]) != expected[key]]
    more = found.keys() - expected.keys()
    done.problems += [f"{key} is an artifact of its own" for key in sorted(more) if key.endswith(f"/{layout.MANIFEST}")]
    done.n_orphans = len(more)
    survivors = [name for kill in done.kills for name in kill.survivors]
    done.problems += [f"process {name} outlived its training" for name in survivors]


def _with_sights(done: Round, reader: Reader) -> Round:
    done.violations, done.n_looks = reader.violations, reader.n_looks
    return done
