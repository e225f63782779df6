"""How an S3 server is reached by a library that opens its own connections."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class S3Access:
    """An S3 server, the credentials it is used with, and a folder on it.

    Attributes:
        endpoint_url: Address of the server.
        region: Its region.
        is_path_style: True if the bucket's name goes into the path of a request.
        access_key, secret_key, session_token: The caller's credentials, never shown.
        scratch: URI (s3a://…) of the folder for Spark's intermediate files.
    """

    endpoint_url: str
    region: str
    is_path_style: bool
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False)
    scratch: str
