"""Streams from S3 that go on where they were cut."""

import io
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from schema.errors import ObjectNotFound, Unavailable
from storage.s3_errors import ABSENT, REFUSED, TRANSPORT, code_of, explained

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client

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
