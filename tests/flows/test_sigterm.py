"""SIGTERM during a training: everything is closed, the exit code says so, and the next run goes on."""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from workplace import Workplace, artifact_ids

# So long a search that it goes on when a signal that a library has swallowed is sent again.
LONG = ["--rank", ",".join(map(str, range(20, 60)))]
MOMENTS = {"Spark takes the k-core": "k-core pass 1", "Dask scores": "fits/"}


@dataclass(frozen=True)
class Ended:
    """How a training ended: its exit code, what it said, and processes and files that it left."""

    code: int
    said: str
    alive: list[str]
    temporary: list[str]


@pytest.fixture(scope="module")
def workplace(new_workplace: Callable[[], Workplace]) -> Workplace:
    return new_workplace()


@pytest.fixture(scope="module")
def ended(workplace: Workplace, sample_flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[Ended]:
    flags = [*sample_flags, *LONG]
    return [terminate_when(said, workplace, flags, tmp_path_factory.mktemp("tmp")) for said in MOMENTS.values()]


def terminate_when(said: str, workplace: Workplace, flags: list[str], temporary: Path) -> Ended:
    """Start a training whose temporary files are in a folder, and send it SIGTERM as soon as it says something."""
    process = subprocess.Popen(
        workplace.command("train", *flags),
        cwd=workplace.folder,
        env=workplace.environment | {"TMPDIR": str(temporary)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if said in line:
            break
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    lines.append(process.stderr.read())
    process.wait(120)
    _, alive = psutil.wait_procs(children, timeout=10)
    left = [path.name for path in temporary.iterdir() if "spark" in path.name]
    return Ended(process.returncode, "".join(lines), [one.name() for one in alive], left)


def test_exit_code_and_last_line_say_so(ended):
    for one in ended:
        assert one.code == 143, one.said
        assert "Terminated; run the same command again to go on from what is done" in one.said.splitlines()[-1]


def test_no_process_and_no_scratch_file_is_left(ended, workplace):
    assert [(one.alive, one.temporary) for one in ended] == [([], [])] * len(MOMENTS)
    assert not [path for path in (workplace.folder / "work").iterdir() if path.name != "cache"]


def test_next_run_goes_on_and_gives_the_ids_of_one_that_was_left_alone(ended, workplace, sample_flags, trained):
    record = workplace.result("train", *sample_flags)
    assert "reviews/" in record["stderr"]
    assert "is already there: nothing to do" in record["stderr"]
    assert artifact_ids(record) == artifact_ids(trained[1])
