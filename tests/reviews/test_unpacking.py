import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from reviews.unpacking import open_unpacked, packing, require_readable
from schema.errors import InvalidInput

TEXT = b"user,item\n" + b"".join(b"u%d,i%d\n" % (i, i % 97) for i in range(200_000))
Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path) -> Write:
    def written(content: bytes) -> Path:
        path = tmp_path / "reviews.csv"
        path.write_bytes(content)
        return path

    return written


def zstandard(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def zipped(**members: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def tarred(content: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo("reviews.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return sink.getvalue()


def read(path: Path) -> bytes:
    with open_unpacked(path) as stream:
        return stream.read()


MIDDLE = len(TEXT) // 2
PACKED = {
    "plain": ("", TEXT),
    "gzip": ("gzip", gzip.compress(TEXT, mtime=0)),
    "gzip of two members": ("gzip", gzip.compress(TEXT[:MIDDLE], mtime=0) + gzip.compress(TEXT[MIDDLE:], mtime=0)),
    "zip": ("zip", zipped(**{"data/": b"", "data/ratings.csv": TEXT, "__MACOSX/data/._ratings.csv": b"x"})),
    "zstandard": ("zstandard", zstandard(TEXT)),
    "zstandard of two frames": ("zstandard", zstandard(TEXT[:MIDDLE]) + zstandard(TEXT[MIDDLE:])),
    "zstandard with a skippable frame": ("zstandard", b"\x50\x2a\x4d\x18\4\0\0\0meta" + zstandard(TEXT)),
    "bzip2": ("bzip2", bz2.compress(TEXT)),
    "bzip2 of two streams": ("bzip2", bz2.compress(TEXT[:MIDDLE]) + bz2.compress(TEXT[MIDDLE:])),
    "xz": ("xz", lzma.compress(TEXT)),
}


@pytest.mark.parametrize(("kind", "content"), PACKED.values(), ids=PACKED)
def test_bytes_come_unpacked_whatever_the_name(write, kind, content):
    path = write(content)
    assert packing(path) == kind
    assert read(path) == TEXT
    require_readable(path)


@pytest.mark.parametrize(("kind", "content"), [one for one in PACKED.values() if one[0]], ids=list(PACKED)[1:])
@pytest.mark.parametrize("fault", ["cut off", "damaged"])
def test_what_is_cut_off_or_damaged_is_refused(write, kind, content, fault):
    if kind == "zstandard" and fault == "damaged":  # pyarrow writes no checksum; `zstd` did for this one
        content = b"\x28\xb5\x2f\xfd\x24\x12\x91\0\0user,item\na,b\nc,d\no\x28\xdb\x64"
        assert read(write(content)) == b"user,item\na,b\nc,d\n"
    where = len(content) // 2
    path = write(content[:where] if fault == "cut off" else content[:where] + b"rubbish" + content[where + 7 :])
    with pytest.raises(InvalidInput, match=f"is a {kind} file that is cut off or damaged"):
        read(path)


def test_lines_and_a_look_ahead_work_in_each_packing(write):
    for _, content in PACKED.values():
        with open_unpacked(write(content)) as stream:
            assert stream.peek(4)[:4] == b"user"
            assert stream.readline() == b"user,item\n"


def spreadsheet(folder: str) -> bytes:
    return zipped(**{"[Content_Types].xml": b"<x/>", f"{folder}workbook.xml": b"<x/>"})


def by_file(save: Callable[[str], object], folder: Path) -> bytes:
    folder = Path(tempfile.mkdtemp(dir=folder))
    save(str(folder / "written"))
    return next(folder.iterdir()).read_bytes()


def database(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table reviews (user, item)")
    connection.commit()
    connection.close()


FRAME = pd.DataFrame({"user": ["a"], "item": ["b"]})
TABLE = pa.table({"user": ["a"], "item": ["b"]})
REFUSED = {
    "xlsx": (spreadsheet("xl/"), r"an Excel workbook \(\.xlsx\).*CSV"),
    "ods": (zipped(mimetype=b"a", **{"META-INF/manifest.xml": b"", "content.xml": b""}), r"\(\.ods\).*CSV"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"\(\.xls\).*Save it as 'CSV UTF-8'"),
    "npz": (zipped(**{"arr_0.npy": b""}), "NumPy"),
    "two in a zip": (zipped(**{"a.csv": TEXT, "b.csv": TEXT}), r"zip archive of 2 files \(a.csv, b.csv\).*unzip"),
    "nothing in a zip": (zipped(), "zip archive of 0 files"),
    "tar": (tarred(TEXT), "a tar archive; .*tar xf"),
    "tar in gzip": (gzip.compress(tarred(TEXT)), "a tar archive inside gzip; .*tar xf"),
    "gzip in gzip": (gzip.compress(gzip.compress(TEXT)), "is gzip inside gzip; .*gunzip"),
    "gzip in zip": (zipped(**{"a.csv.gz": gzip.compress(TEXT)}), "is gzip inside zip; .*unzip"),
    "gzip of nothing": (gzip.compress(b""), "a gzip file of nothing"),
    "RAR": (b"Rar!\x1a\x07\x01\x00" + bytes(99), "a RAR archive; .*unrar"),
    "7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99), "a 7z archive; .*7z x"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file; .*read_hdf"),
    "Avro": (b"Obj\x01\x04\x16avro.schema", "an Avro file; .*JSON lines"),
    "pickle": (pickle.dumps(FRAME), "a Python pickle; .*read_pickle"),
    "old pickle": (pickle.dumps([("a", "b")], protocol=2), "a Python pickle"),
    "web page": (
        b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>Please log in, user</body></html>",
        "an HTML page; .*login",
    ),
    "error of a store": (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML document"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS.*git lfs pull"),
    "empty": (b"", r"is empty \(0 bytes\)"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read_is_named_with_how_to_convert_it(write, content, message):
    with pytest.raises(InvalidInput, match=message):
        require_readable(write(content))


def test_files_of_other_libraries_are_named(write, tmp_path):
    by_name = {
        "an SQLite database; .*sqlite3 -header": by_file(database, tmp_path),
        "a NumPy array": by_file(lambda path: np.save(f"{path}.npy", np.arange(9)), tmp_path),
        "an Arrow or Feather file": by_file(lambda path: pyarrow.feather.write_feather(TABLE, path), tmp_path),
        "an ORC file": by_file(lambda path: pyarrow.orc.write_table(TABLE, path), tmp_path),
        "Parquet inside gzip": gzip.compress(by_file(lambda path: pq.write_table(TABLE, path), tmp_path)),
    }
    for message, content in by_name.items():
        with pytest.raises(InvalidInput, match=message):
            require_readable(write(content))


@pytest.mark.parametrize(
    "header", ["ORCID,item", "PAR1,PAR2", "FEA1,FEA2", "BZh91,item", "PK,item", "LZIP,Rar!", "Obj,a"]
)
def test_text_that_begins_like_a_known_format_is_text(write, header):
    path = write(f"{header}\na,b\n".encode())
    assert packing(path) == ""
    require_readable(path)


def test_zip_with_a_password_is_refused(write):
    content = bytearray(zipped(**{"a.csv": TEXT}))
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(magic) + offset] |= 1
    with pytest.raises(InvalidInput, match=r"with a password; .*unzip"):
        require_readable(write(bytes(content)))


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="does not exist"):
        require_readable(tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="cannot be read"), open_unpacked(tmp_path / "none.csv"):
        pass
    with pytest.raises(InvalidInput, match="not a file but a folder"):
        require_readable(tmp_path)
