"""Transfers of one large file, by the store and by boto3 alone: in rounds, each in a process of its own."""

import hashlib
import mmap
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import take_turns
from benchmarks.measuring import MEGABYTE, Measurement, Run, measure_in_child
from deployments.s3_server import S3Server
from schema.digests import file_sha256
from schema.errors import CorruptObject, OutOfSpace
from storage.artifacts import check_digest
from storage.manifest import FileEntry
from storage.s3 import S3Store
from storage.s3_client import open_client
from storage.s3_options import S3Options

UPLOAD, DOWNLOAD = "upload", "download"
BOTO3, STORE, STORE_VERIFIED = "boto3", "store", "store_verified"
COPIES = 4  # the source, one object of each method, and the one that comes back
# Nobody's own settings for AWS may change what is measured.
NO_AWS_FILES = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
MODULE = re.compile(rb"\nmod\tgithub\.com/minio/minio\t(v[^\t\n]+)")
METHODS = {UPLOAD: (BOTO3, STORE), DOWNLOAD: (BOTO3, STORE, STORE_VERIFIED)}

Measurements = dict[tuple[str, str], list[Measurement]]


@contextmanager
def transfer(direction: str, method: str, bucket: str, key: str, path: str, sha256: str) -> Iterator[Run]:
    """Yield a transfer between a path and a key; the server and its credentials come from the environment.

    Idle is the process after its imports, with a client made and one tiny request answered. boto3 alone uses a client
    that is made as the store's own.
    """
    options = S3Options(s3_endpoint_url=os.environ["S3_ENDPOINT_URL"])
    client, store, file = open_client(options), S3Store(f"s3://{bucket}", options), Path(path)

    def fetch_and_check() -> None:
        store.fetch(key, file)
        check_digest(store.locate(key), file, FileEntry(path=key, size_bytes=file.stat().st_size, sha256=sha256))

    runs: dict[tuple[str, str], Callable[[], object]] = {
        (UPLOAD, BOTO3): lambda: client.upload_file(path, bucket, key),
        (UPLOAD, STORE): lambda: store.create(key, file) and None,
        (DOWNLOAD, BOTO3): lambda: client.download_file(bucket, key, path),
        (DOWNLOAD, STORE): lambda: store.fetch(key, file),
        (DOWNLOAD, STORE_VERIFIED): fetch_and_check,
    }
    if direction == UPLOAD:
        store.delete(key)  # an earlier process stored it there
    client.head_bucket(Bucket=bucket)
    yield runs[direction, method]


def run_rounds(server: S3Server, source: Path, sha256: str, repetitions: int) -> Measurements:
    """Return the measurements of each direction and method; who comes first changes from repetition to repetition.

    The server is asked for nothing else meanwhile.

    Raises:
        Unavailable: If a transfer fails.
        CorruptObject: If what came back is not what went up.
    """
    measured: Measurements = {(direction, method): [] for direction in METHODS for method in METHODS[direction]}
    environment = {**NO_AWS_FILES, **server.environment()}
    target = source.with_name("came-back")
    for direction, methods in METHODS.items():
        path = source if direction == UPLOAD else target
        for method in take_turns(methods, repetitions):
            key = BOTO3 if method == BOTO3 else STORE
            place = {"bucket": server.bucket, "key": key, "path": str(path), "sha256": sha256}
            about = {"direction": direction, "method": method, **place}
            measured[direction, method].append(measure_in_child(transfer, about, environment))
            if direction == DOWNLOAD and file_sha256(target) != sha256:
                raise CorruptObject(f"what {method} brought back is not what was uploaded; no figure of it counts.")
            target.unlink(missing_ok=True)
    return measured


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
    output = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    return output.split("(")[0].removeprefix("minio version").strip()
