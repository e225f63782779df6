"""Say of which file an error is, once for all that may be wrong with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schema.errors import InvalidInput


class Unfit(InvalidInput):
    """Why a file is not read, as the rest of a sentence that begins with its name."""


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Put a file's name before the reasons for which it is not read.

    Raises:
        InvalidInput: When it is Unfit.

    Example:
        >>> with about(Path("reviews.csv")):
        ...     raise Unfit("holds nothing.")
        Traceback (most recent call last):
        schema.errors.InvalidInput: reviews.csv holds nothing.
    """
    try:
        yield
    except Unfit as error:
        raise InvalidInput(f"{path} {error}") from None
