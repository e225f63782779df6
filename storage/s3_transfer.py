"""Uploads that appear whole or not at all, downloads that go on where they were cut, and a probe of conditions."""

import io
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from schema.errors import InvalidInput, ObjectNotFound, Unavailable
from storage.s3_client import ABSENT, REFUSED, TRANSPORT, code_of, explained

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES = 16 * 1024 * 1024
MAX_PARTS = 10_000
THREADS = 3  # a part each in memory: 48 MiB, and enough to fill a link
WRITER = "writer"  # name of the metadata that says whose upload an object is
RESUMPTIONS = 5  # without a byte in between; the wait doubles from about half a second to eight
BUFFER_BYTES = 1024 * 1024

PROBES = ".probe"  # no key may begin with a dot, so no reader ever sees one
NO_VERSION = '"00000000000000000000000000000000"'
ROUNDS = 6  # of each kind; a gateway that looks first and writes later lost two rounds in five when tried
WRITERS = 4
BODY_BYTES = 256 * 1024


class ObjectKey(TypedDict):
    """The full address of an object on its server, as boto takes it."""

    Bucket: str
    Key: str


class Condition(TypedDict, total=False):
    """The condition under which a write is carried out: one of the two."""

    IfNoneMatch: str
    IfMatch: str


def upload(
    client: "S3Client", at: ObjectKey, source: Path | bytes, size_bytes: int, condition: Condition, writer: str
) -> str:
    """Store a file's content, or bytes, and return the ETag; nothing is seen of it before it is whole.

    What arrives is what was sent: boto signs the SHA-256 of a body that brings no checksum of its own, and the server
    refuses one with another. `writer` is a token of this very write, kept in the object's metadata.

    Raises:
        ClientError: If the condition does not hold or the server refuses.
        InvalidInput: If the file has become shorter meanwhile.
    """
    if size_bytes <= PART_BYTES:
        body = _read_part(source, 0, size_bytes)
        return client.put_object(**at, Body=body, Metadata={WRITER: writer}, **condition)["ETag"]
    upload_id = client.create_multipart_upload(**at, Metadata={WRITER: writer})["UploadId"]

    def send(part: tuple[int, int]) -> "CompletedPartTypeDef":
        number, start = part
        body = _read_part(source, start, size_bytes)
        answer = client.upload_part(**at, UploadId=upload_id, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            parts = list(pool.map(send, enumerate(range(0, size_bytes, part_bytes(size_bytes)), start=1)))
        return client.complete_multipart_upload(
            **at, UploadId=upload_id, MultipartUpload={"Parts": parts}, **condition
        )["ETag"]
    except BaseException:
        with suppress(BotoCoreError, ClientError):  # the first error is raised; a sweep removes the parts
            abort_upload(client, at, upload_id)
        raise


def abort_upload(client: "S3Client", at: ObjectKey, upload_id: str) -> None:
    """Forget the parts of an upload that was not completed; one that is gone is fine."""
    try:
        client.abort_multipart_upload(**at, UploadId=upload_id)
    except ClientError as error:
        if code_of(error) != "NoSuchUpload":
            raise


def part_bytes(size_bytes: int) -> int:
    """Return the size of a part: 16 MiB, or more where 10,000 of those are not enough.

    Example:
        >>> part_bytes(10**9) // 1024**2, part_bytes(2 * 1024**4) // 1024**2
        (16, 209)
    """
    return max(PART_BYTES, -(-size_bytes // MAX_PARTS))


def _read_part(source: Path | bytes, start: int, size_bytes: int) -> bytes:
    expected = min(part_bytes(size_bytes), size_bytes - start)
    if isinstance(source, bytes):
        return source[start : start + expected]
    with source.open("rb") as stream:
        stream.seek(start)
        data = stream.read(expected)
    if len(data) < expected:
        raise InvalidInput(f"{source} became shorter than {size_bytes} bytes while it was stored; try again.")
    return data


class S3Stream(io.RawIOBase):
    """The content of one version of an object; a broken connection is taken up at the same byte.

    Raises:
        ObjectNotFound: If there is no such object.
    """

    def __init__(
        self, client: "S3Client", at: ObjectKey, location: str, wait: Callable[[float], None] = time.sleep
    ) -> None:
        try:
            answer = client.get_object(**at)
        except ClientError as error:
            if code_of(error) in ABSENT:
                raise ObjectNotFound(f"{location} does not exist.") from None
            raise
        self._client, self._object, self._location, self._wait = client, at, location, wait
        self._body: StreamingBody = answer["Body"]
        self._etag = answer["ETag"]
        self._at = 0
        self.size_bytes = answer["ContentLength"]

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as what has come allows.

        Raises:
            Unavailable: If the connection broke too often, or the object was replaced between a cut and its resumption.
        """
        view = memoryview(buffer)
        with explained(self._location, self._client.meta.endpoint_url):
            block = self._block(min(len(view), BUFFER_BYTES, self.size_bytes - self._at))
        self._at += len(block)
        view[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed and hasattr(self, "_body"):  # Python closes one, too, that could not be opened
            self._body.close()
        super().close()

    def _block(self, n_bytes: int) -> bytes:
        """Return the next bytes, at least one where one is asked for."""
        if not n_bytes:
            return b""
        cut: Exception = ConnectionResetError(f"the connection ended {RESUMPTIONS} times at byte {self._at}")
        for n_cuts in range(RESUMPTIONS + 1):
            if n_cuts:
                self._wait(2**n_cuts * random.uniform(0.125, 0.375))  # noqa: S311 - jitter
                self._resume()
            try:
                if block := self._body.read(n_bytes):
                    return block
            except TRANSPORT as error:
                cut = error
        raise cut

    def _resume(self) -> None:
        self._body.close()
        try:
            answer = self._client.get_object(**self._object, Range=f"bytes={self._at}-", IfMatch=self._etag)
        except ClientError as error:
            if code_of(error) in REFUSED:
                raise Unavailable(f"{self._location} was replaced while it was read; read it again.") from error
            raise
        self._body = answer["Body"]


@lru_cache(maxsize=32)
def race_flaw(client: "S3Client", bucket: str, prefix: str) -> str | None:
    """Return what is wrong with a server's conditional writes, or None if nothing was found.

    Two writes that must be refused show whether conditions are ignored, and a dozen races of four writers
    whether they are checked and acted upon in one step. Asked once for each client and prefix; about a second
    and 12 MB, of which nothing is left.

    Raises:
        ClientError: If the server refuses to be written to.
    """
    server = client.meta.endpoint_url
    with _probe(client, bucket, prefix) as at:
        client.put_object(**at, Body=b"")
        refused = {"If-None-Match: *": Condition(IfNoneMatch="*"), "If-Match": Condition(IfMatch=NO_VERSION)}
        ignored = [name for name, condition in refused.items() if _is_written(client, at, b"x", condition)]
    if ignored:
        return f"the server {server} ignores {' and '.join(ignored)}: it overwrote an object that must be left alone."
    most = max(_race(client, bucket, prefix) for _ in range(ROUNDS))
    if most > 1:
        return f"the server {server} let {most} of {WRITERS} conditional writes win that excluded each other."
    return None


def _race(client: "S3Client", bucket: str, prefix: str) -> int:
    """Return the most writers that won of those that raced to create an object, and to replace it."""
    with _probe(client, bucket, prefix) as at, ThreadPoolExecutor(WRITERS) as pool:

        def winners(condition: Condition, contents: Iterable[int]) -> int:
            start = Barrier(WRITERS)

            def run(content: int) -> bool:
                start.wait()
                return _is_written(client, at, bytes([content]) * BODY_BYTES, condition)

            return sum(pool.map(run, contents))

        created = winners(Condition(IfNoneMatch="*"), range(WRITERS))
        version = client.head_object(**at)["ETag"]
        return max(created, winners(Condition(IfMatch=version), range(WRITERS, 2 * WRITERS)))


@contextmanager
def _probe(client: "S3Client", bucket: str, prefix: str) -> Iterator[ObjectKey]:
    at = ObjectKey(Bucket=bucket, Key=f"{prefix}/{PROBES}/{uuid.uuid4().hex}".lstrip("/"))
    try:
        yield at
    finally:
        client.delete_object(**at)


def _is_written(client: "S3Client", at: ObjectKey, data: bytes, condition: Condition) -> bool:
    try:
        client.put_object(**at, Body=data, **condition)
    except ClientError as error:
        if code_of(error) in REFUSED | ABSENT:
            return False
        raise
    return True
