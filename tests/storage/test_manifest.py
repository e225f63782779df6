import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import CorruptObject
from storage.manifest import MANIFEST_LIMIT_BYTES, FileEntry, Manifest, parse_manifest

DIGEST = "0123456789abcdef" * 4
MANIFEST = Manifest(
    kind="splits",
    id="1f3a",
    inputs={"dataset": "77aa"},
    parameters={"split": "leave-last", "shares": [0.8, 0.2], "at": None},
    code_version="0.1.0+abc",
    files=(FileEntry("test.parquet", 0, DIGEST), FileEntry("train.parquet", 5, DIGEST)),
    counts={"n_train": 8, "is_temporal": True, "mean": 4.5, "method": "leave-last", "at": None},
)
TEXT = """{
  "code_version": "0.1.0+abc",
  "counts": {
    "at": null,
    "is_temporal": true,
    "mean": 4.5,
    "method": "leave-last",
    "n_train": 8
  },
  "files": [
    {
      "path": "test.parquet",
      "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "size_bytes": 0
    },
    {
      "path": "train.parquet",
      "sha256": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "size_bytes": 5
    }
  ],
  "id": "1f3a",
  "inputs": {
    "dataset": "77aa"
  },
  "kind": "splits",
  "parameters": {
    "at": null,
    "shares": [
      0.8,
      0.2
    ],
    "split": "leave-last"
  }
}
"""

texts = st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
sizes = st.integers(0, 2**63 - 1)
names = st.from_regex(r"[a-z]{1,6}\.parquet", fullmatch=True)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
manifests = st.builds(
    Manifest,
    kind=st.sampled_from(["raw", "datasets", "models"]),
    id=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    inputs=st.dictionaries(texts, texts, max_size=3),
    parameters=st.dictionaries(texts, st.recursive(scalars, st.lists, max_leaves=4), max_size=3),
    code_version=texts,
    files=st.lists(st.builds(FileEntry, names, sizes, digests), unique_by=lambda file: file.path).map(
        lambda files: tuple(sorted(files, key=lambda file: file.path))
    ),
    counts=st.dictionaries(texts, scalars, max_size=3),
)


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(TEXT)
    change(document)
    return json.dumps(document).encode()


