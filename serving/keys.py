"""API keys, what each may do, and how often somebody may ask."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from loguru import logger
from pydantic import Field, TypeAdapter, ValidationError

from schema.errors import InvalidInput
from schema.options import FrozenModel
from serving.options import ServingOptions
from serving.problems import Problem
from storage.files import write_whole

Scope = Literal["read", "events", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
OPEN: Final = ("/healthz", "/readyz", "/static/")
KEY_BYTES: Final = 32
CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="API key as password", Bearer realm="recommendations"'}


class Key(FrozenModel):
    """An API key, of which only the digest is kept."""

    name: str = Field(min_length=1, max_length=100)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    scopes: frozenset[Scope]


_KEYS = TypeAdapter(tuple[Key, ...])


class KeyFile:
    """The keys of a file, read again when it changes; a bad file is refused and the keys before are kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = self._stat()
        self.keys = read_keys(path)

    def refresh(self) -> None:
        """Read the file again if it was written since."""
        stamp = self._stamp
        try:
            stamp = self._stat()
            if stamp != self._stamp:
                self.keys = read_keys(self.path)
                self._stamp = stamp
        except (InvalidInput, OSError) as error:
            logger.warning("The keys of {} are not taken over, and those before are kept: {}", self.path, error)
            if isinstance(error, InvalidInput):  # of which nothing more is to be had; another error may pass
                self._stamp = stamp

    def find(self, token: bytes) -> Key | None:
        """Return the key of a token; takes as long for a wrong one as for a right one."""
        digest, found = hashlib.sha256(token).hexdigest(), None
        for key in self.keys:
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def read_keys(path: Path) -> tuple[Key, ...]:
    """Return the keys of a file.

    Raises:
        InvalidInput: If there is no such file, or it is not a list of keys.
    """
    try:
        return _KEYS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidInput(f"{path} is not there; make it with 'python -m serving key NAME --file {path}'.") from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise InvalidInput(
            f"{path}: {place} {problem['msg']}; expected a list of name, sha256 and scopes, as "
            "'python -m serving key' writes it."
        ) from None


def add_key(path: Path, name: str, scopes: Iterable[str]) -> str:
    """Make a key of 256 random bits, append its digest to a file that only its owner can read, and return it.

    Raises:
        InvalidInput: If the name is taken, a scope is unknown, or the file is not a list of keys.
    """
    if unknown := set(scopes) - set(SCOPES):
        raise InvalidInput(f"unknown scope(s) {sorted(unknown)}; expected some of {', '.join(SCOPES)}.")
    keys = read_keys(path) if path.exists() else ()
    if name in {key.name for key in keys}:
        raise InvalidInput(f"{path} has a key {name!r}; choose another name, or take that one out of the file first.")
    token = secrets.token_urlsafe(KEY_BYTES)
    entry = {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "scopes": sorted(set(scopes))}
    entries = [key.model_dump(mode="json") | {"scopes": sorted(key.scopes)} for key in keys]
    write_whole(path, json.dumps([*entries, entry], indent=2) + "\n", mode=0o600)
    return token


def scope_of(method: str, path: str) -> Scope | None:
    """Return what a key must be good for, None for what anybody may ask.

    Example:
        >>> scope_of("GET", "/healthz"), scope_of("POST", "/v1/events"), scope_of("PUT", "/v1/scenarios/home")
        (None, 'events', 'admin')
    """
    if path.startswith(OPEN):
        return None
    if path in ("/v1/events", "/user/event"):
        return "events"
    return "admin" if method in ("PUT", "DELETE", "PATCH") else "read"


class Doorman:
    """Who may ask what, and how often.

    Attributes:
        key_file: The keys; None where there are none and everybody may ask.
    """

    def __init__(self, options: ServingOptions) -> None:
        self.key_file = KeyFile(options.api_keys_file) if options.api_keys_file else None
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._key_limit = _parsed(options.api_key_limit)
        self._address_limit = _parsed(options.api_address_limit)
        self._failure_limit = parse(options.api_failure_limit)

    def admit(self, method: str, path: str, headers: Mapping[bytes, bytes], address: str) -> None:
        """Let a request in.

        Raises:
            Problem: 401 without a good key, 403 if the key is good for other things, 429 if it comes too often.
        """
        scope = scope_of(method, path)
        if scope is None:
            return
        if self._address_limit:
            self._count(self._address_limit, "address", address)
        if self.key_file is None:
            return
        token = token_of(headers)
        key = self.key_file.find(token) if token else None
        if key is None:
            raise self._refusal(token, address)
        if scope not in key.scopes:
            raise Problem(403, "The key is not good for this", f"the key {key.name!r} lacks the scope {scope!r}.")
        if self._key_limit:
            self._count(self._key_limit, "key", key.name)

    def _refusal(self, token: bytes | None, address: str) -> Problem:
        """Return the 401 of a request without a good key, or the 429 after too many wrong ones from its address."""
        if not self._limiter.test(self._failure_limit, "failure", address):
            return self._too_often(self._failure_limit, "failure", address)
        if token:
            self._limiter.hit(self._failure_limit, "failure", address)
        return Problem(
            401,
            "No good key" if token else "A key is needed",
            "send an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY', or in a browser as the password.",
            headers=CHALLENGE,
        )

    def _count(self, limit: RateLimitItem, kind: str, who: str) -> None:
        if not self._limiter.hit(limit, kind, who):
            raise self._too_often(limit, kind, who)

    def _too_often(self, limit: RateLimitItem, kind: str, who: str) -> Problem:
        window = self._limiter.get_window_stats(limit, kind, who)
        seconds = max(1, int(window.reset_time - time.time()) + 1)
        return Problem(
            429,
            "Too many requests",
            f"more than {limit} came from this {'key' if kind == 'key' else 'address'}; wait {seconds} s.",
            headers={"Retry-After": str(seconds)},
        )


def token_of(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the key that a request brings: as a bearer, in X-API-Key, or as the password of Basic.

    Example:
        >>> token_of({b"authorization": b"Bearer abc"}), token_of({b"x-api-key": b"abc"}), token_of({})
        (b'abc', b'abc', None)
    """
    if key := headers.get(b"x-api-key"):
        return key
    scheme, _, value = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip() or None
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2] or None
    except binascii.Error:
        return None


def _parsed(limit: str | None) -> RateLimitItem | None:
    return parse(limit) if limit else None
