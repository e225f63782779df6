"""Rounds of transfers: each file goes up and comes back by every method, taking turns, against one server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.transfers.methods import BOTO3, DOWNLOAD, METHODS, STORE, UPLOAD
from deployments.s3_server import S3Server
from flows.child_server import INHERITED
from schema.errors import CorruptObject, Unavailable
from storage.identity import file_sha256

ROOT = Path(__file__).parents[2]
# Nobody's own settings for AWS may change what is measured.
NO_AWS_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@dataclass(frozen=True)
class Measurement:
    """What one transfer took.

    Attributes:
        direction: "upload" or "download".
        model: A method's name in `benchmarks.transfers.methods`.
        seconds: From the call to its return.
        peak_bytes: Most memory resident at once, above that of the idle process.
    """

    direction: str
    model: str
    seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Rounds:
    """What is transferred, and where.

    Attributes:
        server: The server, which is asked for nothing else meanwhile.
        source: The file that goes up.
        sha256: Of its content.
    """

    server: S3Server
    source: Path
    sha256: str

    def run(self, repetition: int) -> Iterator[Measurement]:
        """Yield one measurement of each method; who comes first changes from one repetition to the next.

        Raises:
            Unavailable: If a transfer fails.
            CorruptObject: If what came back is not what went up.
        """
        for model in _turn(list(METHODS[UPLOAD]), repetition):
            yield self._measure(UPLOAD, model, model, self.source)
        for model in _turn(list(METHODS[DOWNLOAD]), repetition):
            yield self._download(model)

    def _download(self, model: str) -> Measurement:
        target = self.source.with_name("came-back")
        measured = self._measure(DOWNLOAD, model, BOTO3 if model == BOTO3 else STORE, target)
        if file_sha256(target) != self.sha256:
            raise CorruptObject(f"what {model} brought back is not what was uploaded; no figure of it counts.")
        target.unlink()
        return measured

    def _measure(self, direction: str, model: str, key: str, path: Path) -> Measurement:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        command = [
            *(sys.executable, "-m", "benchmarks.transfers.child"),
            *(direction, model, self.server.bucket, key, str(path), self.sha256),
        ]
        with _child(command, {**inherited, **NO_AWS_FILES, **self.server.environment()}) as child:
            said, _ = child.communicate()
        if child.returncode:
            raise Unavailable(f"the {direction} by {model} ended with exit code {child.returncode}; it said why above.")
        return Measurement(direction, model, **json.loads(said))


@contextmanager
def _child(command: Sequence[str], environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield a process that is killed when the block is left.

    Interrupts are held back while it starts: one that came in the middle would leave a process that nobody knows.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to act on
        )
        with child:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                yield child
            finally:
                child.kill()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _turn(models: Sequence[str], repetition: int) -> list[str]:
    first = repetition % len(models)
    return [*models[first:], *models[:first]]
