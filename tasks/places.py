"""Where a run keeps things: the store, and a scratch folder that never outlives its process."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.options import PlaceOptions


@contextmanager
def scratch_folder(places: PlaceOptions, purpose: str) -> Iterator[Path]:
    """Yield an empty folder below ``work_dir`` that is removed at the end, whatever happens.

    The name carries the process id, so that what a killed process left is removed by the next one.
    """
    places.work_dir.mkdir(parents=True, exist_ok=True)
    remove_stale_scratch(places.work_dir)
    folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-{os.getpid()}-", dir=places.work_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale_scratch(work_dir: Path) -> None:
    """Remove the scratch folders of processes of this machine that no longer run."""
    for folder in work_dir.glob("*-*-*"):
        named = re.fullmatch(r".+-(\d+)-[a-z0-9_]+", folder.name)
        if named and not _is_running(int(named[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
