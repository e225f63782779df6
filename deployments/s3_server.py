"""Run a MinIO on loopback, and make buckets on S3 servers.

    python -m deployments.s3_server

makes the bucket of the process stack on the server that the variables lead to; one that is there is left as it is.
"""

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from deployments.private import make_private
from flows.child_server import LOOPBACK, Check, ChildServer, free_port

REGION = "us-east-1"
BUCKET = "recommender"
STORE_URI = f"s3://{BUCKET}/store"


@dataclass(frozen=True)
class Credentials:
    """The user of an S3 server; the secret key is never shown."""

    access_key: str
    secret_key: str = field(repr=False)


def random_credentials() -> Credentials:
    """Return credentials that nobody can guess."""
    return Credentials(secrets.token_hex(10), secrets.token_urlsafe(30))


@dataclass(frozen=True)
class S3Server:
    """An S3 server that runs, and its one bucket.

    Attributes:
        endpoint_url: Address of the S3 API.
        console_url: Address of a page to look at buckets with, where the server has one.
        bucket: Name of a bucket that exists.
        credentials: Of the user who may do everything.
        process: The server's process.
        ca_bundle: PEM file that the server's certificate is checked against, where it has one.
    """

    endpoint_url: str
    console_url: str | None
    bucket: str
    credentials: Credentials
    process: ChildServer = field(repr=False)
    ca_bundle: Path | None = None

    @property
    def address(self) -> str:
        """Host and port of the S3 API, as a proxy in front of it needs them."""
        return urlsplit(self.endpoint_url).netloc

    def environment(self) -> dict[str, str]:
        """Return the variables by which a child process finds the server."""
        trust = {"S3_CA_BUNDLE": str(self.ca_bundle)} if self.ca_bundle else {}
        console = {"S3_CONSOLE_URL": self.console_url} if self.console_url else {}
        return {
            "AWS_ACCESS_KEY_ID": self.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_key,
            "AWS_REGION": REGION,
            "S3_ENDPOINT_URL": self.endpoint_url,
            **console,
            **trust,
        }


def minio_command(folder: PurePath, address: str, console: str) -> tuple[str, ...]:
    """Return the command of a MinIO that keeps its objects in a folder; addresses are hosts and ports."""
    return ("minio", "server", str(folder), "--address", address, "--console-address", console)


def minio_environment(folder: PurePath) -> dict[str, str]:
    """Return the variables of a MinIO, without its credentials.

    It would call home for updates and support, and look in its home for certificates that nobody named.
    """
    return {"MINIO_UPDATE": "off", "MINIO_CALLHOME_ENABLE": "off", "HOME": str(folder)}


def minio_credentials(credentials: Credentials) -> dict[str, str]:
    """Return the variables by which a MinIO knows its first user."""
    return {"MINIO_ROOT_USER": credentials.access_key, "MINIO_ROOT_PASSWORD": credentials.secret_key}


@contextmanager
def open_minio(
    folder: Path,
    *,
    bucket: str,
    port: int | None = None,
    console_port: int | None = None,
    credentials: Credentials | None = None,
) -> Iterator[S3Server]:
    """Yield a MinIO that keeps its objects in a folder, and stop it in the end.

    Args:
        folder: Made if absent, and for its owner only; objects that a MinIO left there are served again.
        bucket: Made if absent.
        port: Of the S3 API; by default any that is free.
        console_port: Of the console; by default any that is free.
        credentials: By default random ones.

    Raises:
        InvalidInput: If MinIO is not installed, or a port cannot be had.
        Unavailable: If it does not start.
    """
    address, console = f"{LOOPBACK}:{free_port(port)}", f"{LOOPBACK}:{free_port(console_port)}"
    folder = folder.resolve()
    credentials = credentials or random_credentials()
    process = ChildServer(
        minio_command(folder, address, console),
        minio_environment(folder) | minio_credentials(credentials),
        [Check(f"http://{address}/minio/health/cluster"), Check(f"http://{console}")],
        secrets=[credentials.secret_key],
    )
    make_private(folder)
    server = S3Server(f"http://{address}", f"http://{console}", bucket, credentials, process)
    with serving(server):
        yield server


@contextmanager
def serving(server: S3Server) -> Iterator[None]:
    """Start a server, make its bucket, and stop it in the end.

    Raises:
        Unavailable: If it does not start.
    """
    server.process.start()
    try:
        make_bucket(server.endpoint_url, server.bucket, server.credentials, server.ca_bundle)
        yield
    finally:
        server.process.stop()


def make_bucket(endpoint_url: str, bucket: str, credentials: Credentials, ca_bundle: Path | None = None) -> None:
    """Make a bucket; one of the same user is left as it is.

    Raises:
        botocore.exceptions.ClientError: If the server refuses, or the bucket is somebody else's.
    """
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        verify=str(ca_bundle) if ca_bundle else None,
        config=Config(proxies={}, s3={"addressing_style": "path"}),
    )
    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "BucketAlreadyOwnedByYou":
            raise


def main() -> int:
    """Make the bucket of the stack."""
    credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    make_bucket(os.environ["S3_ENDPOINT_URL"], BUCKET, credentials)
    sys.stdout.write(f"bucket {BUCKET} is there\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
