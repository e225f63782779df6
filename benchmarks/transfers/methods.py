"""The ways of moving one file that are compared: the store's own, and boto3's transfer manager by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from storage.artifacts import check_digest
from storage.manifest import FileEntry
from storage.s3 import S3Store

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

UPLOAD, DOWNLOAD = "upload", "download"
BOTO3, STORE, STORE_VERIFIED = "boto3", "store", "store_verified"


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


def _store_upload(place: Place) -> None:
    place.store.create(place.key, place.path)


def _boto3_upload(place: Place) -> None:
    place.client.upload_file(str(place.path), place.bucket, place.key)


def _store_download(place: Place) -> None:
    place.store.fetch(place.key, place.path)


def _boto3_download(place: Place) -> None:
    place.client.download_file(place.bucket, place.key, str(place.path))


def _verified_download(place: Place) -> None:
    """Fetch and check the file as `storage.artifacts` does."""
    place.store.fetch(place.key, place.path)
    expected = FileEntry(path=place.key, size_bytes=place.path.stat().st_size, sha256=place.sha256)
    check_digest(place.store.locate(place.key), place.path, expected)


METHODS: dict[str, dict[str, Callable[[Place], None]]] = {
    UPLOAD: {BOTO3: _boto3_upload, STORE: _store_upload},
    DOWNLOAD: {BOTO3: _boto3_download, STORE: _store_download, STORE_VERIFIED: _verified_download},
}
