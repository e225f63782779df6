"""Real S3 servers on loopback, MinIO and versitygw, for tests, benchmarks and a machine of one's own."""

import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from deployments.processes import LOOPBACK, ServerProcess, free_port, require_program

REGION = "us-east-1"
# MinIO calls home for updates and support unless told not to.
MINIO_SILENCE = {"MINIO_UPDATE": "off", "MINIO_CALLHOME_ENABLE": "off"}
# No bucket can be called this, so it hides none.
VERSITYGW_HEALTH = "/_health"


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
    process: ServerProcess = field(repr=False)
    ca_bundle: Path | None = None

    @property
    def address(self) -> str:
        """Host and port of the S3 API, as a proxy in front of it needs them."""
        return urlsplit(self.endpoint_url).netloc

    @property
    def pid(self) -> int:
        """Process id of the server itself."""
        return self.process.pid

    def kill(self) -> None:
        """End the server as a crash would, with SIGKILL, and return when it is gone."""
        self.process.kill()

    def restart(self) -> None:
        """Start the server again, on the same port and folder, after stopping it where it still runs.

        Raises:
            Unavailable: If it does not start.
        """
        self.process.restart()

    def environment(self) -> dict[str, str]:
        """Return the variables by which a child process finds the server."""
        trust = {"S3_CA_BUNDLE": str(self.ca_bundle)} if self.ca_bundle else {}
        return {
            "AWS_ACCESS_KEY_ID": self.credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_key,
            "AWS_REGION": REGION,
            "S3_ENDPOINT_URL": self.endpoint_url,
            **trust,
        }


@contextmanager
def open_minio(
    folder: Path,
    *,
    bucket: str,
    port: int | None = None,
    console_port: int | None = None,
    credentials: Credentials | None = None,
    certs: Path | None = None,
    domain: str | None = None,
) -> Iterator[S3Server]:
    """Yield a MinIO that keeps its objects in a folder, and stop it in the end.

    Args:
        folder: Made if absent; what a MinIO left there is served again.
        bucket: Made if absent.
        port: Of the S3 API; by default any that is free.
        console_port: Of the console; by default any that is free.
        credentials: By default random ones.
        certs: Folder with ``public.crt`` and ``private.key``, to speak TLS with; by default plain HTTP.
        domain: Host below which ``BUCKET.domain`` addresses a bucket; by default only the path does.

    Raises:
        InvalidInput: If MinIO is not installed, or a port cannot be had.
        Unavailable: If it does not start.
    """
    program = require_program("minio")
    address, console = f"{LOOPBACK}:{free_port(port)}", f"{LOOPBACK}:{free_port(console_port)}"
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    credentials = credentials or random_credentials()
    scheme = "https" if certs else "http"
    process = ServerProcess(
        [
            *(str(program), "server", str(folder), "--address", address, "--console-address", console),
            *(("--certs-dir", str(certs.resolve())) if certs else ()),
        ],
        {
            **MINIO_SILENCE,
            **({"MINIO_DOMAIN": domain} if domain else {}),
            "HOME": str(folder),  # where it would look for certificates that nobody named
            "MINIO_ROOT_USER": credentials.access_key,
            "MINIO_ROOT_PASSWORD": credentials.secret_key,
        },
        [f"{scheme}://{address}/minio/health/cluster", f"{scheme}://{console}"],
        trust=_trust_only(certs / "public.crt") if certs else None,
        secret=credentials.secret_key,
    )
    ca_bundle = certs.resolve() / "public.crt" if certs else None
    with _serving(
        S3Server(f"{scheme}://{address}", f"{scheme}://{console}", bucket, credentials, process, ca_bundle)
    ) as server:
        yield server


@contextmanager
def open_versitygw(
    folder: Path,
    *,
    bucket: str,
    port: int | None = None,
    credentials: Credentials | None = None,
    one_at_a_time: bool = True,
) -> Iterator[S3Server]:
    """Yield a versitygw that keeps its objects as plain files in a folder, and stop it in the end.

    Args:
        folder: Made if absent, on a file system with extended attributes.
        bucket: Made if absent.
        port: By default any that is free.
        credentials: By default random ones.
        one_at_a_time: Whether it carries out one request after the other. With several at once, version 1.7.0 looks
            at the condition of a write first and writes later, so that two writers may both win.

    Raises:
        InvalidInput: If versitygw is not installed, or the port cannot be had.
        Unavailable: If it does not start.
    """
    program = require_program("versitygw")
    address = f"{LOOPBACK}:{free_port(port)}"
    folder = folder.resolve()  # a relative one it does not find
    folder.mkdir(parents=True, exist_ok=True)
    credentials = credentials or random_credentials()
    process = ServerProcess(
        [
            *(str(program), "--quiet", "--health", VERSITYGW_HEALTH, "--port", address, "posix"),
            *(("--concurrency", "1") if one_at_a_time else ()),
            str(folder),
        ],
        {"ROOT_ACCESS_KEY": credentials.access_key, "ROOT_SECRET_KEY": credentials.secret_key},
        [f"http://{address}{VERSITYGW_HEALTH}"],
        secret=credentials.secret_key,
    )
    with _serving(S3Server(f"http://{address}", None, bucket, credentials, process)) as server:
        yield server


@contextmanager
def _serving(server: S3Server) -> Iterator[S3Server]:
    server.process.start()
    try:
        make_bucket(server.endpoint_url, server.bucket, server.credentials, server.ca_bundle)
        yield server
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


def _trust_only(certificate: Path) -> ssl.SSLContext:
    """Return a context that takes exactly this certificate, whoever signed it and whatever host it names."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context
