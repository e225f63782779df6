"""A copy of the checkout, in which a test may change anything."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Checkout:
    """A folder with the files that are committed, or would be, and the packages of the checkout that is tested."""

    folder: Path

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.folder / name).read_text("utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a file of text."""
        (self.folder / name).write_text(text, "utf-8")

    def start(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end; `make` finds the set-up done."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "MAKEFLAGS": "SETUP=true"},
            input=given,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def run(self, *command: str, given: str = "") -> str:
        """Run a command that has to succeed, and return what it printed."""
        done = self.start(*command, given=given)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def python(self, *arguments: str) -> str:
        """Run Python, which has to succeed, and return what it printed."""
        return self.run(".venv/bin/python", *arguments)

    def test(self, *arguments: str) -> str:
        """Run tests, which have to pass."""
        return self.python("-m", "pytest", "-p", "no:cacheprovider", *arguments)

    def files(self) -> dict[str, bytes]:
        """Return the content of each file."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}


def copy_checkout(folder: Path) -> Checkout:
    """Return a copy of the checkout in a new folder."""
    if not (git := shutil.which("git")) or not (ROOT / ".git").exists():
        pytest.skip("copies what git tracks; this is no checkout, or git is missing")
    listing = [git, "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in (one for one in listed if (ROOT / one).exists()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return Checkout(folder)
