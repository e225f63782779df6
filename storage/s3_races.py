"""Finding out whether an S3 server holds to the conditions of a write, which not all that accept them do."""

import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import Barrier
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from storage.s3_errors import ABSENT, REFUSED, code_of
from storage.s3_upload import Condition

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

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
