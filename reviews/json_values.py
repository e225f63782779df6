"""Read the values of a JSON array, or of a sequence of JSON values, whatever lines they stand on."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from reviews.unfit import Unfit

MAX_VALUE_BYTES = 2**24
READ_BYTES = 2**20
_SPACE = re.compile(r"[ \t\r\n]*")
_ON_ONE_LINE = str.maketrans("\r\n", "  ")  # text in JSON holds no line ends


class SpeltNumber(str):
    """A JSON number as it is spelt."""

    __slots__ = ()


DECODER = json.JSONDecoder(parse_int=SpeltNumber, parse_float=SpeltNumber, parse_constant=SpeltNumber)


def read_values(stream: BinaryIO) -> Iterator[str]:
    r"""Yield the text of each value on one line.

    Args:
        stream: UTF-8; other bytes are escaped.

    Raises:
        Unfit: When the file is cut or damaged, or is not JSON to its end.

    Example:
        >>> import io
        >>> list(read_values(io.BytesIO(b'[{"a":\n1}, 2]')))
        ['{"a": 1}', '2']
    """
    cursor = _Cursor(stream)
    is_array, is_first = cursor.take("["), True
    while not (cursor.take("]") if is_array else cursor.is_at_end()):
        if not is_first and not cursor.take(",") and is_array:
            raise cursor.refusal("expected a comma or the end of the array")
        yield cursor.value().translate(_ON_ONE_LINE)
        is_first = False
    if not cursor.is_at_end():
        raise cursor.refusal("expected nothing after the end of the array")


class _Cursor:
    """A place in the text of a stream, of which no more than a value is held at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._text, self._position, self._line, self._is_over = "", 0, 1, False
        self._to_text = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._parse = DECODER.raw_decode

    def is_at_end(self) -> bool:
        """Return whether nothing but white space follows."""
        return self._skip_space() == ""

    def take(self, character: str) -> bool:
        """Go over white space and then over the character, if it is the next; return whether it is."""
        is_next = self._skip_space() == character
        self._position += is_next
        return is_next

    def value(self) -> str:
        """Go over white space and the value after it, and return the value's text."""
        self._skip_space()
        while True:
            start = self._position
            try:
                _, end = self._parse(self._text, start)
            except RecursionError:
                raise self.refusal("JSON nested too deeply") from None
            except json.JSONDecodeError as error:
                if self._is_over or len(self._text) - start > MAX_VALUE_BYTES:
                    raise self.refusal(f"not valid JSON from there on: {error.msg}") from None
            else:
                if end < len(self._text) or self._is_over:
                    self._go_to(end)
                    return self._text[start:end]
            self._fill()

    def refusal(self, reason: str) -> Unfit:
        """Return the error that says where reading ends."""
        where = self._text[self._position : self._position + 40]
        shown = repr(where) if where else "the file ends"
        return Unfit(
            f"is not JSON to its end: in line {self._line}, at {shown}: {reason}. "
            f"Is it cut off? Fetch it again, or write one object per line, which lets broken ones be put aside."
        )

    def _skip_space(self) -> str:
        """Go over white space; return the character after it, or '' at the end."""
        while True:
            space = _SPACE.match(self._text, self._position)
            self._go_to(space.end() if space else self._position)
            if self._position < len(self._text) or self._is_over:
                return self._text[self._position : self._position + 1]
            self._fill()

    def _go_to(self, position: int) -> None:
        self._line += self._text.count("\n", self._position, position)
        self._position = position

    def _fill(self) -> None:
        """Read on, as much again as there is left, so that a long value is tried few times."""
        rest = self._text[self._position :]
        chunk = self._stream.read(max(READ_BYTES, len(rest)))
        self._is_over = not chunk
        self._text, self._position = rest + self._to_text.decode(chunk, final=self._is_over), 0
