"""The manifest of an artifact: what it is made of, and from what."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TypeAlias, TypeVar

from schema.errors import CorruptObject, InvalidKey
from storage import canonical, layout
from storage.layout import check_key

JsonScalar: TypeAlias = str | int | float | bool | None

MANIFEST_LIMIT_BYTES = 16 * 1024 * 1024
MAX_FILE_BYTES = 2**63 - 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"kind", "id", "inputs", "parameters", "code_version", "files", "counts"})
_FILE_FIELDS = frozenset({"path", "size_bytes", "sha256"})
_Type = TypeVar("_Type")


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact.

    Attributes:
        path: Relative to the artifact's folder, '/' between its parts.
        size_bytes: Length of its content.
        sha256: Digest of its content, 64 hexadecimal digits.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an artifact is; written last and never changed.

    Attributes:
        kind: One of `storage.layout.KINDS`.
        id: The artifact's id within its kind.
        inputs: For each role, the id of the artifact that this one was made from.
        parameters: The settings that shaped it, JSON values.
        code_version: Version of the code that made it.
        files: Every file it has, ordered by path.
        counts: What was counted while it was made, JSON scalars.
    """

    kind: str
    id: str
    inputs: Mapping[str, str]
    parameters: Mapping[str, object]
    code_version: str
    files: tuple[FileEntry, ...]
    counts: Mapping[str, JsonScalar]

    @property
    def name(self) -> str:
        """The kind and the id, as people write them."""
        return f"{self.kind}/{self.id}"

    @property
    def key(self) -> str:
        """Where the manifest stands in a store."""
        return layout.manifest_key(self.kind, self.id)

    def key_of(self, file: FileEntry) -> str:
        """Return where one of the files stands in a store."""
        return f"{layout.artifact_prefix(self.kind, self.id)}/{file.path}"

    @property
    def size_bytes(self) -> int:
        """Bytes of its files together."""
        return sum(file.size_bytes for file in self.files)

    def to_bytes(self) -> bytes:
        """Return the canonical JSON text: the same manifest, the same bytes."""
        return canonical.encode(asdict(self), indent=2)

    def count(self, name: str) -> int:
        """Return a whole number among the counts.

        Raises:
            CorruptObject: If there is none of that name, or it is no whole number.
        """
        value = self.counts.get(name)
        if not isinstance(value, int):
            raise CorruptObject(f"{self.kind}/{self.id} counts {name!r} as {value!r}; expected a whole number.")
        return value


def parse_manifest(data: bytes, source: str = "manifest") -> Manifest:
    """Return the manifest that the bytes spell.

    Args:
        data: UTF-8 JSON as `Manifest.to_bytes` writes it.
        source: Where the bytes come from, for the message.

    Raises:
        CorruptObject: If anything is missing, unknown, of another type or out of bounds; the message names
            the field and the value found.
    """
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise CorruptObject(f"{source} has {len(data)} bytes; expected at most {MANIFEST_LIMIT_BYTES}.")
    document = canonical.decode_object(data, source)
    _check_names(document, _FIELDS, source)
    manifest = Manifest(
        kind=_typed(document["kind"], str, f"{source}: kind"),
        id=_typed(document["id"], str, f"{source}: id"),
        inputs=_inputs(document["inputs"], f"{source}: inputs"),
        parameters=_mapping(document["parameters"], f"{source}: parameters"),
        code_version=_typed(document["code_version"], str, f"{source}: code_version"),
        files=_files(document["files"], f"{source}: files"),
        counts=_counts(document["counts"], f"{source}: counts"),
    )
    try:
        layout.artifact_prefix(manifest.kind, manifest.id)
    except InvalidKey as error:
        raise CorruptObject(f"{source}: kind and id: {error}") from error
    return manifest


def _check_names(document: Mapping[str, object], expected: Iterable[str], field: str) -> None:
    if document.keys() != set(expected):
        raise CorruptObject(f"{field} has the fields {_shown(sorted(document), 200)}; expected {sorted(expected)}.")


def _typed(value: object, expected: type[_Type], field: str) -> _Type:
    is_bool_for_int = isinstance(value, bool) and expected is int
    if not isinstance(value, expected) or is_bool_for_int:
        raise CorruptObject(f"{field} is {_shown(value)}; expected {expected.__name__}.")
    return value


def _shown(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def _mapping(value: object, field: str) -> dict[str, object]:
    return dict(_typed(value, dict, field))


def _inputs(value: object, field: str) -> dict[str, str]:
    return {role: _typed(part, str, f"{field}.{role[:80]}") for role, part in _mapping(value, field).items()}


def _counts(value: object, field: str) -> dict[str, JsonScalar]:
    counts: dict[str, JsonScalar] = {}
    for name, count in _mapping(value, field).items():
        if count is not None and not isinstance(count, str | int | float):
            raise CorruptObject(
                f"{field}.{name[:80]} is {_shown(count)}; expected a number, text, true, false or null."
            )
        counts[name] = count
    return counts


def _files(value: object, field: str) -> tuple[FileEntry, ...]:
    listed: list[object] = _typed(value, list, field)
    entries = tuple(_file(part, f"{field}[{position}]") for position, part in enumerate(listed))
    _check_paths([entry.path for entry in entries], field)
    return entries


def _file(value: object, field: str) -> FileEntry:
    document = _mapping(value, field)
    _check_names(document, _FILE_FIELDS, field)
    entry = FileEntry(
        path=_typed(document["path"], str, f"{field}.path"),
        size_bytes=_typed(document["size_bytes"], int, f"{field}.size_bytes"),
        sha256=_typed(document["sha256"], str, f"{field}.sha256"),
    )
    if not 0 <= entry.size_bytes <= MAX_FILE_BYTES:
        raise CorruptObject(f"{field}.size_bytes is {_shown(entry.size_bytes)}; expected 0 or more, below 2**63.")
    if not _SHA256.fullmatch(entry.sha256):
        raise CorruptObject(f"{field}.sha256 is {_shown(entry.sha256)}; expected 64 hexadecimal digits.")
    try:
        check_key(entry.path)
    except InvalidKey as error:
        raise CorruptObject(f"{field}.path: {error}") from error
    return entry


def _check_paths(paths: list[str], field: str) -> None:
    names = [layout.logical_name(path) for path in paths]
    taken = set(names)
    if len(taken) < len(names):
        repeated, _ = Counter(names).most_common(1)[0]
        raise CorruptObject(f"{field} names {repeated!r} twice; expected each file once.")
    if paths != sorted(paths):
        raise CorruptObject(f"{field} is not ordered by path; expected {sorted(paths)[0]!r} first.")
    if layout.MANIFEST in taken:
        raise CorruptObject(f"{field} names {layout.MANIFEST!r}; a manifest cannot list itself.")
    for name in names:
        folder = next((str(parent) for parent in PurePosixPath(name).parents if str(parent) in taken), None)
        if folder is not None:
            raise CorruptObject(f"{field} names {folder!r} both as a file and as the folder of {name!r}.")
