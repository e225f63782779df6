"""A store on any S3 server: conditional writes, multipart uploads, streams that resume."""

import io
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from botocore.exceptions import ClientError

from schema.errors import Unavailable
from schema.s3 import S3Access
from storage.layout import check_key, check_prefix, is_key
from storage.protocol import ObjectInfo, Store
from storage.s3_client import (
    ABSENT,
    REFUSED,
    code_of,
    explained,
    find_credentials,
    has_reason,
    open_client,
    parse_uri,
    require_bucket,
)
from storage.s3_options import S3_SCHEME, S3A_SCHEME, SPARK_SCRATCH, S3Options
from storage.s3_transfer import (
    BUFFER_BYTES,
    PROBES,
    WRITER,
    Condition,
    ObjectKey,
    S3Stream,
    abort_upload,
    race_flaw,
    upload,
)

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef, MultipartUploadTypeDef, ObjectTypeDef

PAGE_OBJECTS = 1000
HIDDEN = (PROBES, SPARK_SCRATCH)
RENEWED = "renewed"  # name of the metadata that says when an object was renewed
NEVER = datetime.min.replace(tzinfo=UTC)
MAX_COPY_BYTES = 5 * 1024**3  # what a server copies in one request


class S3Store(Store):
    """Objects of one bucket below one prefix.

    Every write is conditional, so that of several writers one wins, and carries a token of its own: where an
    answer is lost and the request sent again, the token tells whether the first one was carried out.
    """

    def __init__(self, uri: str, options: S3Options) -> None:
        self._client, self._options = open_client(options), options
        self._bucket, self._prefix = parse_uri(uri)
        self._known_folders: set[str] = set()
        self.uri = S3_SCHEME + "/".join(filter(None, (self._bucket, self._prefix)))

    def race_flaw(self) -> str | None:
        """See `Store.race_flaw`; the server is tried once in a process."""
        with self._explained():
            return race_flaw(self._client, self._bucket, self._prefix)

    def try_writing(self) -> None:
        """See `Store.try_writing`; an upload is begun and given up, which leaves nothing, not even a version."""
        at = ObjectKey(Bucket=self._bucket, Key=self._full(f"{PROBES}/{uuid.uuid4().hex}"))
        with self._explained():
            upload_id = self._client.create_multipart_upload(**at)["UploadId"]
            with suppress(ClientError):  # a sweep removes it
                abort_upload(self._client, at, upload_id)

    def open(self, key: str) -> BinaryIO:
        """See `Store.open`."""
        with self._explained(key):
            stream = S3Stream(self._client, self._at(key), self.locate(key))
        return io.BufferedReader(stream, BUFFER_BYTES)

    def head(self, key: str) -> ObjectInfo | None:
        """See `Store.head`."""
        found = self._head(key)
        return ObjectInfo(key, found["ContentLength"], found["ETag"]) if found else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `Store.list`."""
        check_prefix(prefix)
        start = len(self._full(""))
        infos = (ObjectInfo(one["Key"][start:], one["Size"], one["ETag"]) for one in self._objects(prefix))
        return (info for info in infos if is_key(info.key))

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with self._explained(key):
            self._client.delete_object(**self._at(key))

    def written_at(self, key: str) -> datetime | None:
        """See `Store.written_at`."""
        found = self._head(key)
        if found is None:
            return None
        return max(found["LastModified"].astimezone(UTC), _renewed_at(found["Metadata"]))

    def renew(self, key: str) -> None:
        """See `Store.renew`; the server copies the object onto itself. One above 5 GiB keeps its moment.

        Since some servers keep the time of the object in such a copy, the moment goes into its metadata too.
        """
        found = self._head(key)
        if found is None:
            raise self._absent(key)
        if found["ContentLength"] > MAX_COPY_BYTES:
            return
        with self._explained(key):
            self._client.copy_object(
                **self._at(key),
                CopySource={"Bucket": self._bucket, "Key": self._full(key)},
                CopySourceIfMatch=found["ETag"],
                Metadata={**found["Metadata"], RENEWED: datetime.now(UTC).isoformat()},
                MetadataDirective="REPLACE",
            )

    def sweep(self, before: datetime, *, remove: bool) -> Iterator[str]:
        """See `Store.sweep`; left behind here are parts of unfinished uploads, and hidden scratch objects."""
        with self._explained():
            for found in self._unfinished_uploads():
                if found["Initiated"] < before:
                    at = ObjectKey(Bucket=self._bucket, Key=found["Key"])
                    if remove:
                        abort_upload(self._client, at, found["UploadId"])
                    yield f"unfinished upload of s3://{self._bucket}/{at['Key']}"
            for scratch in (one for folder in HIDDEN for one in self._objects(f"{folder}/")):
                if scratch["LastModified"] < before:
                    if remove:
                        self._client.delete_object(Bucket=self._bucket, Key=scratch["Key"])
                    yield f"scratch object s3://{self._bucket}/{scratch['Key']}"

    def access(self) -> S3Access:
        """Return what Spark needs to reach the same server as the same caller.

        Raises:
            InvalidInput: If there are no credentials.
        """
        found = find_credentials(self._client.meta.endpoint_url)
        return S3Access(
            self._client.meta.endpoint_url,
            self._client.meta.region_name,
            is_path_style=self._options.s3_addressing == "path",
            access_key=str(found.access_key),
            secret_key=str(found.secret_key),
            session_token=found.token,
            scratch=f"{S3A_SCHEME}{self._bucket}/{self._full(SPARK_SCRATCH)}",
        )

    def _write(self, key: str, source: Path | bytes, expected: str | None) -> ObjectInfo | None:
        condition: Condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        if expected is None:
            self._refuse_two_roles(key)
        size_bytes = len(source) if isinstance(source, bytes) else source.stat().st_size
        writer = uuid.uuid4().hex
        with self._explained(key):
            try:
                version = upload(self._client, self._at(key), source, size_bytes, condition, writer)
                return ObjectInfo(key, size_bytes, version)
            except ClientError as error:
                if code_of(error) not in REFUSED | ABSENT:
                    raise
                found = self._head(key)
                if found and found["Metadata"].get(WRITER) == writer:  # an answer was lost
                    return ObjectInfo(key, size_bytes, found["ETag"])
                if found is None and expected is None:
                    raise Unavailable(f"{self.locate(key)} was written by two at once, and neither stayed.") from error
                return None

    def _full(self, key: str) -> str:
        """Return a key, or the beginning of keys, as the server knows it."""
        return f"{self._prefix}/{key}" if self._prefix else key

    def _at(self, key: str) -> ObjectKey:
        return ObjectKey(Bucket=self._bucket, Key=self._full(check_key(key)))

    @contextmanager
    def _explained(self, key: str | None = None) -> Iterator[None]:
        """Turn errors of the server into errors that say what to do; see `storage.s3_client.explained`."""
        with explained(self.locate(key) if key is not None else self.uri, self._client.meta.endpoint_url):
            require_bucket(self._client, self._bucket, self._prefix)
            yield

    def _head(self, key: str) -> "HeadObjectOutputTypeDef | None":
        with self._explained(key):
            try:
                return self._client.head_object(**self._at(key))
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                if not has_reason(error):  # no answer to HEAD has: ask for a byte instead, to be told
                    self._client.get_object(**self._at(key), Range="bytes=0-0")["Body"].close()
                raise

    def _objects(self, prefix: str) -> "Iterator[ObjectTypeDef]":
        """Yield all objects below a beginning of keys, in the order of their keys' bytes, page by page."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._full(prefix), PaginationConfig={"PageSize": PAGE_OBJECTS}
        )
        with self._explained():
            for page in pages:
                yield from page.get("Contents", [])

    def _unfinished_uploads(self) -> "Iterator[MultipartUploadTypeDef]":
        """Yield the multipart uploads that were begun and neither completed nor aborted.

        MinIO keeps this list in memory: it does not know those begun before its last start, and removes their parts
        by itself after a day.
        """
        # Asked for all of the bucket: MinIO takes a prefix for the name of one object.
        for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket):
            yield from (one for one in page.get("Uploads", []) if one["Key"].startswith(self._full("")))

    def _refuse_two_roles(self, key: str) -> None:
        """Hold what a folder holds by itself: a key is an object or has others below it, never both."""
        folders = [str(parent) for parent in PurePosixPath(key).parents][:-1]
        unknown = [folder for folder in folders if folder not in self._known_folders]
        if any(self.head(folder) for folder in unknown) or next(self.list(f"{key}/"), None):
            raise self._two_roles(key)
        self._known_folders.update(unknown)


def _renewed_at(metadata: Mapping[str, str]) -> datetime:
    try:
        moment = datetime.fromisoformat(metadata[RENEWED])
    except (KeyError, ValueError):
        return NEVER
    return moment if moment.tzinfo else NEVER
