import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from reviews.encodings import SAMPLE_BYTES, detect, open_text
from schema.errors import InvalidInput

TEXT = "user,item,title\n" + "".join(f"u{i},i{i % 97},Café №{i} “naïve”\n" for i in range(9_999))
WESTERN = "user,item,title\n" + "".join(f"Zoé{i},i{i % 97},Café crème à {i} ¤\n" for i in range(9_999))
Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path) -> Write:
    def written(content: bytes) -> Path:
        path = tmp_path / "reviews.csv"
        path.write_bytes(content)
        return path

    return written


def read(path: Path, encoding: str) -> bytes:
    with open_text(path, encoding) as stream:
        return stream.read()


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        *(("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16-le"), ("utf-32", "utf-32-le")),
        *((one, one) for one in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")),
    ],
)
def test_unicode_is_found_and_read_with_and_without_a_mark(write, encoding, found):
    content = TEXT.encode(encoding)
    detected, part = detect(content[:SAMPLE_BYTES], None)
    assert (detected, part.value, part.flag, part.is_set, part.doubt) == (found, found, "--encoding", False, "")
    assert read(write(content), detected) == TEXT.encode()
    assert read(write(gzip.compress(content)), detected) == TEXT.encode()


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-32-be"])
def test_big_endian_mark_decides_and_is_no_text(write, encoding):
    content = ("\ufeff" + TEXT).encode(encoding)
    detected, part = detect(content, None)
    assert (detected, part.evidence) == (encoding, f"the file begins with the byte order mark of {encoding}")
    assert read(write(content), detected) == TEXT.encode()


@pytest.mark.parametrize(("encoding", "euro"), [("windows-1252", "€"), ("latin-1", "\x81")])
def test_western_text_is_probably_windows_1252_unless_a_byte_is_none_of_it(write, encoding, euro):
    text = WESTERN.replace("¤", euro, 9)
    detected, part = detect(text.encode(encoding), None)
    assert detected == encoding
    assert f"only probably {encoding}" in part.doubt
    assert r"a text reads 'tem,title\nZoé0,i0,Café cr' then" in part.doubt
    assert read(write(text.encode(encoding)), detected) == text.encode()


def test_ascii_is_utf_8():
    assert detect(b"user,item\na,b\n", None)[1].evidence == "all bytes at the file's start are ASCII"


def test_few_bytes_that_are_not_utf_8_stay_as_they_are_with_a_warning(write):
    content = TEXT.encode() + b"Jos\xe9,i1,x\n"
    detected, part = detect(content, None)
    assert (detected, "1 bytes at the file's start are not UTF-8" in part.doubt) == ("utf-8", True)
    assert read(write(content), detected) == content


def test_a_character_that_the_sample_cuts_in_two_is_not_held_against_utf_8():
    for n_before in range(SAMPLE_BYTES - 4, SAMPLE_BYTES):
        for character in "é№\U0001f600":
            sample = (b"a,b\n" * SAMPLE_BYTES)[:n_before] + character.encode()
            assert detect(sample[:SAMPLE_BYTES], None)[1].doubt == ""
    assert detect(b"user,item\na,Jos\xe9", None)[0] == "windows-1252"


@pytest.mark.parametrize("encoding", ["windows-1251", "shift_jis", "gb18030", "koi8-r"])
def test_text_of_other_scripts_is_refused_unless_its_encoding_is_set(write, encoding):
    text = "user,item\n" + "".join(
        f"{'книга' if 'k' in encoding or '1251' in encoding else '本日'}{i},b\n" for i in range(99)
    )
    content = text.encode(encoding)
    with pytest.raises(InvalidInput, match=r"^is neither UTF-8 .*Name the right one with --encoding"):
        detect(content, None)
    detected, part = detect(content, encoding)
    assert (part.is_set, part.doubt) == (True, "")
    assert read(write(content), detected) == text.encode()


@pytest.mark.parametrize("encoding", ["cp437", "cp850"])
def test_western_text_of_dos_is_refused_unless_its_encoding_is_set(encoding):
    content = WESTERN.replace("¤", "").encode(encoding)
    with pytest.raises(InvalidInput, match="Name the right one with --encoding"):
        detect(content, None)
    assert detect(content, encoding)[0] == encoding


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(bytes(range(256)) * 9, id="all bytes"),
        pytest.param(random.Random(1).randbytes(9_999), id="random"),  # noqa: S311 (data, not a secret)
        pytest.param(b"".join(i.to_bytes(4, "little") for i in range(9_999)), id="integers of 32 bits"),
        pytest.param(b"".join(i.to_bytes(2, "little") for i in range(9_999)), id="integers of 16 bits"),
        pytest.param(bytes(9_999), id="nothing but NULs"),
    ],
)
def test_binary_data_are_refused(content):
    with pytest.raises(InvalidInput, match=r"^holds binary data, beginning"):
        detect(content, None)


