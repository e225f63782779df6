"""One bucket of an S3 server below one prefix, and whether the server honours conditional writes."""

import re
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from threading import Barrier
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from schema.errors import InvalidInput, InvalidKey
from storage.layout import check_key
from storage.opening import S3_SCHEME
from storage.s3_client import ABSENT, REFUSED, code_of, explained
from storage.s3_transfer import Condition

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef, MultipartUploadTypeDef, ObjectTypeDef

MAX_PREFIX_BYTES = 100
PAGE_OBJECTS = 1000

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class S3Bucket:
    """Objects of one bucket whose keys begin with one prefix.

    Attributes:
        client: A client of the server.
        name: Name of the bucket.
        prefix: What every key begins with; empty, or without '/' at its end.
    """

    client: "S3Client"
    name: str
    prefix: str

    @property
    def uri(self) -> str:
        """The root, such as s3://bucket/prefix."""
        return S3_SCHEME + "/".join(filter(None, (self.name, self.prefix)))

    @property
    def server(self) -> str:
        """Address of the server."""
        return self.client.meta.endpoint_url

    def full(self, key: str) -> str:
        """Return a key, or the beginning of keys, as the server knows it."""
        return f"{self.prefix}/{key}" if self.prefix else key

    def locate(self, key: str) -> str:
        """Return the full URI of a key."""
        return f"{self.uri}/{check_key(key)}"

    def explained(self, key: str | None = None) -> AbstractContextManager[None]:
        """Turn what goes wrong with the server into errors that say what to do; see `storage.s3_client`."""
        return explained(self.locate(key) if key is not None else self.uri, self.server)

    def head(self, key: str) -> "HeadObjectOutputTypeDef | None":
        """Return what the server knows of an object; None if there is none."""
        check_key(key)
        with self.explained(key):
            try:
                return self.client.head_object(Bucket=self.name, Key=self.full(key))
            except ClientError as error:
                if code_of(error) in ABSENT:
                    return None
                raise

    def objects(self, prefix: str) -> "Iterator[ObjectTypeDef]":
        """Yield all objects below a beginning of keys, in the order of their keys' bytes, page by page."""
        for page in self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=self.full(prefix), PaginationConfig={"PageSize": PAGE_OBJECTS}
        ):
            yield from page.get("Contents", [])

    def unfinished_uploads(self) -> "Iterator[MultipartUploadTypeDef]":
        """Yield the multipart uploads that were begun and neither completed nor aborted.

        MinIO keeps this list in memory: of those begun before its last start it tells nothing, and takes their
        parts away by itself after a day.
        """
        # Asked for all of the bucket: MinIO takes a prefix for the name of one object.
        for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name):
            for upload in page.get("Uploads", []):
                if upload["Key"].startswith(self.full("")):
                    yield upload


def parse_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the prefix of a URI such as s3://bucket/prefix.

    Raises:
        InvalidInput: If the bucket's name or the prefix cannot be one, or there are credentials in it.

    Example:
        >>> parse_uri("s3://reviews/electronics/v1/")
        ('reviews', 'electronics/v1')
    """
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    if "@" in bucket:  # not repeated in the message: it may be a password
        raise InvalidInput(
            "the store's URI has a user name or password in it; give those as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY or in an AWS profile, and take them out of the URI."
        )
    prefix = prefix.removesuffix("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and not is_key(prefix)) or len(prefix) > MAX_PREFIX_BYTES:
        raise InvalidInput(
            f"the store {uri!r} has the bucket {bucket!r} and the prefix {prefix!r}; expected s3://bucket/prefix with "
            f"3 to 63 of a-z 0-9 . - for the bucket and at most {MAX_PREFIX_BYTES} of A-Z a-z 0-9 . _ = + - / after it."
        )
    return bucket, prefix


def is_key(key: str) -> bool:
    """Tell whether another program's object could be one of the store's."""
    try:
        check_key(key)
    except InvalidKey:
        return False
    return True


PROBES = ".probe"  # no key may begin with a dot, so no reader ever sees one
NO_VERSION = '"00000000000000000000000000000000"'
ROUNDS = 6  # of each kind; a gateway that looks first and writes later lost two rounds in five when tried
WRITERS = 4
BODY_BYTES = 256 * 1024

CREATE = Condition(IfNoneMatch="*")


@lru_cache(maxsize=32)
def race_flaw(client: "S3Client", bucket: str, prefix: str) -> str | None:
    """Return what is wrong with a server's conditional writes, or None if nothing was found.

    Two writes that must be refused show whether conditions are ignored, and a dozen races of four writers
    whether they are looked at and acted upon in one step. Asked once for each client and prefix; about a second
    and 12 MB, of which nothing is left.

    Raises:
        ClientError: If the server refuses to be written to.
    """
    server = client.meta.endpoint_url
    ignored = _ignored_conditions(client, bucket, prefix)
    if ignored:
        return f"the server {server} ignores {' and '.join(ignored)}: it overwrote an object that must be left alone."
    most = max(_race(client, bucket, prefix) for _ in range(ROUNDS))
    if most > 1:
        return f"the server {server} let {most} of {WRITERS} conditional writes win that excluded each other."
    return None


def _ignored_conditions(client: "S3Client", bucket: str, prefix: str) -> list[str]:
    with _probe(client, bucket, prefix) as key:
        client.put_object(Bucket=bucket, Key=key, Body=b"")
        refused = {
            "If-None-Match: *": CREATE,
            "If-Match": Condition(IfMatch=NO_VERSION),
        }
        return [name for name, condition in refused.items() if _write(client, bucket, key, b"x", condition)]


def _race(client: "S3Client", bucket: str, prefix: str) -> int:
    """Return the most writers that won of those that raced to create an object, and to replace it."""
    with _probe(client, bucket, prefix) as key, ThreadPoolExecutor(WRITERS) as pool:

        def winners(condition: Condition, contents: Iterable[int]) -> int:
            start = Barrier(WRITERS)

            def run(content: int) -> bool:
                start.wait()
                return _write(client, bucket, key, bytes([content]) * BODY_BYTES, condition)

            return sum(pool.map(run, contents))

        created = winners(CREATE, range(WRITERS))
        version = client.head_object(Bucket=bucket, Key=key)["ETag"]
        return max(created, winners(Condition(IfMatch=version), range(WRITERS, 2 * WRITERS)))


@contextmanager
def _probe(client: "S3Client", bucket: str, prefix: str) -> Iterator[str]:
    key = f"{prefix}/{PROBES}/{uuid.uuid4().hex}".lstrip("/")
    try:
        yield key
    finally:
        client.delete_object(Bucket=bucket, Key=key)


def _write(client: "S3Client", bucket: str, key: str, data: bytes, condition: Condition) -> bool:
    try:
        client.put_object(Bucket=bucket, Key=key, Body=data, **condition)
    except ClientError as error:
        if code_of(error) in REFUSED | ABSENT:
            return False
        raise
    return True
