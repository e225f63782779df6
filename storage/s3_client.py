"""Clients of S3 servers, and their errors and those of the network as errors of the project."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from schema.errors import InvalidInput, OutOfSpace, RecommenderError, Unavailable
from schema.proxies import LOOPBACK, proxy_before
from storage.layout import is_key
from storage.s3_options import S3Options, check_options, refuse_password

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from types_boto3_s3 import S3Client

ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
# A condition did not hold. The last two may also mean that an earlier try of the same request was carried out.
REFUSED = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"})

_FULL = frozenset({"XMinioStorageFull", "InsufficientCapacity", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
_FULL_IN_WORDS = "no space left on device"  # MinIO calls it an InternalError where it is a part that does not fit
_UNKNOWN_CALLER = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "XAdminUserNotFound"}
)
_WRONG_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_READING = ("Get", "Head", "List")
_ELSEWHERE = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"})
# Codes below 500 that say the request was hurt on its way, or came at a bad moment.
_PASSING = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "OperationAborted",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "XAmzContentSHA256Mismatch",
        "XMinioServerNotInitialized",
    }
)
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.TokenRetrievalError,
)
_NO_S3 = "Expected the address of a server that speaks S3, and no page or proxy before it: see S3_ENDPOINT_URL."
_CREDENTIALS = "Give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a profile that AWS_PROFILE names."
# A connection broke or went silent: the same request may succeed when it is sent again.
TRANSPORT = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    exceptions.IncompleteReadError,
    HTTPError,
    ConnectionError,
    TimeoutError,
)


def code_of(error: ClientError) -> str:
    """Return the code of an error that the server sent, such as 'NoSuchKey', or '404' where it sent no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def has_reason(error: ClientError) -> bool:
    """Return whether the server said why: with a code of S3, not with a bare status, as to HEAD, or a page."""
    return not code_of(error).isdecimal() and code_of(error) != ""


@lru_cache(maxsize=32)
def require_bucket(client: "S3Client", bucket: str, prefix: str) -> None:
    """Ask for the first key of a store, once in a process: its answer tells what answers to HEAD leave out.

    Raises:
        ClientError: If the server refuses, as where it does not know the bucket or the caller.
        InvalidInput: If what answers is no S3 server.
    """
    answer = client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", MaxKeys=1)
    if "Name" not in answer:
        server = client.meta.endpoint_url
        raise InvalidInput(f"{server} answers, but not as S3 does. {_NO_S3}{proxy_before(server)}")


@contextmanager
def explained(location: str, server: str) -> Iterator[None]:
    """Turn what goes wrong between here and the object or store at an S3 server into errors that say what to do.

    Raises:
        InvalidInput: If the bucket, the region, the credentials or their rights are not what they must be.
        OutOfSpace: If the server has no room left.
        Unavailable: If it does not answer, or answers that something on its side went wrong.
    """
    try:
        yield
    except RecommenderError:
        raise
    except ClientError as error:
        raise _from_answer(error, location, server) from error
    except (BotoCoreError, HTTPError, ConnectionError, TimeoutError) as error:
        raise _from_transport(error, location, server) from error


