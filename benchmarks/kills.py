"""Rounds of trainings on one store: killed, run to the end, and compared with an undisturbed one."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.reader import Digests, compare, watching
from benchmarks.trainings import Ending, Place
from deployments.s3_server import S3Server
from schema.errors import Unavailable


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


def kill_in_round(place: Place, uri: str, expected: Digests, moments: Sequence[float]) -> Round:
    """Kill trainings on an empty store, each at a moment after its start, and let the last one come to its end.

    A moment is in seconds after the start of its training. The round ends early if a training is done before its
    moment comes: that one is the recovery. In the end the store must hold what is expected.
    """
    with _watched_round(place, uri) as done:
        for moment in (*moments, None):
            ending = place.run(uri, kill_after=moment)
            if not ending.was_killed:
                break
            done.kills.append(ending)
        _finish(place, done, ending, expected)
    return done


def kill_server_in_round(
    place: Place, server: S3Server, uri: str, expected: Digests, moment: float, away_seconds: float
) -> Round:
    """Kill the server of a store at a moment of a training, start it again, and follow the training to its end.

    A training that fails by the outage is run once more. `server_kills` is 0 if it ended before its moment came.
    """
    with _watched_round(place, uri) as done:
        with place.start(uri) as training:
            ending = training.wait(moment)
            if ending is None:
                done.server_kills = 1
                server.process.kill()
                time.sleep(away_seconds)
                server.process.start()
                ending = training.wait()
        if ending and ending.code != 0:
            done.reruns.append(ending.last_error)
            ending = place.run(uri)
        if ending:
            _finish(place, done, ending, expected)
    return done


@contextmanager
def _watched_round(place: Place, uri: str) -> Iterator[Round]:
    done = Round(uri)
    with watching(place.open_store(uri)) as reader:
        yield done
    done.violations, done.n_looks = reader.violations, reader.n_looks


def _finish(place: Place, done: Round, ending: Ending, expected: Digests) -> None:
    """Note in a round how its last training ended, and how its store differs from the one expected."""
    done.seconds_to_recover = ending.seconds
    if ending.code != 0:
        done.problems.append(f"the training ended with code {ending.code}: {ending.last_error}")
    try:
        found = place.digests(done.uri)
    except Unavailable as error:
        done.problems.append(str(error))
        return
    done.problems += compare(found, expected)
    done.n_orphans = len(found.keys() - expected.keys())
    survivors = [name for kill in done.kills for name in kill.survivors]
    done.problems += [f"process {name} outlived its training" for name in survivors]
