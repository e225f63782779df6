"""What a stranger who can name keys, write to a store, or stand in a folder gets: nothing."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.factors import FactorModel
from schema.errors import CorruptObject, InvalidKey
from storage import artifacts
from storage.layout import check_key, check_prefix
from storage.manifest import MANIFEST_LIMIT_BYTES, FileEntry, Manifest

MEBIBYTE = 1024**2
NOW = datetime.now(UTC)

# Names that another program would take for a way out, or for another name, than the eye does.
LOOK_ALIKES = {
    "fullwidth dots": "models/\uff0e\uff0e/a",
    "fullwidth slash": "models\uff0f..\uff0fa",
    "division slash": "..\u2215a",
    "one dot leader": "\u2024\u2024/a",
    "right to left": "models/\u202egpj.exe",
    "zero width space": "mod\u200bels/a",
    "zero width joiner": "models/.\u200d./a",
    "byte order mark": "\ufeffmodels/a",
    "decomposed": "mode\u0301ls/a",
    "cyrillic": "m\u043edels/a",
    "percent-encoded": "models/a%2f..%2f..%2fetc",
    "percent-encoded twice": "%252e%252e/a",
    "overlong": "models/%c0%ae%c0%ae/a",
    "drive": "C:/Windows/a",
    "drive and backslashes": "C:\\Windows\\a",
    "UNC": "\\\\server\\share\\a",
    "UNC with slashes": "//server/share/a",
    "stream of NTFS": "models/a::$DATA",
    "home": "~/a",
    "variable": "$HOME/a",
    "query": "models/a?versionId=1",
    "fragment": "models/a#b",
    "wildcard": "models/*",
    "trailing space": "models/a ",
    "trailing newline": "models/a\n",
    "leading tab": "\tmodels/a",
    "escape": "models/\x1b[2Ja",
    "half a pair": "models/\ud800",
}


# --- Keys ---


@pytest.mark.parametrize("key", LOOK_ALIKES.values(), ids=list(LOOK_ALIKES))
def test_name_that_looks_like_another_is_no_key(key):
    for check in (check_key, check_prefix):
        with pytest.raises(InvalidKey) as refused:
            check(key)
        str(refused.value).encode()
        assert str(refused.value).isprintable(), "the message would do to a terminal what the key does"


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
    with pytest.raises(ValueError, match=r"[Oo]bject|pickle"):
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


def document(**changed: object) -> bytes:
    entry = {"path": "a", "size_bytes": 1, "sha256": "0" * 64}
    fields = {"kind": "models", "id": "1f3a", "inputs": {}, "parameters": {}, "code_version": "", "counts": {}}
    return json.dumps(fields | {"files": [entry]} | changed).encode()


HOSTILE: dict[str, tuple[bytes, str]] = {
    "deep": (document(parameters=0).replace(b"0", b'{"a":' * 50_000 + b"1" + b"}" * 50_000, 1), "nested deeper"),
    "of a wrong type": (document(files={"a": 1}), r"files is .*expected a valid array"),
    "of another artifact": (document(id="2222"), "is the manifest of models/2222; expected models/1f3a"),
    "with a way out": (document(files=[{"path": "../../a", "size_bytes": 1, "sha256": "0" * 64}]), r"files\[0\]\.path"),
    "cut": (document()[:-1], "is not valid JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_manifest_is_corrupt_on_every_backend(store, name):
    data, complaint = HOSTILE[name]
    store.create("models/1f3a/manifest.json", data)
    with pytest.raises(CorruptObject, match=f"models/1f3a/manifest.json.*{complaint}") as refused:
        artifacts.find(store, "models", "1f3a")
    assert len(str(refused.value)) < 1000


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
    manifest = Manifest("models", "1f3a", {}, {}, "", (FileEntry("a", size_bytes, "0" * 64),), {})
    store.create("models/1f3a/manifest.json", manifest.to_bytes())
    found = artifacts.find(store, "models", "1f3a")
    assert found is not None
    with pytest.raises(CorruptObject):
        artifacts.checkout(store, found, "a", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