def _from_answer(error: ClientError, location: str, server: str) -> RecommenderError:
    code, status = code_of(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = f"{error.operation_name}: {code}, {error.response.get('Error', {}).get('Message', '')!s:.200}"
    if code == "NoSuchBucket":
        return InvalidInput(f"{location} is in a bucket that {server} does not have ({said}). Make the bucket first.")
    if code in _FULL or status == 507 or _FULL_IN_WORDS in said:
        return OutOfSpace(f"no space left on {server} for {location} ({said}). Free some there, or use another store.")
    if code in _ELSEWHERE:
        return InvalidInput(f"{location} is in another region than the one asked ({said}). Set S3_REGION.")
    if code in _UNKNOWN_CALLER:
        return InvalidInput(f"{server} does not accept the credentials for {location} ({said}). {_CREDENTIALS}")
    if code in _WRONG_CLOCK:
        return InvalidInput(f"the clock of this machine is not that of {server} ({said}). Set it right.")
    if status >= 500 or status == 429 or code in _PASSING:
        return Unavailable(
            f"{server} failed at {location} ({said}). Try again; what is done stays done.{proxy_before(server)}"
        )
    if not has_reason(error):
        return InvalidInput(
            f"{server} answers {status} for {location}, and not as S3 does. {_NO_S3}{proxy_before(server)}"
        )
    if status == 403:
        is_reading = error.operation_name.startswith(_READING)
        of_minio = "" if is_reading else "; MinIO answers the same where its own disk is read-only: make that writable"
        return InvalidInput(
            f"the credentials may not do that to {location} at {server} ({said}). Ask for the rights{of_minio}."
        )
    return InvalidInput(f"{server} refuses a request for {location} ({said}). {_NO_S3}")


def _from_transport(error: Exception, location: str, server: str) -> RecommenderError:
    if isinstance(error, _NO_CREDENTIALS):
        return InvalidInput(f"there are no whole credentials for {location} ({error}). {_CREDENTIALS}")
    if isinstance(error, exceptions.SSLError):
        return InvalidInput(
            f"the certificate of {server} does not pass ({error}). Name the file of its authority in S3_CA_BUNDLE."
        )
    if isinstance(error, TRANSPORT):
        return Unavailable(
            f"{server} does not answer for {location} ({type(error).__name__}). See that it runs, then run this again; "
            f"what is done stays done.{proxy_before(server)}"
        )
    return InvalidInput(f"{location} at {server}: {error} Expected an S3 server, its bucket and its region.")


MAX_PREFIX_BYTES = 100
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

DEFAULT_REGION = "us-east-1"
CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
ATTEMPTS = 10  # botocore waits up to 50 ms, then twice as long each time: about 13 s in all, and at most 26
CONNECTIONS = 16


def parse_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the prefix of a URI such as s3://bucket/prefix.

    Raises:
        InvalidInput: If the bucket's name or the prefix cannot be one, or there are credentials in it.

    Example:
        >>> parse_uri("s3://reviews/electronics/v1/")
        ('reviews', 'electronics/v1')
    """
    bucket, _, prefix = uri.partition("://")[2].partition("/")
    refuse_password(bucket, "the store's URI", "the URI")
    prefix = prefix.removesuffix("/")
    if not _BUCKET.fullmatch(bucket) or (prefix and not is_key(prefix)) or len(prefix) > MAX_PREFIX_BYTES:
        raise InvalidInput(
            f"the store {uri!r} has the bucket {bucket!r} and the prefix {prefix!r}; expected s3://bucket/prefix with "
            f"3 to 63 of a-z 0-9 . - for the bucket and at most {MAX_PREFIX_BYTES} of A-Z a-z 0-9 . _ = + - / after it."
        )
    return bucket, prefix


def open_client(options: S3Options) -> "S3Client":
    """Return the client for these options and the credentials that the AWS settings now name.

    Requests that may be sent again without harm are, with back-off and jitter. Conditional writes are among
    them, because `storage.s3` finds out who won when an answer is lost.

    Raises:
        InvalidInput: If the options do not fit, or the AWS settings are broken.
    """
    check_options(options)
    return _client(options, _aws_environment())


def find_credentials(server: str) -> "ReadOnlyCredentials":
    """Return the credentials that the AWS settings now name.

    Raises:
        InvalidInput: If there are none.
    """
    with explained("the store", server):
        credentials = _session(_aws_environment()).get_credentials()
    if credentials is None:
        raise InvalidInput(f"there are no credentials for {server}. {_CREDENTIALS}")
    return credentials.get_frozen_credentials()


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
                # botocore finds no IPv6 address in NO_PROXY.
                proxies={} if urlsplit(options.s3_endpoint_url or "").hostname in LOOPBACK else None,
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
