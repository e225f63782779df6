"""A folder in which flows are run as a user would run them."""

import hashlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from deployments.s3_server import S3Server
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.opening import open_store
from storage.protocol import Store
from storage.s3_options import S3Options

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Workplace:
    """A folder in which flows are run as a user would, with everything they make below it."""

    folder: Path
    tracking_uri: str
    server: S3Server | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    checkout: Path = ROOT

    @property
    def store_uri(self) -> str:
        """Root of the store: in the folder, or on the server under the folder's name."""
        return f"s3://{self.server.bucket}/{self.folder.name}" if self.server else str(self.folder / "store")

    @property
    def store(self) -> Store:
        """The store that the flows write to."""
        if self.server is None:
            return open_store(self.store_uri)
        names = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
        os.environ |= {name: value for name, value in self.server.environment().items() if name in names}
        return open_store(self.store_uri, S3Options(s3_endpoint_url=self.server.endpoint_url))

    def manifests(self) -> list[Manifest]:
        """Return every artifact that a reader of the store can see."""
        keys = [info.key for info in self.store.list("") if info.key.endswith(f"/{layout.MANIFEST}")]
        found = [artifacts.find(self.store, *key.split("/")[:2]) for key in keys]
        return [manifest for manifest in found if manifest]

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of every object in the store."""
        return {info.key: hashlib.sha256(self.store.read(info.key)).hexdigest() for info in self.store.list("")}

    def command(self, stage: str, *flags: str) -> list[str]:
        """Return the command line of a stage."""
        places = ["--store", self.store_uri, "--work-dir", str(self.folder / "work")]
        tracking = ["--mlflow-tracking-uri", self.tracking_uri] if stage in {"train", "demo"} else []
        return [sys.executable, str(self.checkout / "flows" / f"{stage}.py"), *places, *tracking, *flags]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a stage."""
        return {**environment(), **self.variables, **(self.server.environment() if self.server else {})}

    def run(self, stage: str, *flags: str) -> "Outcome":
        """Run a stage to its end in this process, which spares the start of Python and, after the first, of the JVM."""
        told, said = io.StringIO(), io.StringIO()
        with (
            patch.dict(os.environ, self.environment, clear=True),
            patch.object(logging.getLogger(), "handlers", []),  # a run sets up its own, for where it writes
            chdir(self.folder),
            redirect_stdout(told),
            redirect_stderr(said),
        ):
            code = import_module(f"flows.{stage}").main(self.command(stage, *flags)[2:])
        return Outcome(code, told.getvalue(), said.getvalue())

    def run_apart(self, stage: str, *flags: str) -> "Outcome":
        """Run a stage to its end in a process of its own, as a user would."""
        done = subprocess.run(
            self.command(stage, *flags),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def result(self, stage: str, *flags: str, apart: bool = False) -> dict[str, Any]:
        """Run a stage that must succeed and return its result record."""
        path = self.folder / "result.json"
        outcome = (self.run_apart if apart else self.run)(stage, *flags, "--json", str(path))
        assert outcome.code == 0, outcome.stderr
        record: dict[str, Any] = json.loads(path.read_text())
        return record | {"stderr": outcome.stderr}


def artifact_ids(record: dict[str, Any]) -> dict[str, str]:
    """Return the ids of a result record that the same question gives again: all but that of the MLflow run."""
    return {role: artifact for role, artifact in record["ids"].items() if role != "mlflow_run"}


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    stdout: str
    stderr: str


def environment() -> dict[str, str]:
    """Return the environment of a child that shows all of its log: this one's, less what a developer may have set."""
    settings = ("STORE_URI", "MLFLOW_TRACKING_URI", "SPARK_MASTER", "DASK_SCHEDULER_ADDRESS", "MIN_INTERACTIONS")
    return {name: value for name, value in os.environ.items() if name not in settings} | {"LOG_LEVEL": "INFO"}
