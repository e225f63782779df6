"""Arrays in files that can be memory-mapped, and the checks without which their indices may point anywhere."""

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

AGAIN = "Make the artifact again."


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as ``.npy``: little-endian, C order."""
    np.save(path, np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")), allow_pickle=False)


def read_array(path: Path, dtype: type[np.generic], n_dimensions: int = 1) -> NDArray[Any]:
    """Return the array of a file, memory-mapped.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds anything but an array of this type and of so many dimensions.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (
        EOFError,
        SyntaxError,
        TypeError,
        ValueError,
        OverflowError,
        MemoryError,
        RecursionError,
        TokenError,
    ) as error:
        raise ValueError(f"{path.name} is no .npy file: {error}. {AGAIN}") from error
    check_array(path.name, array, dtype, n_dimensions)
    return np.asarray(array)  # without the class of np.memmap, which makes each slice slower


def check_array(name: str, array: NDArray[Any], dtype: type[np.generic], n_dimensions: int = 1) -> None:
    """Check the type and the number of dimensions of an array.

    Raises:
        ValueError: If one of them is another.
    """
    if array.dtype != np.dtype(dtype) or array.ndim != n_dimensions:
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}; expected {np.dtype(dtype)} of {n_dimensions} "
            f"dimension(s). {AGAIN}"
        )


def check_length(name: str, found: int, expected: int, of: str) -> None:
    """Check that an array is as long as others say.

    Raises:
        ValueError: If it is not.
    """
    if found != expected:
        raise ValueError(f"{name} has {found} entries; expected {expected}, one for each of the {of}. {AGAIN}")


def check_indptr(name: str, indptr: NDArray[np.int64], n_rows: int, n_entries: int) -> None:
    """Check that rows begin at 0, end with the last entry and never go back.

    Raises:
        ValueError: If they do not.
    """
    check_length(name, len(indptr), n_rows + 1, "rows and their end")
    if indptr[0] != 0 or indptr[-1] != n_entries or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"{name} runs from {indptr[0]} to {indptr[-1]}; expected 0 to {n_entries}, never falling. {AGAIN}"
        )


def check_bounds(name: str, indices: NDArray[np.integer], n: int, least: int = 0) -> None:
    """Check that indices are from the least to n - 1.

    Raises:
        ValueError: If one is outside.
    """
    if indices.size and (indices.min() < least or indices.max() >= n):
        raise ValueError(
            f"{name} has indices from {indices.min()} to {indices.max()}; expected {least} to {n - 1}. {AGAIN}"
        )


def check_finite(name: str, values: NDArray[np.floating]) -> None:
    """Check that no value is NaN or infinite.

    Raises:
        ValueError: If one is.
    """
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinity; expected finite numbers. {AGAIN}")
