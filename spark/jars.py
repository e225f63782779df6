"""Fetch the jars that bring Spark to an S3 server: those that downloads.txt lists.

    python -m spark.jars

does so ahead of time, as the set-up does; a session that needs them and finds one missing does it then.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
from loguru import logger

from schema.errors import RecommenderError, Unavailable

DOWNLOADS = Path(__file__).parents[1] / "downloads.txt"
FOLDER = Path(sys.prefix) / "share" / "spark-s3"
MAVEN_URL = "https://repo1.maven.org/maven2"
TRIES = 3
PAUSE_SECONDS = 1.0  # after the first try, and more after each
TIMEOUT_SECONDS = 10.0
CONNECTIONS = 8


class Jar(NamedTuple):
    """A line of downloads.txt: the path below Maven's address, the size in bytes, the SHA-256 in hexadecimal digits."""

    path: str
    size_bytes: int
    sha256: str


def listed_jars() -> list[Jar]:
    """Return what downloads.txt lists."""
    rows = (line.split() for line in DOWNLOADS.read_text("utf-8").splitlines() if line.startswith("jar "))
    return [Jar(path, int(size), sha256) for _, path, size, sha256 in rows]


def s3_jars(folder: Path = FOLDER, say: Callable[[str], object] = logger.info) -> list[Path]:
    """Return the files of the jars, after fetching those that are missing into the folder.

    A file appears there when it is complete and has the right digest. `say` is told before anything is fetched.

    Raises:
        Unavailable: If one cannot be had, from Maven Central or the mirror that the variable MAVEN_URL names.
    """
    jars = listed_jars()
    missing = [jar for jar in jars if not _is_there(folder / Path(jar.path).name, jar)]
    if missing:
        base = os.environ.get("MAVEN_URL", MAVEN_URL).rstrip("/")
        say(f"fetching {_amount(missing)} from {base}, for Spark on S3")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _fetch_all(missing, base, folder)
        except (OSError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"Spark needs {_amount(missing)} to use an S3 server, and they could not be fetched from {base}: "
                f"{error}. When that address can be reached, type `{sys.executable} -m spark.jars`; a mirror of "
                "Maven Central can be named in the variable MAVEN_URL."
            ) from error
    return [folder / Path(jar.path).name for jar in jars]


def _is_there(file: Path, jar: Jar) -> bool:
    return file.is_file() and file.stat().st_size == jar.size_bytes


def _amount(jars: list[Jar]) -> str:
    return f"{len(jars)} jars ({sum(jar.size_bytes for jar in jars) / 1e6:.1f} MB)"


def _fetch_all(jars: list[Jar], base: str, folder: Path) -> None:
    """Fetch several at once; the first that fails ends it."""
    trusted = httpx.create_ssl_context()
    trusted.load_default_certs()  # those of this machine as well
    with httpx.Client(verify=trusted, timeout=TIMEOUT_SECONDS, follow_redirects=True) as client:
        pool = ThreadPoolExecutor(CONNECTIONS)
        try:
            list(pool.map(partial(_fetch, client, base, folder), jars))
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch(client: httpx.Client, base: str, folder: Path, jar: Jar) -> None:
    content = _content(client, f"{base}/{jar.path}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != jar.sha256:
        raise Unavailable(f"{jar.path} has {len(content):,} bytes with SHA-256 {digest}; expected {jar.sha256}")
    file = folder / Path(jar.path).name
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(file)


def _content(client: httpx.Client, url: str, tries: int = TRIES) -> bytes:
    """Return what a server has, asking again where that may help."""
    try:
        return client.get(url).raise_for_status().content
    except httpx.HTTPError as error:
        is_refused = isinstance(error, httpx.HTTPStatusError) and not error.response.is_server_error
        if is_refused or tries == 1:
            raise Unavailable(str(error).partition("\n")[0] or type(error).__name__) from error
    time.sleep(PAUSE_SECONDS * (TRIES - tries + 1))
    return _content(client, url, tries - 1)


def main() -> int:
    """Fetch what is missing; return 0, or 1 where it cannot be had."""
    try:
        s3_jars(say=lambda text: sys.stderr.write(f"{text}\n"))
    except RecommenderError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
