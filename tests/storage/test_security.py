"""What a stranger who can name keys, write to a store, or stand in a folder gets: nothing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_artifacts import forge_manifest

from models.factors import FactorModel
from schema.errors import CorruptObject
from storage import artifacts
from storage.manifest import MANIFEST_LIMIT_BYTES, FileEntry

MEBIBYTE = 1024**2


# --- Keys ---


def test_trailing_dot_makes_another_key(store):
    store.create("models/a", b"1")
    store.create("models/a.", b"2")
    assert [(info.key, store.read(info.key)) for info in store.list("")] == [("models/a", b"1"), ("models/a.", b"2")]


def test_case_makes_another_key(store):
    store.create("models/a", b"1")
    store.create("models/A", b"2")
    assert [(info.key, store.read(info.key)) for info in store.list("")] == [("models/A", b"2"), ("models/a", b"1")]


# --- Files that are no arrays ---


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("is_bare", [True, False])
def test_factors_that_are_pickled_code_are_refused_and_not_run(tmp_path, is_bare):
    honest = np.ones((2, 3), np.float32)
    FactorModel(honest, honest).save(tmp_path / "factors")
    mark, target = tmp_path / "it ran", tmp_path / "factors" / "user_factors.npy"
    hostile = np.array([Payload(mark)], dtype=object)
    if is_bare:
        target.write_bytes(hostile.dumps())
    else:
        np.save(target, hostile, allow_pickle=True)
    with pytest.raises(ValueError, match=r"[Oo]bject|is no \.npy file"):
        FactorModel.load(tmp_path / "factors")
    assert not mark.exists()


# --- Manifests by strangers ---

READ_MANIFEST = """
import sys, tracemalloc
from storage import artifacts
from schema.errors import CorruptObject
from storage.opening import open_store

store = open_store(sys.argv[1])
artifacts.find(store, "models", "idle")
tracemalloc.start()
try:
    artifacts.find(store, "models", "1f3a")
except CorruptObject as error:
    print(tracemalloc.get_traced_memory()[1], error)
"""


@pytest.mark.parametrize("new_store_uri", ["local", "minio", "versitygw"], indirect=True)
def test_huge_manifest_is_refused_before_it_fills_the_memory(store, store_uri):
    store.create("models/1f3a/manifest.json", b" " * 32 * MEBIBYTE)
    told = subprocess.run([sys.executable, "-c", READ_MANIFEST, store_uri], capture_output=True, check=True, text=True)
    peak_bytes, error = told.stdout.split(maxsplit=1)
    assert f"{MANIFEST_LIMIT_BYTES}" in error
    assert int(peak_bytes) < 20 * MEBIBYTE


@pytest.mark.parametrize("size_bytes", [0, 1, 2**62])
def test_size_that_lies_is_told_and_not_believed(store, tmp_path, size_bytes):
    store.create("models/1f3a/a", b"content")
    forge_manifest(store, "models", "1f3a", {}, files=(FileEntry("a", size_bytes, "0" * 64),))
    found = artifacts.find(store, "models", "1f3a")
    assert found is not None
    with pytest.raises(CorruptObject):
        artifacts.checkout(store, found, "a", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
