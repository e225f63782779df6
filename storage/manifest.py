"""The manifest of an artifact: its files, its inputs, its parameters and counts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from schema.errors import CorruptObject, InvalidKey
from storage import canonical, layout

JsonScalar: TypeAlias = str | int | float | bool | None

MANIFEST_LIMIT_BYTES = 16 * 1024 * 1024
MAX_FILE_BYTES = 2**63 - 1

_MOST_SHOWN = 80
_STRICT = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True)
class FileEntry:
    """One file of an artifact.

    Attributes:
        path: Relative to the artifact's folder, '/' between its parts.
        size_bytes: Length of its content.
        sha256: Digest of its content, 64 hexadecimal digits.
    """

    __pydantic_config__: ClassVar = _STRICT

    path: Annotated[str, AfterValidator(layout.check_key)]
    size_bytes: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]


@dataclass(frozen=True)
class Manifest:
    """The record that makes an artifact exist; written last and never changed.

    Attributes:
        kind: One of `storage.layout.KINDS`.
        id: The artifact's id within its kind.
        inputs: For each role, the id of the artifact that this one was made from.
        parameters: The settings that shaped it, JSON values.
        code_version: Version of the code that made it.
        files: Every file it has, ordered by path.
        counts: Counts taken while it was made, JSON scalars.
    """

    __pydantic_config__: ClassVar = _STRICT

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
        """Key of the manifest in a store."""
        return layout.manifest_key(self.kind, self.id)

    def key_of(self, file: FileEntry) -> str:
        """Return the key of one of the files in a store."""
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


_SCHEMA = TypeAdapter(Manifest)
_FIELDS = f"{[one.name for one in fields(Manifest)]}, of a file {[one.name for one in fields(FileEntry)]}"
_SCALAR = "a number, text, true, false or null"


def parse_manifest(data: bytes, source: str = "manifest") -> Manifest:
    """Return the manifest in bytes that `Manifest.to_bytes` wrote; `source` is what messages call them.

    Raises:
        CorruptObject: If anything is missing, unknown, of another type or out of bounds; the message names
            the field and the value found.
    """
    if len(data) > MANIFEST_LIMIT_BYTES:
        raise CorruptObject(f"{source} has {len(data)} bytes; expected at most {MANIFEST_LIMIT_BYTES}.")
    canonical.decode_object(data, source)  # stricter on JSON itself
    try:
        manifest = _SCHEMA.validate_json(data)
    except ValidationError as error:
        raise CorruptObject(_first_problem(error, source)) from error
    try:
        layout.artifact_prefix(manifest.kind, manifest.id)
    except InvalidKey as error:
        raise CorruptObject(f"{source}: kind and id: {error}") from error
    _check_paths(manifest.files, f"{source}: files")
    return manifest


def _first_problem(error: ValidationError, source: str) -> str:
    problem = error.errors(include_url=False)[0]
    place, kind = problem["loc"], problem["type"]
    is_count = place[0] == "counts" and len(place) > 2  # the third part is a type that was tried
    parts = (f"[{part}]" if isinstance(part, int) else f".{part[:80]}" for part in place[: 2 if is_count else None])
    field = "".join(parts)[1:]
    if kind in ("missing", "unexpected_keyword_argument"):
        return f"{source} {'lacks' if kind == 'missing' else 'has'} the field {field}; expected {_FIELDS}."
    if kind == "value_error":
        return f"{source}: {field}: {problem['ctx']['error']}"
    found = repr(problem["input"])
    shown = found if len(found) <= _MOST_SHOWN else f"{found[:_MOST_SHOWN]}…"
    expected = problem["msg"].removeprefix("Input should be ").replace("String should match", "text of")
    return f"{source}: {field} is {shown}; expected {_SCALAR if is_count else expected}."


def _check_paths(files: tuple[FileEntry, ...], field: str) -> None:
    paths = [file.path for file in files]
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
