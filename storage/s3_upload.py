"""Uploads to S3 that appear whole or not at all: one request, or parts that are put together by the last."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypedDict

from botocore.exceptions import BotoCoreError, ClientError

from schema.errors import InvalidInput
from storage.s3_errors import code_of

if TYPE_CHECKING:
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
