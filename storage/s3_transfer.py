"""Uploads that appear whole or not at all, and downloads that go on where they were cut."""

import io
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
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


class Condition(TypedDict, total=False):
    """The condition under which a write is carried out: one of the two."""

    IfNoneMatch: str
    IfMatch: str


@dataclass(frozen=True)
class Upload:
    """One write to one key.

    What arrives is what was sent: boto signs the SHA-256 of a body that brings no checksum of its own, and the server
    refuses one with another.

    Attributes:
        bucket, key: Where to.
        condition: Under which condition.
        writer: Token of this very write, kept in the object's metadata.
    """

    bucket: str
    key: str
    condition: Condition
    writer: str

    def send(self, client: "S3Client", source: Path | bytes, size_bytes: int) -> str:
        """Store the content and return its ETag; nothing is seen of it before it is whole.

        Raises:
            ClientError: If the condition does not hold or the server refuses.
            InvalidInput: If the file has become shorter meanwhile.
        """
        if size_bytes <= PART_BYTES:
            with _reader(source, size_bytes) as read:
                return self._put(client, read(0))
        upload_id = client.create_multipart_upload(Bucket=self.bucket, Key=self.key, Metadata={WRITER: self.writer})[
            "UploadId"
        ]
        try:
            parts = self._send_parts(client, upload_id, source, size_bytes)
            return client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.key,
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                **self.condition,
            )["ETag"]
        except BaseException:
            with suppress(BotoCoreError, ClientError):  # what went wrong first is told; a sweep takes the parts
                abort_upload(client, self.bucket, self.key, upload_id)
            raise

    def _put(self, client: "S3Client", data: bytes) -> str:
        return client.put_object(
            Bucket=self.bucket,
            Key=self.key,
            Body=data,
            Metadata={WRITER: self.writer},
            **self.condition,
        )["ETag"]

    def _send_parts(
        self, client: "S3Client", upload_id: str, source: Path | bytes, size_bytes: int
    ) -> "list[CompletedPartTypeDef]":
        def send(part: tuple[int, int]) -> "CompletedPartTypeDef":
            number, start = part
            answer = client.upload_part(
                Bucket=self.bucket, Key=self.key, UploadId=upload_id, PartNumber=number, Body=read(start)
            )
            return {"PartNumber": number, "ETag": answer["ETag"]}

        starts = range(0, size_bytes, part_bytes(size_bytes))
        with _reader(source, size_bytes) as read, ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(send, enumerate(starts, start=1)))


def abort_upload(client: "S3Client", bucket: str, key: str, upload_id: str) -> None:
    """Forget the parts of an upload that was not completed; one that is gone is fine."""
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
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


@contextmanager
def _reader(source: Path | bytes, size_bytes: int) -> Iterator[Callable[[int], bytes]]:
    """Yield a function from the first byte of a part to the part, which threads may call at once.

    It raises InvalidInput if the file has become shorter meanwhile.
    """
    length = part_bytes(size_bytes)
    if isinstance(source, bytes):
        yield lambda start: source[start : start + length]
        return
    turn = Lock()

    def read(start: int) -> bytes:
        expected = min(length, size_bytes - start)
        with turn:
            stream.seek(start)
            data = stream.read(expected)
        if len(data) < expected:
            raise InvalidInput(f"{source} became shorter than {size_bytes} bytes while it was stored; try again.")
        return data

    with source.open("rb") as stream:
        yield read


RESUMPTIONS = 5  # without a byte in between; the wait doubles from about half a second to eight
BUFFER_BYTES = 1024 * 1024


class S3Stream(io.RawIOBase):
    """The content of one version of an object; a broken connection is taken up at the same byte.

    Args:
        client: A client of the server.
        bucket: Where the object is.
        key: Its whole key.
        location: Its URI, for messages.
        wait: Lets seconds pass.

    Raises:
        ObjectNotFound: If there is no such object.
    """

    def __init__(
        self, client: "S3Client", bucket: str, key: str, location: str, wait: Callable[[float], None] = time.sleep
    ) -> None:
        try:
            answer = client.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if code_of(error) in ABSENT:
                raise ObjectNotFound(f"{location} does not exist.") from None
            raise
        self._client, self._bucket, self._key, self._location, self._wait = client, bucket, key, location, wait
        self._body: StreamingBody = answer["Body"]
        self._etag = answer["ETag"]
        self._at = 0
        self._broken_in_a_row = 0
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
            block = self._block(min(len(view), self.size_bytes - self._at))
        self._at += len(block)
        view[: len(block)] = block
        return len(block)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._body.close()
        super().close()

    def _block(self, n_bytes: int) -> bytes:
        """Return the next bytes, at least one where one is asked for."""
        while n_bytes:
            try:
                block = self._body.read(n_bytes)
                if block:
                    self._broken_in_a_row = 0
                    return block
            except TRANSPORT:
                if self._broken_in_a_row >= RESUMPTIONS:
                    raise
            self._resume()
        return b""

    def _resume(self) -> None:
        if self._broken_in_a_row > RESUMPTIONS:
            raise ConnectionResetError(f"the connection ended {RESUMPTIONS} times at byte {self._at}")
        self._body.close()
        self._wait(2**self._broken_in_a_row * random.uniform(0.25, 0.75))  # noqa: S311 - jitter
        self._broken_in_a_row += 1
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={self._at}-", IfMatch=self._etag
            )
        except ClientError as error:
            if code_of(error) in REFUSED:
                raise Unavailable(f"{self._location} was replaced while it was read; read it again.") from error
            raise
        self._body = answer["Body"]