def set_field(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.__setitem__(name, value)


def set_file(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["files"][1].__setitem__(name, value)


def set_paths(*paths: str) -> Callable[[dict[str, Any]], object]:
    files = [{"path": path, "size_bytes": 1, "sha256": DIGEST} for path in paths]
    return set_field("files", files)


def test_to_bytes_is_canonical_json():
    assert MANIFEST.to_bytes().decode() == TEXT


def test_parse_manifest_reads_what_was_written():
    assert parse_manifest(TEXT.encode()) == MANIFEST


@given(manifests)
def test_parse_manifest_undoes_to_bytes(manifest):
    parsed = parse_manifest(manifest.to_bytes())
    assert parsed == manifest
    assert parsed.to_bytes() == manifest.to_bytes()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (set_field("kind", 1), "kind is 1; expected a valid string"),
        (set_field("kind", "model"), "kind and id: artifact kind 'model' is unknown"),
        (set_field("id", None), "id is None; expected a valid string"),
        (set_field("id", "../../etc"), "kind and id: "),
        (set_field("id", ""), "kind and id: "),
        (set_field("inputs", []), r"inputs is \[\]; expected an object"),
        (set_field("inputs", {"dataset": 7}), r"inputs\.dataset is 7; expected a valid string"),
        (set_field("inputs", {"x" * 9999: 7}), r"inputs\.x+ is 7; expected a valid string"),
        (set_field("counts", {"x" * 9999: []}), r"counts\.x+ is \[\]; expected a number"),
        (lambda document: document.update(dict.fromkeys(map(str, range(9999)))), "has the field 0; expected .*counts"),
        (set_field("parameters", "x"), "parameters is 'x'; expected an object"),
        (set_field("code_version", 1.0), "code_version is 1.0; expected a valid string"),
        (set_field("counts", {"n": [1]}), r"counts\.n is \[1\]; expected a number"),
        (set_field("counts", None), "counts is None; expected an object"),
        (set_field("files", {}), r"files is {}; expected a valid array"),
        (set_field("files", ["a"]), r"files\[0\] is 'a'; expected an object"),
        (set_field("files", [{"path": "a"}]), r"lacks the field files\[0\]\.size_bytes"),
        (set_field("x" * 500, 1), "has the field x+; expected"),
        (set_field("kind", list(range(1000))), "kind is .*…; expected a valid string"),
        (lambda document: document.pop("counts"), "lacks the field counts; expected .*'counts'"),
        (set_file("extra", 1), r"has the field files\[1\]\.extra"),
        (set_file("size_bytes", -1), r"files\[1\]\.size_bytes is -1; expected greater than or equal to 0"),
        (
            set_file("size_bytes", 2**63),
            r"files\[1\]\.size_bytes is 9223372036854775808; expected less than or equal to 9223372036854775807",
        ),
        *(
            (set_file("size_bytes", size), rf"files\[1\]\.size_bytes is {size!r}; expected a valid integer")
            for size in (True, 5.0, "5")
        ),
        *(
            (set_file("sha256", digest), r"files\[1\]\.sha256 is .*; expected text of pattern")
            for digest in (DIGEST[1:], DIGEST + "\n", DIGEST.upper())
        ),
        (set_file("path", None), r"files\[1\]\.path is None; expected a valid string"),
        *(
            (set_file("path", path), r"files\[1\]\.path: ")
            for path in ("", "/etc/passwd", "../1f3b/train.parquet", "a/../../x", ".tmp/x", "a\0", "a\\b")
        ),
        (set_paths("a", "a"), "files names 'a' twice"),
        (set_paths("a", f"set-{DIGEST[:16]}/a"), "files names 'a' twice"),
        (set_paths("b", "a"), "files is not ordered by path; expected 'a' first"),
        (set_paths("a", "a/b/c"), "files names 'a' both as a file and as the folder of 'a/b/c'"),
        (set_paths("manifest.json"), "a manifest cannot list itself"),
        (set_paths(f"set-{DIGEST[:16]}/manifest.json"), "a manifest cannot list itself"),
    ],
    ids=range(43),
)
def test_parse_manifest_names_the_field_that_is_wrong(change, complaint):
    with pytest.raises(CorruptObject, match=f"^here:? .*{complaint}") as refused:
        parse_manifest(changed(change), "here")
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\x80", TEXT.encode()[:-3], b"[" * 100_000, TEXT.replace("5", "NaN").encode()],
    ids=range(7),
)
def test_parse_manifest_refuses_what_is_no_manifest(data):
    with pytest.raises(CorruptObject, match=r"^here "):
        parse_manifest(data, "here")


@pytest.mark.timeout(60)
def test_parse_manifest_takes_no_longer_for_a_repetition_at_the_end():
    names = [*(f"{number:06}" for number in range(300_000)), "299999"]
    repeated = "{" + ",".join(f'"{name}":1' for name in names) + "}"
    with pytest.raises(CorruptObject, match="the name '299999' stands twice"):
        parse_manifest(repeated.encode())
    files = [{"path": name, "size_bytes": 0, "sha256": DIGEST} for name in names]
    with pytest.raises(CorruptObject, match="files names '299999' twice"):
        parse_manifest(changed(set_field("files", files[-100_001:])))


@pytest.mark.timeout(60)
def test_parse_manifest_takes_no_longer_for_long_names():
    long = {"x" * 5_000_000: dict.fromkeys(map(str, range(300_000)))}
    with pytest.raises(CorruptObject, match=r"counts\.x+ is {.*expected a number"):
        parse_manifest(changed(set_field("counts", long)))


def test_parse_manifest_refuses_parameters_that_are_too_deep():
    deep = "[" * 40 + "]" * 40
    with pytest.raises(CorruptObject, match="deeper than 32 levels at parameters"):
        parse_manifest(TEXT.replace('"leave-last"\n', f"{deep}\n", 1).replace('"leave-last",', "1,").encode())


def test_parse_manifest_refuses_more_than_its_bound():
    with pytest.raises(CorruptObject, match="has 16777217 bytes; expected at most 16777216"):
        parse_manifest(b" " * (MANIFEST_LIMIT_BYTES + 1))
