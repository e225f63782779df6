"""The settings of the API: variables that begin with ``API_``, and the same store as the flows'."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from dotenv import dotenv_values
from limits import parse as parse_limit
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, CliApp, NoDecode, SettingsConfigDict

from schema.errors import InvalidSettings
from storage.opening import open_store
from storage.protocol import Store
from storage.s3_options import S3Options

PREFIX: Final = "API_"
ENV_FILE: Final = ".env"

MAX_N: Final = 100
MAX_BASKET: Final = 500
MAX_CANDIDATES: Final = 1000
MAX_USERS: Final = 100
MAX_EXCLUDED: Final = 1000
MAX_LABELS: Final = 20
MAX_EVENTS: Final = 1000
MAX_FOUND: Final = 50


def _limit(text: str) -> str:
    try:
        parse_limit(text)
    except ValueError:
        raise ValueError("expected a number per second, minute, hour or day, such as 600/minute") from None
    return text


Limit = Annotated[str, AfterValidator(_limit)]


def _words(text: Any) -> Any:
    return tuple(word for word in text.replace(",", " ").split()) if isinstance(text, str) else text


class ServingOptions(S3Options, BaseSettings):
    """Serve recommendations from the store's champion over HTTP, with a page to try them on.

    Every flag is an environment variable too, in capitals (--api-port, API_PORT), or a line in .env.
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",  # the lines of .env that are flows'
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        cli_shortcuts={"store-uri": "store", "api-model": "model", "api-host": "host", "api-port": "port"},
    )

    store_uri: str = Field("data/store", description="Root of the artifact store: a folder, or s3://bucket/prefix.")
    work_dir: Path = Field(Path("data/work"), description="Folder of local copies of a store on S3, and of metrics.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level of log lines.")
    log_format: Literal["text", "json"] = Field(
        "text", description="How log lines are written: text for people, or json, an object on each line."
    )
    api_host: str = Field("127.0.0.1", description="Address to listen on; without a key file, only one of loopback.")
    api_port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    api_workers: int = Field(1, ge=1, le=64, description="Processes that answer; they share the model's pages.")
    api_model: str | None = Field(None, description="Id of a model to serve instead of the champion.")
    api_challenger: str | None = Field(None, description="Id of a model that a share of users gets: an A/B test.")
    api_challenger_share: float = Field(0.0, ge=0, le=1, description="Share of users who get the challenger, 0 to 1.")
    api_experiment: str | None = Field(
        None, description="Name of the A/B test, by which users are split; unset: the challenger's id."
    )
    api_poll_seconds: float = Field(10.0, gt=0, le=3600, description="Seconds between two looks at the store.")
    api_events_dir: Path | None = Field(
        Path("data/events"),
        description="Folder of events and impressions until they are in the store; 'none': no events are taken.",
    )
    api_ship_seconds: float = Field(60.0, gt=0, description="Seconds between two batches of events to the store.")
    api_keys_file: Path | None = Field(
        None, description="File of the hashes of API keys; 'python -m serving key NAME' adds one. Unset: no keys."
    )
    api_allow_anonymous: bool = Field(
        False, description="Answer without keys also where others reach the address; something else keeps them out."
    )
    api_key_limit: Limit | None = Field(
        None, description="Requests of a key, such as 600/minute, in each worker; unset: no limit."
    )
    api_address_limit: Limit | None = Field(
        None, description="Requests from an address, such as 600/minute, in each worker; unset: no limit."
    )
    api_failure_limit: Limit = Field(
        "30/minute", description="Requests with a wrong key from an address before it has to wait."
    )
    api_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may ask from a browser (CORS), separated by commas; none by default."
    )
    api_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are believed."
    )
    api_tls_certificate: Path | None = Field(None, description="PEM file of the certificate, for HTTPS.")
    api_tls_key: Path | None = Field(None, description="PEM file of the certificate's key.")
    api_concurrency: int = Field(256, ge=1, description="Requests at work at once in a worker; more get a 503.")
    api_body_bytes: int = Field(1 << 20, ge=1024, description="Largest body of a request; more is a 413.")
    api_read_seconds: float = Field(10.0, gt=0, description="Seconds in which headers, and then the body, must come.")
    api_idle_seconds: int = Field(15, ge=1, description="Seconds for which an idle connection is kept.")

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        lists = {name: _words(values[name]) for name in ("api_origins", "api_proxies") if name in values}
        none = {"api_events_dir": None} if str(values.get("api_events_dir", "")).lower() == "none" else {}
        return values | lists | none

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.api_tls_certificate is None) != (self.api_tls_key is None):
            raise ValueError("API_TLS_CERTIFICATE and API_TLS_KEY go together; set both, or neither")
        if self.api_challenger_share and not self.api_challenger:
            raise ValueError("API_CHALLENGER_SHARE needs API_CHALLENGER, the id of a model")
        if self.api_keys_file is None and not self.api_allow_anonymous and not is_loopback(self.api_host):
            raise ValueError(
                f"API_HOST is {self.api_host}, which others can reach, and there are no keys. Make one with "
                "'python -m serving key NAME --scopes read,events --file keys.json' and set API_KEYS_FILE=keys.json, "
                "listen on 127.0.0.1, or set API_ALLOW_ANONYMOUS=true where something else keeps others out"
            )
        return self

    def open_store(self) -> Store:
        """Return the store under ``store_uri``."""
        return open_store(self.store_uri, S3Options(**{name: getattr(self, name) for name in S3Options.model_fields}))

    @property
    def address(self) -> str:
        """Address that a browser opens."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.api_host, self.api_host)  # noqa: S104
        return f"http{'s' if self.api_tls_certificate else ''}://{host}:{self.api_port}"

    @property
    def experiment(self) -> str | None:
        """Name of the A/B test, None where none is on."""
        return self.api_experiment or self.api_challenger


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("shop.example")
        (True, True, False, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_options(arguments: list[str] | None = None) -> ServingOptions:
    """Return the settings that flags, the environment and ``.env`` give, in this order.

    Args:
        arguments: Flags; None for none.

    Raises:
        InvalidSettings: If a value does not fit, or a name that begins with ``API_`` in ``.env`` is no setting.
        SystemExit: If a flag is unknown, or help was asked for.
    """
    known = {name.upper() for name in ServingOptions.model_fields}
    for name in dotenv_values(ENV_FILE, encoding="utf-8", interpolate=False):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise InvalidSettings(f"{name}: unknown setting; 'python -m serving --help' lists those that there are")
    try:
        return CliApp.run(ServingOptions, cli_args=arguments or [])
    except ValidationError as error:
        raise InvalidSettings("\n".join(_explain(problem) for problem in error.errors())) from None


def _explain(problem: Any) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(message)
    name = str(problem["loc"][0])
    return f"--{name.replace('_', '-')} (or {name.upper()}): {message}; found {problem['input']!r}"
