"""Open a file as the bytes that were packed into it, and refuse by name what is no reviews file."""

import bz2
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pyarrow as pa
from isal import igzip_lib, igzip_threaded

from schema.errors import InvalidInput

GZIP_MAGIC = b"\x1f\x8b"
EXPECTED = "expected JSON, delimited text or Parquet, plain or packed by gzip, zip, zstandard, bzip2 or xz"

_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, cast("type[Exception]", igzip_lib.IsalError))
_ZIP_DAMAGE = (zipfile.BadZipFile, RuntimeError, ValueError, OSError, struct.error)
_HEAD_BYTES = 4096
_MAX_SHOWN_MEMBERS = 10
_ENCRYPTED = 1
_UNPACK = "Unpack it with `{}` and give the file that comes out."
_BY_PANDAS = "Write it out as CSV or Parquet, for instance with pandas: `pandas.{}.to_csv('reviews.csv', index=False)`."
_SPREADSHEET = "Save it as 'CSV UTF-8' in the spreadsheet program, with ids as text, and give that file."
_FOREIGN: Mapping[bytes, tuple[str, str]] = {
    rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an Excel workbook (.xls) or another old Office document", _SPREADSHEET),
    rb"Rar!\x1a\x07": ("a RAR archive", _UNPACK.format("unrar x")),
    rb"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK.format("7z x")),
    rb"\x1f\x9d": ("a file of compress (.Z)", _UNPACK.format("uncompress")),
    rb"\x04\x22\x4d\x18": ("an LZ4 file", _UNPACK.format("lz4 -d")),
    rb"LZIP[\0\x01]": ("an lzip file", _UNPACK.format("lzip -d")),
    rb"\xff\x06\0\0sNaPpY": ("a Snappy file", _UNPACK.format("snzip -d")),
    rb"SQLite format 3\0": (
        "an SQLite database",
        'Write the table out with `sqlite3 -header -csv FILE "SELECT * FROM reviews" > reviews.csv`.',
    ),
    rb".{8}DUCK": ("a DuckDB database", "Write the table out with `COPY reviews TO 'reviews.parquet'`."),
    rb"\x80[\x02-\x05][\x95c}\]()lqKJX]": ("a Python pickle", _BY_PANDAS.format("read_pickle(FILE)")),
    rb"\x93NUMPY": ("a NumPy array", _BY_PANDAS.format("DataFrame(numpy.load(FILE))")),
    rb"\x89HDF\r\n\x1a\n": ("an HDF5 file", _BY_PANDAS.format("read_hdf(FILE)")),
    rb"(ARROW1\0\0|FEA1[\0-\x08])": ("an Arrow or Feather file", _BY_PANDAS.format("read_feather(FILE)")),
    rb"ORC[\0-\x1f]": ("an ORC file", _BY_PANDAS.format("read_orc(FILE)")),
    rb"Obj\x01": ("an Avro file", "Write it out as JSON lines with `avro cat` or `avro-tools tojson`."),
    rb"(RD[AX][23]\n|X\n\0\0\0)": ("a file of R", "Write it out in R with `write.csv(reviews, row.names = FALSE)`."),
    rb"(MATLAB 5\.0 MAT|\x00\x01\x00\x00Stand)": ("a binary file of another program", "Export it as CSV."),
    rb"%PDF-": ("a PDF document", "Ask for the table itself, as CSV."),
    rb"version https://git-lfs": ("a pointer of Git LFS, not the data", "Fetch the data with `git lfs pull`."),
    rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body|script)\b": (
        "an HTML page",
        "Such a page comes when a download fails or wants a login. Fetch the file itself.",
    ),
    rb"(\xef\xbb\xbf)?\s*<(\?xml|!doctype|!--|error)\b": (
        "an XML document",
        "If a download gave it, it failed: read the file, and fetch it again. Otherwise convert it to CSV.",
    ),
}


def packing(path: Path) -> str:
    """Return by what a file is packed, by its content: gzip, zip, zstandard, bzip2, xz, or '' for nothing.

    Raises:
        InvalidInput: When the file cannot be read.
    """
    with _in_words(path), path.open("rb") as file:
        return _packing_of(file.read(_HEAD_BYTES))


@contextmanager
def open_unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """Open the bytes of a file, unpacked, for reading from the start once.

    Packed or not is seen by content, whatever the name. Gzip may have several members, zip one file.

    Raises:
        InvalidInput: When the file cannot be read or is a zip archive of several files, or, while reading, when what
            it is packed by is cut off or damaged.
    """
    with _in_words(path):
        kind = packing(path)
        with _OPENERS[kind](path) as stream:
            yield stream


