"""Rounds in which each contestant runs once, in a fresh process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.child_server import INHERITED
from schema.errors import Unavailable

ROOT = Path(__file__).parents[2]
PRODUCT, EVALUATION, SPARK = "product", "evaluation", "spark"
CONTESTANTS = (PRODUCT, EVALUATION, SPARK)


@dataclass(frozen=True)
class Measurement:
    """What one run of a contestant took.

    Attributes:
        contestant: One of CONTESTANTS.
        users: Users of the input.
        seconds: From the call to its return.
        cpu_seconds: Processor time of all threads meanwhile; of Python alone, not of a JVM.
        idle_bytes: Resident when the call began.
        peak_bytes: Most resident at once until its return; of Python alone, not of a JVM.
        ndcg: NDCG@10 that it found; None for one that measures no lists.
    """

    contestant: str
    users: int
    seconds: float
    cpu_seconds: float
    idle_bytes: int
    peak_bytes: int
    ndcg: float | None


def take_turns(contestants: Sequence[str], repetition: int) -> Iterator[str]:
    """Yield each contestant; who comes first changes from one repetition to the next.

    Example:
        >>> list(take_turns(["product", "evaluation"], repetition=1))
        ['evaluation', 'product']
    """
    first = repetition % len(contestants)
    yield from (*contestants[first:], *contestants[:first])


def measure(contestant: str, folder: Path, users: int) -> Measurement:
    """Let a contestant run on the input in a folder.

    What a process leaves is removed with it, its copy of the model and the scores that it published included.

    Raises:
        Unavailable: If it fails.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{contestant}-") as name:
        own = shutil.copytree(folder, Path(name, "input"), copy_function=os.link)
        code, said = _run([contestant, str(own)], _environment(Path(name)))
    if code:
        raise Unavailable(f"{contestant} ended with exit code {code}; it said why above.")
    return Measurement(contestant, users, **json.loads(said.splitlines()[-1]))


def _run(arguments: Sequence[str], environment: dict[str, str]) -> tuple[int, bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.evaluating.child", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is the parent's to act on
    )
    with process:
        try:
            said, _ = process.communicate()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its JVM too
    return process.returncode, said


def _environment(folder: Path) -> dict[str, str]:
    """Return the variables of a contestant: nobody's own settings count, and nothing is left outside the folder.

    A session of the project's keeps the JVM to its quick compiler, which does well by short jobs. A long one is better
    off with the thorough one, so that Spark gets it here.
    """
    inherited = {name: os.environ[name] for name in (*INHERITED, "JAVA_HOME") if name in os.environ}
    return {
        **inherited,
        "PREFECT_HOME": str(folder / "prefect"),
        "TMPDIR": str(folder),
        "SPARK_LOCAL_DIRS": str(folder),
        "_JAVA_OPTIONS": f"-XX:TieredStopAtLevel=4 -Djava.io.tmpdir={folder}",
    }
