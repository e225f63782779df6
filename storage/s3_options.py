"""The options by which an S3 server is reached."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from schema.errors import InvalidInput
from schema.options import FrozenModel

S3_SCHEME = "s3://"
S3A_SCHEME = "s3a://"  # what Spark calls it
SPARK_SCRATCH = ".spark"  # no key begins with a dot, so no reader of a store sees what is in it


class S3Options(FrozenModel):
    """How an S3 server is reached; credentials come by AWS's own chain: environment, profile, instance."""

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
    s3_console_url: str | None = Field(
        None,
        pattern=r"^https?://[^@\s]+$",
        description="Address of MinIO's console, for links to artifacts; without it there are none.",
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
    refuse_password(parts.netloc, "S3_ENDPOINT_URL", "the address")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(
            f"S3_ENDPOINT_URL is {options.s3_endpoint_url!r}; expected an address such as http://127.0.0.1:9000."
        )


def refuse_password(host: str, name: str, noun: str) -> None:
    """Refuse an address with a user name or a password in it, and do not repeat it.

    Raises:
        InvalidInput: If there is one.
    """
    if "@" in host:
        raise InvalidInput(
            f"{name} has a user name or password in it; give those as AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY or in an AWS profile, and take them out of {noun}."
        )