def require_readable(path: Path) -> None:
    """Refuse what holds no reviews, or holds them in a form that is not read, and say how to convert it.

    Raises:
        InvalidInput: When there is no such file; it is empty, damaged at its start, a spreadsheet, an archive of
            several files, a database, another kind of binary data with a name, a web page, or packed twice.
    """
    if not path.exists():
        raise InvalidInput(f"{path} does not exist; {EXPECTED}. Check the path.")
    if not path.is_file():
        raise InvalidInput(f"{path} is not a file but a folder or device; {EXPECTED}. Give one file.")
    if path.stat().st_size == 0:
        raise InvalidInput(f"{path} is empty (0 bytes); {EXPECTED}.")
    kind = packing(path)
    with open_unpacked(path) as stream:
        head = stream.read(_HEAD_BYTES)
    if not head:
        raise InvalidInput(f"{path} is a {kind} file of nothing; {EXPECTED}.")
    inside = f" inside {kind}" if kind else ""
    if kind and (inner := _packing_of(head) or ("Parquet" if head.startswith(b"PAR1") else "")):
        raise InvalidInput(f"{path} is {inner}{inside}; {EXPECTED}, once. {_UNPACK.format(_COMMANDS[kind])}")
    if _is_tar(head):
        how = "Unpack it with `tar xf` and give the one file of it that holds the reviews."
        raise InvalidInput(f"{path} is a tar archive{inside}; {EXPECTED}. {how}")
    for pattern, (what, how) in _FOREIGN.items():
        if re.match(pattern, head, re.IGNORECASE if b"<" in pattern else re.DOTALL):
            raise InvalidInput(f"{path} is {what}{inside}; {EXPECTED}. {how}")


_MAGIC: Mapping[str, bytes] = {
    "gzip": re.escape(GZIP_MAGIC),
    "zip": rb"PK(\x03\x04|\x05\x06|\x07\x08)",
    "zstandard": rb"(\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)",
    "bzip2": rb"BZh[1-9](1AY&SY|\x17rE8P\x90)",
    "xz": rb"\xfd7zXZ\0",
}
_COMMANDS = {"gzip": "gunzip", "zip": "unzip", "zstandard": "unzstd", "bzip2": "bunzip2", "xz": "unxz"}


def _packing_of(head: bytes) -> str:
    return next((name for name, pattern in _MAGIC.items() if re.match(pattern, head)), "")


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn what the system and the unpackers raise into an InvalidInput; faults of the disk stay what they are."""
    try:
        yield
    except _DAMAGE as error:
        raise InvalidInput(_damaged(path, error)) from error
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}. Expected a file that may be read.") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise InvalidInput(_damaged(path, error)) from error


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} is a {packing(path) or 'plain'} file that is cut off or damaged ({error}). Fetch it again."


def _open_gzip(path: Path) -> io.BufferedReader:
    stream: io.BufferedReader = igzip_threaded.open(path, "rb", threads=1)  # type: ignore[no-untyped-call]
    return stream


def _open_xz(path: Path) -> io.BufferedReader:
    return io.BufferedReader(lzma.LZMAFile(path))


def _open_zip(path: Path) -> io.BufferedReader:
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            return io.BufferedReader(cast("zipfile.ZipExtFile", archive.open(member)))  # outlives the archive
    except InvalidInput:
        raise
    except _ZIP_DAMAGE as error:
        raise InvalidInput(_damaged(path, error)) from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    names = archive.namelist()
    document = next((what for part, what in _ZIPPED_DOCUMENTS.items() if any(part in f"/{name}" for name in names)), "")
    if document:
        raise InvalidInput(f"{path} is {document}; {EXPECTED}. Save or write out its table as CSV with ids as text.")
    members = [one for one in archive.infolist() if not _is_beside_the_data(one)]
    if len(members) != 1:
        shown = ", ".join(one.filename for one in members[:_MAX_SHOWN_MEMBERS])
        more = ", …" if len(members) > _MAX_SHOWN_MEMBERS else ""
        raise InvalidInput(
            f"{path} is a zip archive of {len(members)} files ({shown}{more}); expected one. "
            f"Unpack it with `unzip` and give the file that holds the reviews."
        )
    if members[0].flag_bits & _ENCRYPTED:
        raise InvalidInput(f"{path} is a zip archive with a password; {EXPECTED}. {_UNPACK.format('unzip')}")
    return members[0]


_ZIPPED_DOCUMENTS = {
    "/xl/": "an Excel workbook (.xlsx)",
    "/word/": "a Word document (.docx)",
    "/META-INF/manifest.xml": "an OpenDocument file, as spreadsheets (.ods) are",
    "/Index/Document.iwa": "a Numbers spreadsheet",
    ".npy": "a file of NumPy arrays (.npz)",
    "/data.pkl": "a file of PyTorch",
}


def _is_beside_the_data(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is a folder, or one of the files that macOS adds."""
    parts = member.filename.split("/")
    return member.is_dir() or parts[0] == "__MACOSX" or parts[-1] == ".DS_Store"


_OPENERS: Mapping[str, Callable[[Path], io.BufferedReader]] = {
    "": lambda path: path.open("rb"),
    "gzip": _open_gzip,
    "zip": _open_zip,
    "zstandard": lambda path: io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")),
    "bzip2": lambda path: io.BufferedReader(bz2.BZ2File(path)),
    "xz": _open_xz,
}
