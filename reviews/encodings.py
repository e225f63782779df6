"""Find the encoding of a text file by its bytes, and read any as UTF-8."""

import codecs
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from reviews.unfit import Unfit
from reviews.unpacking import EXPECTED, open_unpacked
from schema.errors import InvalidInput
from schema.understood import Part

SAMPLE_BYTES = 2**20
_CHUNK_BYTES = 2**18
_MARKS: Mapping[bytes, str] = {  # UTF-32 first, as UTF-16's mark begins its own
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_NAMES = {"cp1252": "windows-1252", "iso8859-1": "latin-1", "utf-8-sig": "utf-8"}
_NO_FILES = ("idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape")  # for names, or for source code
_HIGH = re.compile(rb"[\x80-\xff]+")
_UTF_8_CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
_CUT_OFF = re.compile(rb"([\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")
_UNDEFINED_IN_WINDOWS_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_OTHER_IN_LATIN_1 = re.compile(rb"[\x80-\x9f]")
_RARE_IN_WESTERN = re.compile(rb"[\x81-\x83\x88\x8d\x8f\x90\x98\x9d]")
_NO_TEXT = re.compile(rb"[\0\x04-\x08\x0e-\x19]")
_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_MIN_PLAIN_SHARE = 0.3  # of characters, for wide encodings without a mark
_MIN_PLAIN_SHARE_IF_SET = 0.03  # line ends and separators at least
_HOW_TO_SET = "Name the right one with --encoding, as utf-8, windows-1252, windows-1251, shift_jis or gb18030."


def detect(sample: bytes, asked: str | None) -> tuple[str, Part]:
    r"""Return the encoding of a text, as Python names it, and the evidence for it.

    A byte order mark decides; else NULs in every other place (UTF-16) or three of four (UTF-32); else UTF-8, where the
    bytes are that, or most of what is not ASCII is. Otherwise single bytes between ASCII letters, as accents are in
    Western text, mean Windows-1252, or Latin-1 if a byte occurs that Windows-1252 lacks; these are only probable.

    Args:
        sample: The first SAMPLE_BYTES, unpacked, or all there are.
        asked: The encoding that was set, by any name that Python knows; None to find it.

    Raises:
        InvalidInput: When the sample is no text, in no encoding that can be told, or not in the encoding asked for.

    Example:
        >>> detect("user,item\nZoé,a\n".encode("utf-16"), None)[0]
        'utf-16-le'
    """
    encoding, evidence, doubt = _found(sample) if asked is None else _as_asked(sample, asked)
    return encoding, Part("encoding", encoding, evidence, "--encoding", is_set=asked is not None, doubt=doubt)


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.BufferedReader]:
    r"""Open the text of a file, packed or not, as UTF-8 without a byte order mark, for reading from the start once.

    In a file of UTF-8, bytes that are not UTF-8 stay as they are. Where carriage returns end lines, as Excel for Mac
    writes them, each becomes "\n": if the first MiB has no line feed, or twice as many lone returns and 20 more.

    Raises:
        InvalidInput: When the file cannot be read, or, while reading, when its packing is damaged or a byte is not of
            the encoding.
    """
    with open_unpacked(path) as stream:
        start = stream.read(SAMPLE_BYTES).decode(encoding, "ignore")
    n_feeds = start.count("\n")
    n_returns = start.removesuffix("\r").count("\r") - start.count("\r\n")
    with open_unpacked(path) as stream:
        text: io.BufferedReader = stream
        if encoding != "utf-8":
            text = io.BufferedReader(_Recoded(stream, encoding, path))
        if text.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
            text.read(len(codecs.BOM_UTF8))
        if n_returns > 2 * n_feeds + 20 * bool(n_feeds):
            text = io.BufferedReader(_ReturnsReplaced(text))
        yield text


class _Recoded(io.RawIOBase):
    """The text of a stream as UTF-8."""

    def __init__(self, stream: io.BufferedReader, encoding: str, path: Path) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._encoding = encoding
        self._path = path
        self._n_read = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = self._stream.read(_CHUNK_BYTES)
            self._rest = memoryview(self._decode(chunk).encode())
            if not chunk:
                break
        n_bytes = min(len(buffer), len(self._rest))
        buffer[:n_bytes] = self._rest[:n_bytes]
        self._rest = self._rest[n_bytes:]
        return n_bytes

    def _decode(self, chunk: bytes) -> str:
        n_before = self._n_read - len(self._decoder.getstate()[0])
        self._n_read += len(chunk)
        try:
            return self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{self._path} {_undecodable(self._encoding, error, n_before)}") from None


