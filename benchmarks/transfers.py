"""Transfers of one large file, by the store and by boto3 alone: in rounds, each in a process of its own."""

import hashlib
import mmap
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.harness import take_turns
from benchmarks.measuring import MEGABYTE, Measurement, measure_in_child
from deployments.s3_server import S3Server
from flows.child_server import INHERITED
from schema.digests import file_sha256
from schema.errors import CorruptObject, OutOfSpace
from storage.artifacts import check_digest
from storage.manifest import FileEntry
from storage.opening import S3Options
from storage.s3 import S3Store
from storage.s3_client import open_client

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

UPLOAD, DOWNLOAD = "upload", "download"
BOTO3, STORE, STORE_VERIFIED = "boto3", "store", "store_verified"
COPIES = 4  # the source, one object of each method, and the one that comes back
# Nobody's own settings for AWS may change what is measured.
NO_AWS_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
MODULE = re.compile(rb"\nmod\tgithub\.com/minio/minio\t(v[^\t\n]+)")


@dataclass(frozen=True)
class Place:
    """One file, here and on the server.

    Attributes:
        client: A client made as the store's own; boto3 alone uses it too.
        store: The store at the bucket's root.
        bucket, key: Where the file is on the server.
        path: Where it is here.
        sha256: Of its content.
    """

    client: "S3Client"
    store: S3Store
    bucket: str
    key: str
    path: Path
    sha256: str

    def fetch_and_check(self) -> None:
        """Download the file and check it as `storage.artifacts` does."""
        self.store.fetch(self.key, self.path)
        expected = FileEntry(path=self.key, size_bytes=self.path.stat().st_size, sha256=self.sha256)
        check_digest(self.store.locate(self.key), self.path, expected)


METHODS: dict[str, dict[str, Callable[[Place], object]]] = {
    UPLOAD: {
        BOTO3: lambda place: place.client.upload_file(str(place.path), place.bucket, place.key),
        STORE: lambda place: place.store.create(place.key, place.path),
    },
    DOWNLOAD: {
        BOTO3: lambda place: place.client.download_file(place.bucket, place.key, str(place.path)),
        STORE: lambda place: place.store.fetch(place.key, place.path),
        STORE_VERIFIED: Place.fetch_and_check,
    },
}
Measurements = dict[tuple[str, str], list[Measurement]]


@contextmanager
def transfer(
    direction: str, method: str, bucket: str, key: str, path: str, sha256: str
) -> Iterator[Callable[[], object]]:
    """Yield a transfer; the server and its credentials come from the environment.

    Idle is the process after its imports, with a client made and one tiny request answered.
    """
    options = S3Options(s3_endpoint_url=os.environ["S3_ENDPOINT_URL"])
    place = Place(open_client(options), S3Store(f"s3://{bucket}", options), bucket, key, Path(path), sha256)
    if direction == UPLOAD:
        place.store.delete(key)  # an earlier process stored it there
    place.client.head_bucket(Bucket=bucket)
    yield lambda: _carry_out(METHODS[direction][method], place)


def _carry_out(method: Callable[[Place], object], place: Place) -> None:
    method(place)


def run_rounds(
    server: S3Server, source: Path, sha256: str, repetitions: int, say: Callable[[str], object]
) -> Measurements:
    """Return the measurements of each direction and method, which take turns in being first.

    Args:
        server: Asked for nothing else meanwhile.
        source: The file that goes up.
        sha256: Of its content.
        repetitions: Transfers by each method.
        say: Told of each repetition.

    Raises:
        Unavailable: If a transfer fails.
        CorruptObject: If what came back is not what went up.
    """
    measured: Measurements = {(direction, method): [] for direction in METHODS for method in METHODS[direction]}
    target = source.with_name("came-back")
    for repetition in range(repetitions):
        say(f"repetition {repetition + 1} of {repetitions}\n")
        for direction, methods in METHODS.items():
            for method in take_turns(list(methods), repetition):
                path = source if direction == UPLOAD else target
                measured[direction, method].append(_measure(server, direction, method, path, sha256))
                if direction == DOWNLOAD and file_sha256(target) != sha256:
                    raise CorruptObject(f"what {method} brought back is not what was uploaded; no figure of it counts.")
                target.unlink(missing_ok=True)
    return measured


def _measure(server: S3Server, direction: str, method: str, path: Path, sha256: str) -> Measurement:
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    key = BOTO3 if method == BOTO3 else STORE
    about = {"direction": direction, "method": method, "bucket": server.bucket, "key": key}
    environment = {**inherited, **NO_AWS_FILES, **server.environment()}
    return measure_in_child(transfer, {**about, "path": str(path), "sha256": sha256}, environment)


def make_source(path: Path, megabytes: int) -> str:
    """Write a file of random bytes, durably, and return its SHA-256.

    Raises:
        OutOfSpace: If there is no room for it and its copies.
    """
    needed, free = COPIES * megabytes * MEGABYTE, shutil.disk_usage(path.parent).free
    if free < needed:
        raise OutOfSpace(f"{path.parent} has {free} bytes free; {needed} are needed. Choose another folder by TMPDIR.")
    digest = hashlib.sha256()
    with path.open("xb") as stream:
        for _ in range(megabytes):
            block = os.urandom(MEGABYTE)
            digest.update(block)
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def minio_version(program: Path) -> str:
    """Return the version of the Go module that a MinIO was built from, else what it says of itself."""
    with program.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if found := MODULE.search(content):
            return found[1].decode()
    said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    return said.split("(")[0].removeprefix("minio version").strip()
