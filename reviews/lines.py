"""Open a file, gzipped or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip_lib, igzip_threaded

from schema.errors import InvalidInput

BOM = b"\xef\xbb\xbf"
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_ERRORS = (EOFError, cast("type[Exception]", igzip_lib.IsalError))


def is_gzipped(path: Path) -> bool:
    """Return whether the bytes of a file are a gzip stream, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(GZIP_MAGIC)) == GZIP_MAGIC


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open the uncompressed bytes of a file, gzipped or not, for reading from the start.

    Raises:
        InvalidInput: When the file cannot be read, or, while reading, when its gzip stream is cut or damaged.
    """
    try:
        with _open_gzip(path) if is_gzipped(path) else path.open("rb") as stream:
            yield stream
    except _GZIP_ERRORS as error:
        raise InvalidInput(_damaged(path, error)) from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}. Expected a file that may be read.") from error
    except OSError as error:
        if error.errno is not None:  # from the disk, not from the data
            raise
        raise InvalidInput(_damaged(path, error)) from error


def _open_gzip(path: Path) -> BinaryIO:
    stream: BinaryIO = igzip_threaded.open(path, "rb", threads=1)  # type: ignore[no-untyped-call]
    return stream


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is a gzip file that is cut off or damaged ({error}). Fetch it again."