def test_few_lines_with_nuls_are_text():
    assert detect(b"a,b\n" * 9 + b"\0\0\n", None)[0] == "utf-8"


@pytest.mark.parametrize(
    ("content", "asked", "message"),
    [
        pytest.param(TEXT.encode(), "utf-9", "'utf-9' is no encoding of text", id="unknown"),
        pytest.param(TEXT.encode(), "rot13", "'rot13' is no encoding of text", id="no encoding of text"),
        pytest.param(b"a,b\n", "idna", "'idna' is no encoding of text", id="for names of hosts"),
        pytest.param(TEXT.encode(), "utf-16", "not in utf-16-.., as --encoding says", id="UTF-8 as UTF-16"),
        pytest.param(TEXT.encode("utf-16"), "utf-8", "byte order mark of utf-16-le; --encoding utf-8", id="marked"),
        pytest.param(TEXT.encode("utf-8-sig"), "latin-1", "byte order mark of utf-8", id="marked as UTF-8"),
        pytest.param(TEXT.encode("utf-16-le"), "utf-8", "binary data", id="UTF-16 without a mark as UTF-8"),
        pytest.param(TEXT.encode(), "ascii", r"holds b'\\xc3' at byte 25 .*is not ascii", id="more than ASCII"),
    ],
)
def test_an_encoding_that_the_file_contradicts_is_refused(content, asked, message):
    with pytest.raises(InvalidInput, match=message):
        detect(content, asked)


@pytest.mark.parametrize(
    ("encoding", "asked", "name"),
    [
        ("utf-16", "UTF-16", "utf-16-le"),
        ("utf-16-be", "utf16", "utf-16-be"),
        ("utf-8-sig", "utf8", "utf-8"),
        ("latin-1", "ISO-8859-1", "latin-1"),
        ("cp1252", "Windows-1252", "windows-1252"),
    ],
)
def test_an_encoding_is_set_by_any_of_its_names(write, encoding, asked, name):
    content = WESTERN.encode(encoding)
    detected, part = detect(content, asked)
    assert (detected, part.value, part.evidence, part.is_set) == (name, name, "as set", True)
    assert read(write(content), detected) == WESTERN.encode()


def test_a_set_encoding_is_doubted_where_the_file_looks_like_another():
    assert "valid UTF-8" in detect(WESTERN.encode(), "latin-1")[1].doubt
    assert "are not UTF-8" in detect(WESTERN.encode("latin-1"), "utf-8")[1].doubt
    assert detect(b"a,b\n", "latin-1")[1].doubt == ""


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"a" * 300_000 + b"\x81", "windows-1252", r"reviews.csv holds b'\\x81' at byte 300,000"),
        ("é".encode("utf-16-le") * 150_000 + b"\x00\xd8a\0", "utf-16-le", r"at byte 300,000 .*not utf-16-le"),
        ("é".encode("utf-16-le") * 9 + b"a", "utf-16-le", "at byte 18 .*not utf-16-le: it is damaged"),
    ],
)
def test_a_byte_that_is_not_of_the_encoding_is_refused_with_its_place(write, content, encoding, message):
    with pytest.raises(InvalidInput, match=message):
        read(write(content), encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_carriage_returns_end_lines_where_nothing_else_does(write, encoding):
    content = WESTERN.replace("\n", "\r").encode(encoding)
    assert read(write(content), detect(content, None)[0]) == WESTERN.encode()
    with open_text(write(content), detect(content, None)[0]) as stream:
        assert stream.readline() == b"user,item,title\n"


@pytest.mark.parametrize("text", ["a,b\r" * 30 + "a,b\n", "a,b\r" * 30 + 'c,"d\n"\r' * 5])
def test_carriage_returns_end_lines_where_most_are_theirs(write, text):
    assert read(write(text.encode()), "utf-8") == text.encode().replace(b"\r", b"\n")


@pytest.mark.parametrize("text", ["a,b\r\nc,d\r\n", "a,b\nc\r,d\n", "a,b\r"])
def test_other_carriage_returns_stay(write, text):
    assert read(write(text.encode()), "utf-8") == text.encode()
