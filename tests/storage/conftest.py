"""One `store` for every backend: what a test asks of one, it asks of all."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.opening import open_store
from storage.protocol import Store


def _memory_uri(_: Path) -> str:
    return f"memory://{uuid.uuid4().hex}"


def _local_uri(folder: Path) -> str:
    return str(folder / f"store-{uuid.uuid4().hex}")


# A backend is a function from a temporary folder to the URI of a store that nobody has used.
BACKENDS: dict[str, Callable[[Path], str]] = {"memory": _memory_uri, "local": _local_uri}
WITH_LOCAL_FILES = {"local"}


@pytest.fixture(params=sorted(BACKENDS))
def new_store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a maker of URIs, each of an empty store on the backend under test."""
    return lambda: BACKENDS[request.param](tmp_path)


@pytest.fixture
def store_uri(new_store_uri: Callable[[], str]) -> str:
    """Return the URI of an empty store on the backend under test."""
    return new_store_uri()


@pytest.fixture
def store(store_uri: str) -> Store:
    """Return an empty store on the backend under test."""
    return open_store(store_uri)


@pytest.fixture(params=sorted(BACKENDS.keys() - WITH_LOCAL_FILES))
def remote_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store on a backend whose objects are no local files."""
    return open_store(BACKENDS[request.param](tmp_path))


@pytest.fixture
def artifact_folder(tmp_path: Path) -> Path:
    """Return a folder that looks like a model: two files and a folder of two."""
    folder = tmp_path / "artifact"
    (folder / "als_model" / "itemFactors").mkdir(parents=True)
    (folder / "als_model" / "metadata").write_text("{}\n")
    (folder / "als_model" / "itemFactors" / "part-00000").write_bytes(b"factors")
    (folder / "metadata.json").write_text('{"rank": 8}\n')
    (folder / "metrics.json").write_bytes(b"")
    return folder
