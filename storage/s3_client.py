"""Clients of S3 servers: one for each way of reaching one, shared by the threads of a process."""

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from schema.errors import InvalidInput
from storage.s3_errors import explained
from storage.s3_options import S3Options, check_options

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

DEFAULT_REGION = "us-east-1"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
ATTEMPTS = 10  # botocore waits up to 50 ms, then twice as long each time: about 13 s in all, and at most 26
CONNECTIONS = 16


@dataclass(frozen=True)
class S3Access:
    """What another library needs to reach the same server as the same caller.

    Attributes:
        endpoint_url: Address of the server.
        region: Its region.
        is_path_style: Whether the bucket's name goes into the path.
        access_key, secret_key, session_token: The caller's credentials, never shown.
    """

    endpoint_url: str
    region: str
    is_path_style: bool
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)


def open_client(options: S3Options) -> "S3Client":
    """Return the client for these options and the credentials that the AWS settings now name.

    Requests that may be sent again without harm are, with back-off and jitter. Conditional writes are among
    them, because `storage.s3` finds out who won when an answer is lost.

    Raises:
        InvalidInput: If the options do not fit, or the AWS settings are broken.
    """
    check_options(options)
    return _client(options, _aws_environment())


def access_of(client: "S3Client", options: S3Options) -> S3Access:
    """Return what Spark needs to reach the same server with the same credentials.

    Raises:
        InvalidInput: If there are no credentials.
    """
    with explained("the store", client.meta.endpoint_url):
        credentials = _session(_aws_environment()).get_credentials()
    if credentials is None:
        raise InvalidInput(
            f"there are no credentials for {client.meta.endpoint_url}. Give them as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or in a profile that AWS_PROFILE names."
        )
    frozen = credentials.get_frozen_credentials()
    return S3Access(
        client.meta.endpoint_url,
        client.meta.region_name,
        options.s3_addressing == "path",
        str(frozen.access_key),
        str(frozen.secret_key),
        frozen.token,
    )


def _aws_environment() -> tuple[tuple[str, str], ...]:
    """Return AWS's own variables, by which a client is found again as long as they stay the same."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


@lru_cache(maxsize=8)
def _session(_environment: tuple[tuple[str, str], ...]) -> boto3.session.Session:
    return boto3.session.Session()


@lru_cache(maxsize=8)
def _client(options: S3Options, environment: tuple[tuple[str, str], ...]) -> "S3Client":
    with explained("the store", options.s3_endpoint_url or "AWS"):
        session = _session(environment)
        return session.client(
            "s3",
            endpoint_url=options.s3_endpoint_url,
            region_name=options.s3_region or session.region_name or DEFAULT_REGION,
            verify=None if options.tls_verification is True else options.tls_verification,
            config=Config(
                s3={"addressing_style": options.s3_addressing, "payload_signing_enabled": True},
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=ANSWER_SECONDS,
                max_pool_connections=CONNECTIONS,
                # Not all servers know AWS's checksums; the SHA-256 of its body goes with every request instead.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
