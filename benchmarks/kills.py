"""Rounds of trainings on one store: killed, run to the end, and compared with an undisturbed one."""

import hashlib
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.reader import Digests, compare, digests, watching
from benchmarks.trainings import FLAGS, Ending, Training
from deployments.s3_server import S3Server
from schema.errors import Unavailable
from storage.opening import S3Options, open_store
from storage.protocol import Store

SPARK_FLAGS = ("--spark-master", "local[2]", "--spark-shuffle-partitions", "1")
AWAY_SECONDS = (1.0, 3.0)


@dataclass
class Round:
    """The history of one store.

    Attributes:
        uri: Root of the store.
        kills: Ends of the trainings that were killed.
        server_kills: Kills of the server under a training.
        reruns: Errors of trainings that failed by themselves and were run again.
        seconds_to_recover: Duration of the training that came to its end.
        problems: Differences from a store that nobody disturbed.
        violations: States that a reader saw and must never see.
        n_orphans: Objects that no manifest names, left by a killed writer of other bytes.
        n_looks: Complete looks of the reader at the store.
    """

    uri: str
    kills: list[Ending] = field(default_factory=list)
    server_kills: int = 0
    reruns: list[str] = field(default_factory=list)
    seconds_to_recover: float = 0.0
    problems: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    n_orphans: int = 0
    n_looks: int = 0

    @property
    def is_recovered(self) -> bool:
        """True if the store ended as if nothing had happened."""
        return not self.problems


@dataclass(frozen=True)
class Job:
    """The training that is killed.

    Attributes:
        inputs: Flags that name its reviews and products.
        scratch: Folder for working folders and logs.
        options: Options of the stores.
        environment: Variables of the place where the stores are.
    """

    inputs: Sequence[str]
    scratch: Path
    options: S3Options
    environment: dict[str, str]

    def start(self, uri: str) -> Training:
        """Start a training on a store.

        An archive of the JVM's classes, which the first one writes, halves the start of Spark.
        """
        folder = self.scratch / f"{uri.rsplit('/', 1)[-1]}-{hashlib.sha256(uri.encode()).hexdigest()[:8]}"
        folder.mkdir(exist_ok=True)
        places = ("--store", uri, "--work-dir", str(folder / "work"), "--mlflow-artifact-dir", str(folder / "mlflow"))
        tracking = ("--mlflow-tracking-uri", f"sqlite:///{folder}/mlflow.db")
        archive = self.scratch / "classes.jsa"
        option = "SharedArchiveFile" if archive.exists() else "ArchiveClassesAtExit"
        environment = {**self.environment, "JAVA_TOOL_OPTIONS": f"-XX:{option}={archive}"}
        return Training([*self.inputs, *FLAGS, *SPARK_FLAGS, *places, *tracking], folder, environment)

    def run(self, uri: str, kill_after: float | None = None) -> Ending:
        """Run a training on a store; with a number of seconds, kill it if it still runs then."""
        with self.start(uri) as training:
            return training.wait(kill_after) or training.kill()

    def open_store(self, uri: str) -> Store:
        """Return a store, opened for another reader."""
        return open_store(uri, self.options)


class Moments:
    """Random moments, uniform over the duration of an undisturbed training; the same for the same seed."""

    def __init__(self, seed: int, whole_seconds: float) -> None:
        self._random, self._whole_seconds = random.Random(seed), whole_seconds  # noqa: S311 - not for secrets

    def moment(self) -> float:
        """Return seconds after the start of a training."""
        return self.between(0.0, self._whole_seconds)

    def between(self, least: float, most: float) -> float:
        """Return a number of seconds."""
        return self._random.uniform(least, most)


def kill_in_round(job: Job, uri: str, expected: Digests, n_kills: int, draw: Moments) -> Round:
    """Kill trainings on an empty store, each at a random moment, until one comes to its end.

    The round ends early if a training is done before its moment comes: that one is the recovery.

    Args:
        job: The training.
        uri: Root of the store.
        expected: SHA-256 by key of what the store must hold in the end.
        n_kills: The most trainings that are killed before one is left alone.
        draw: Moments of the kills.
    """
    done = Round(uri)
    with watching(job.open_store(uri)) as reader:
        while True:
            ending = job.run(uri, draw.moment() if len(done.kills) < n_kills else None)
            if not ending.was_killed:
                break
            done.kills.append(ending)
        _finish(job, done, ending, expected)
    done.violations, done.n_looks = reader.violations, reader.n_looks
    return done


def kill_server_in_round(job: Job, uri: str, expected: Digests, server: S3Server, draw: Moments) -> Round:
    """Kill the server of a store at a random moment of a training, start it again, and follow the training to its end.

    A training that fails by the outage is run once more. `server_kills` is 0 if it ended before its moment came.
    """
    done = Round(uri)
    with watching(job.open_store(uri)) as reader:
        with job.start(uri) as training:
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
            _finish(job, done, ending, expected)
    done.violations, done.n_looks = reader.violations, reader.n_looks
    return done


def _finish(job: Job, done: Round, ending: Ending, expected: Digests) -> None:
    """Note in a round how its last training ended, and how its store differs from the one expected."""
    done.seconds_to_recover = ending.seconds
    if ending.code != 0:
        done.problems.append(f"the training ended with code {ending.code}: {ending.last_error}")
    try:
        found = digests(job.open_store(done.uri))
    except Unavailable as error:
        done.problems.append(str(error))
        return
    done.problems += compare(found, expected)
    done.n_orphans = len(found.keys() - expected.keys())
    survivors = [name for kill in done.kills for name in kill.survivors]
    done.problems += [f"process {name} outlived its training" for name in survivors]
