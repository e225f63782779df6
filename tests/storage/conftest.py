"""One `store` for every backend: what a test asks of one, it asks of all."""

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import set_variables

from deployments.s3_server import S3Server
from storage.opening import open_store
from storage.protocol import Store

# A backend is a function from what a test can ask for to a maker of URIs, each of a store that nobody has used.
Backend = Callable[[pytest.FixtureRequest], Callable[[], str]]


def _memory(_: pytest.FixtureRequest) -> Callable[[], str]:
    return lambda: f"memory://{uuid.uuid4().hex}"


def _local(request: pytest.FixtureRequest) -> Callable[[], str]:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda: str(folder / f"store-{uuid.uuid4().hex}")


def _s3(fixture: str) -> Backend:
    def make(request: pytest.FixtureRequest) -> Callable[[], str]:
        server: S3Server = request.getfixturevalue(fixture)
        monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        set_variables(monkeypatch, server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)  # S3 URIs mean this server
        return lambda: f"s3://{server.bucket}/{uuid.uuid4().hex}"

    return make


BACKENDS: dict[str, Backend] = {
    "memory": _memory,
    "local": _local,
    "minio": _s3("minio"),
    "versitygw": _s3("versitygw"),
}
WITH_LOCAL_FILES = {"local"}


@pytest.fixture(params=sorted(BACKENDS))
def new_store_uri(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return a maker of URIs, each of an empty store on the backend under test."""
    return BACKENDS[request.param](request)


@pytest.fixture
def store_uri(new_store_uri: Callable[[], str]) -> str:
    """Return the URI of an empty store on the backend under test."""
    return new_store_uri()


@pytest.fixture
def store(store_uri: str) -> Store:
    """Return an empty store on the backend under test."""
    return open_store(store_uri)


@pytest.fixture(params=sorted(BACKENDS.keys() - WITH_LOCAL_FILES))
def remote_store(request: pytest.FixtureRequest) -> Store:
    """Return an empty store on a backend whose objects are no local files."""
    return open_store(BACKENDS[request.param](request)())


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


@pytest.fixture
def happen(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes something happen, once, right before a call of one verb of the store, with its arguments."""

    def happen_before(verb: str, meddle: Callable[..., object]) -> None:
        call, meddling = getattr(store, verb), iter([meddle])

        def meddled(*arguments: Any) -> Any:
            for do in meddling:
                do(*arguments)
            return call(*arguments)

        monkeypatch.setattr(store, verb, meddled)

    return happen_before
