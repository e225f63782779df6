"""Partitions of a file between its reading, its checks and their merging: files that any process may open."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from reviews.checks import CHECKS, FAILURE_SCHEMA, Limits, run_check
from reviews.parse import REJECTED_SCHEMA, Partition
from schema.errors import InvalidInput
from schema.parquet import WriteParquet

PARTITIONS_PER_CHECK = 32
_ROWS_AT_A_TIME = 1_000_000


@dataclass(frozen=True)
class PartitionFile:
    """The files of a partition: n_rows reviews and n_rejected records, out of n_lines, blank ones included.

    Partitions are numbered from 0 in file order. The reviews are an Arrow file, so that each check reads its column
    alone; the rejected records are a Parquet file, which is there only where there are some.
    """

    number: int
    path: Path
    rejected_path: Path
    n_lines: int
    n_blank: int
    n_rows: int
    n_rejected: int

    def columns(self) -> list[str]:
        """Return the names of the columns of the reviews."""
        with pa.memory_map(str(self.path)) as file:
            return list(pa.ipc.open_file(file).schema.names)

    def read(self) -> pa.Table:
        """Return the reviews; each column stays on the disk until it is looked at."""
        return pa.ipc.open_file(pa.memory_map(str(self.path))).read_all()

    def read_rejected(self) -> pa.Table:
        """Return line, reason and text of the rejected records."""
        return pq.read_table(self.rejected_path) if self.n_rejected else REJECTED_SCHEMA.empty_table()


@dataclass(frozen=True)
class CheckFile:
    """The Parquet file with the failures (line, reason) of one check over one partition."""

    number: int
    check: str
    path: Path
    n_failures: int


@dataclass(frozen=True)
class Checked:
    """What one check found in a group of partitions.

    Attributes:
        check: Name of the check.
        files: Failures of the partitions that have some.
    """

    check: str
    files: tuple[CheckFile, ...]


def write_partition(number: int, partition: Partition, folder: Path, write_parquet: WriteParquet) -> PartitionFile:
    """Write a partition into a folder, which is made; a second time, the same bytes take the place of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"partition-{number:05d}.arrow"
    rejected_path = folder / f"partition-{number:05d}.rejected.parquet"
    with pa.ipc.new_file(str(path), partition.reviews.schema) as file:
        file.write_table(partition.reviews)
    if partition.rejected.num_rows:
        write_parquet([partition.rejected], rejected_path, REJECTED_SCHEMA)
    return PartitionFile(
        number=number,
        path=path,
        rejected_path=rejected_path,
        n_lines=partition.n_lines,
        n_blank=partition.n_blank,
        n_rows=partition.reviews.num_rows,
        n_rejected=partition.rejected.num_rows,
    )


def group(partitions: Sequence[PartitionFile]) -> Iterator[Sequence[PartitionFile]]:
    """Yield the partitions that one task checks: as many of them as make a task worth its start."""
    for first in range(0, len(partitions), PARTITIONS_PER_CHECK):
        yield partitions[first : first + PARTITIONS_PER_CHECK]


def _runs(partitions: Sequence[PartitionFile]) -> Iterator[Sequence[PartitionFile]]:
    """Yield consecutive partitions that have few enough rows together that all their values fit into memory."""
    run: list[PartitionFile] = []
    for one in partitions:
        if run and sum(each.n_rows for each in run) + one.n_rows > _ROWS_AT_A_TIME:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def check_partitions(
    partitions: Sequence[PartitionFile], check_name: str, limits: Limits, write_parquet: WriteParquet
) -> Checked:
    """Run one of CHECKS, by its name, over partitions, a few at a time, and write the failures beside each.

    Raises:
        InvalidInput: When there is no check of that name.
    """
    check = next((check for check in CHECKS if check.name == check_name), None)
    if check is None:
        raise InvalidInput(f"no check is named {check_name!r}; there are {[c.name for c in CHECKS]}.")
    files = []
    for some in _runs(partitions):
        found = run_check(check, [one.read() for one in some], limits)
        for partition, failures in zip(some, found, strict=True):
            if failures.num_rows:
                path = partition.path.with_suffix(f".{check_name}.parquet")
                n_failures = write_parquet([failures], path, FAILURE_SCHEMA)
                files.append(CheckFile(partition.number, check_name, path, n_failures))
    return Checked(check_name, tuple(files))
