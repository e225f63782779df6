"""Ids of requests and of recommendations."""

import itertools
import secrets
from typing import Final

_PROCESS: Final = secrets.token_hex(8)
_NUMBERS: Final = itertools.count()


def new_id() -> str:
    """Return an id that no process gives twice, in 32 hexadecimal digits: of this process, and a number of its own."""
    return f"{_PROCESS}{next(_NUMBERS):016x}"
