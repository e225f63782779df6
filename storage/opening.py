"""Stores by their URIs, and the options by which a server is reached."""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from schema.errors import InvalidInput
from storage.local import LocalStore
from storage.memory import shared_memory_store
from storage.protocol import Store

S3_SCHEME = "s3://"
S3A_SCHEME = "s3a://"  # what Spark calls it
SPARK_SCRATCH = ".spark"  # no key begins with a dot, so no reader of a store sees what is in it

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/")
_EXPECTED = "Expected a folder, file:///absolute/folder, s3://bucket/prefix or memory://name."


class S3Options(BaseModel):
    """How an S3 server is reached; credentials come by AWS's own chain: environment, profile, instance."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    s3_endpoint_url: str | None = Field(
        None, description="Address of an S3 server, such as http://127.0.0.1:9000; by default AWS, or AWS_ENDPOINT_URL."
    )
    s3_region: str | None = Field(None, description="Region; by default that of the AWS settings, else us-east-1.")
    s3_addressing: Literal["path", "virtual"] = Field(
        "path", description="Where the bucket's name goes: into the path of a request, or before the host's name."
    )
    s3_ca_bundle: Path | None = Field(
        None,
        description="PEM file of the authorities that sign the server's certificate; by default the usual ones, and "
        "only with those does Spark, which has its own list, read the server itself and not copies.",
    )
    s3_verify_tls: bool = Field(True, description="Whether the server's certificate is checked.")

    @property
    def tls_verification(self) -> str | bool:
        """The value that botocore takes as ``verify``."""
        return str(self.s3_ca_bundle) if self.s3_ca_bundle and self.s3_verify_tls else self.s3_verify_tls


def check_options(options: S3Options) -> None:
    """Check the options beyond their types.

    Raises:
        InvalidInput: If the endpoint is no http(s) address or carries credentials, or the CA bundle is no file.
    """
    if options.s3_ca_bundle and not options.s3_ca_bundle.is_file():
        raise InvalidInput(
            f"S3_CA_BUNDLE is {str(options.s3_ca_bundle)!r}, which is no file; expected a PEM file of certificates."
        )
    if options.s3_endpoint_url is None:
        return
    parts = urlsplit(options.s3_endpoint_url)
    if "@" in parts.netloc:  # not repeated in the message: it may be a password
        raise InvalidInput(
            "S3_ENDPOINT_URL has a user name or password in it; give those as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY or in an AWS profile, and take them out of the address."
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(
            f"S3_ENDPOINT_URL is {options.s3_endpoint_url!r}; expected an address such as http://127.0.0.1:9000."
        )


_NO_OPTIONS = S3Options()


def open_store(uri: str, s3: S3Options = _NO_OPTIONS) -> Store:
    """Return the store at a URI: a folder (as a path or file://), s3://bucket/prefix or memory://name.

    A folder need not be there yet; a bucket must. `memory://name` is the same store for every caller in this
    process, and empty in any other process.

    Args:
        uri: Where the store is.
        s3: How an S3 server is reached.

    Raises:
        InvalidInput: If the URI is empty, names something that is no folder, or has an unknown scheme, or the
            options do not fit.

    Example:
        >>> open_store("memory://example").uri
        'memory://example'
    """
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return _open_folder(uri, Path(uri))
    match scheme[1].lower():
        case "file":
            return _open_folder(uri, _file_path(uri))
        case "memory":
            return shared_memory_store(_memory_name(uri))
        case "s3":
            return _open_bucket(uri, s3)
    raise InvalidInput(f"the store {uri!r} has the unknown scheme {scheme[1]!r}. {_EXPECTED}")


def _open_bucket(uri: str, s3: S3Options) -> Store:
    from storage.s3 import S3Store  # boto3 takes half a second that local stores need not spend

    return S3Store(uri, s3)


def _open_folder(uri: str, folder: Path) -> LocalStore:
    if not uri.strip() or "\0" in str(folder):
        raise InvalidInput(f"the store {uri!r} is no folder's name. {_EXPECTED}")
    try:
        return LocalStore(folder.expanduser())
    except RuntimeError as error:  # the home of nobody
        raise InvalidInput(f"the store {uri!r} names no folder: {error} {_EXPECTED}") from error


def _file_path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path or parts.query or parts.fragment:
        raise InvalidInput(f"the store {uri!r} is not a folder of this machine. {_EXPECTED}")
    return Path(unquote(parts.path))


def _memory_name(uri: str) -> str:
    name = uri.partition("://")[2]
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise InvalidInput(f"the store {uri!r} has the name {name!r}; expected letters, digits, '.', '_' or '-'.")
    return name