class _ReturnsReplaced(io.RawIOBase):
    """A stream with a line feed for each carriage return."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _as_asked(sample: bytes, asked: str) -> tuple[str, str, str]:
    """Return the encoding that is set, the evidence, and what speaks against it."""
    encoding = _named(asked)
    marked = _marked(sample)
    if encoding in ("utf-16", "utf-32"):
        family = [one for one in _WIDE if one.startswith(encoding)]
        encoding = marked if marked in family else max(family, key=lambda one: _plain_share(sample, one))
    if marked and marked != encoding:
        raise Unfit(f"begins with the byte order mark of {marked}; --encoding {asked} contradicts it. Leave that out.")
    if encoding in _WIDE and _plain_share(sample, encoding) < _MIN_PLAIN_SHARE_IF_SET:
        raise Unfit(f"is not in {encoding}, as --encoding says: read so, it has no line ends and no separators.")
    if encoding == "utf-8":
        _require_text(sample)
        return encoding, "as set", _doubt_of_utf_8(_n_not_utf_8(sample))
    text = _decoded(sample, encoding)
    _require_text(text.encode("utf-8", "replace"))
    if encoding in _WIDE or sample.isascii() or _n_not_utf_8(sample):
        return encoding, "as set", ""
    return encoding, "as set", f"--encoding {asked} is set, but the file's start is valid UTF-8 beyond ASCII as well."


def _named(asked: str) -> str:
    try:
        name = codecs.lookup(asked).name
        "".encode(asked)  # refused where it encodes something else than text, as rot13 and hex
    except (LookupError, ValueError):
        name = ""
    if not name or name in _NO_FILES:
        raise InvalidInput(f"--encoding {asked!r} is no encoding of text that Python knows. {_HOW_TO_SET}")
    return _NAMES.get(name, name)


def _found(sample: bytes) -> tuple[str, str, str]:
    """Return the encoding, the evidence, and what is only probable about it."""
    encoding = _marked(sample)
    evidence = f"the file begins with the byte order mark of {encoding}"
    if not encoding and b"\0" in sample:
        shares = {one: _plain_share(sample, one) for one in _WIDE}
        likeliest = max(_WIDE, key=shares.__getitem__)
        encoding = likeliest if shares[likeliest] >= _MIN_PLAIN_SHARE else ""
        evidence = f"NULs stand as {likeliest} has them; {shares[likeliest]:.0%} of its characters are ASCII"
    if encoding in _WIDE:
        _require_text(_decoded(sample, encoding).encode("utf-8", "replace"))
        return encoding, evidence, ""
    _require_text(sample)
    n_characters, n_bad = len(_UTF_8_CHARACTER.findall(sample)), _n_not_utf_8(sample)
    if not encoding and n_bad > n_characters:
        return _of_single_bytes(sample, n_bad)
    if not encoding:
        evidence = f"{n_characters:,} characters at the file's start are not ASCII; all are UTF-8"
        if sample.isascii():
            evidence = "all bytes at the file's start are ASCII"
        elif n_bad:
            evidence = (
                f"{n_characters:,} characters at the file's start are not ASCII but UTF-8; {n_bad:,} bytes neither"
            )
    return "utf-8", evidence, _doubt_of_utf_8(n_bad)


def _marked(sample: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS.items() if sample.startswith(mark)), "")


def _doubt_of_utf_8(n_bad: int) -> str:
    if not n_bad:
        return ""
    return f"{n_bad:,} bytes at the file's start are not UTF-8. They stay as they are; ids that have such are refused."


def _of_single_bytes(sample: bytes, n_bad: int) -> tuple[str, str, str]:
    runs = list(_HIGH.finditer(sample))
    n_single = sum(len(run[0]) == 1 for run in runs)
    n_rare = len(_RARE_IN_WESTERN.findall(sample))
    if n_single * 2 <= len(runs) or n_rare * 10 > sum(len(run[0]) for run in runs):
        run = max(runs, key=lambda one: len(one[0]))
        raise Unfit(
            f"is neither UTF-8 ({n_bad:,} bytes at its start are not) nor like Western text, of single accents: "
            f"it has {run[0][:12]!r} at byte {run.start():,}. {_HOW_TO_SET}"
        )
    undefined = _UNDEFINED_IN_WINDOWS_1252.search(sample)
    encoding = "latin-1" if undefined else "windows-1252"
    evidence = f"{n_bad:,} bytes at the file's start are not UTF-8; they stand singly, as Western accents do"
    if undefined:
        evidence += f"; byte {undefined[0].hex().upper()} is none of windows-1252"
    elif not _OTHER_IN_LATIN_1.search(sample):
        evidence += "; latin-1 gives the same text"
    shown = sample[max(0, runs[0].start() - 12) : runs[0].end() + 12].decode(encoding)
    return encoding, evidence, f"The encoding is only probably {encoding}: a text reads {shown!r} then. {_HOW_TO_SET}"


def _decoded(sample: bytes, encoding: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError as error:
        raise Unfit(_undecodable(encoding, error, 0)) from None


def _undecodable(encoding: str, error: UnicodeDecodeError, n_before: int) -> str:
    found = error.object[error.start : error.end][:8]
    return (
        f"holds {found!r} at byte {n_before + error.start:,} (unpacked), which is not {encoding}: it is damaged, or in "
        f"another encoding. {_HOW_TO_SET}"
    )


def _plain_share(sample: bytes, encoding: str) -> float:
    """Return the share of a text's characters that are printable ASCII, tabs or line ends; 0 if it does not decode."""
    try:
        text = _decoded(sample, encoding)
    except Unfit:
        return 0.0
    ascii_only = text.encode("ascii", "ignore")
    return (len(ascii_only) - len(ascii_only.translate(None, _PLAIN))) / max(len(text), 1)


def _n_not_utf_8(sample: bytes) -> int:
    """Return how many bytes beyond ASCII belong to no character of UTF-8."""
    whole = sample if len(sample) < SAMPLE_BYTES else sample[:-3] + _CUT_OFF.sub(b"", sample[-3:])
    return sum(map(len, _HIGH.findall(_UTF_8_CHARACTER.sub(b" ", whole))))


def _require_text(text: bytes) -> None:
    """Refuse what has control characters that no text has in most of its lines, or as every tenth byte."""
    n_in_lines = [len(_NO_TEXT.findall(line)) for line in text.splitlines() if line.strip()]
    if sum(map(bool, n_in_lines)) * 2 > len(n_in_lines) or sum(n_in_lines) * 10 > len(text):
        raise Unfit(f"holds binary data, beginning {text[:8]!r}; {EXPECTED}. Convert it first.")
