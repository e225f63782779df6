"""The options of Spark, and the memory that follows from them."""

import os
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from schema.errors import InvalidInput
from schema.options import FrozenModel

GIB = 1024**3
MEMORY = r"^[1-9]\d*[mg]$"
STANDALONE = "spark://"
Repeats = Literal["first", "latest"]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class SparkOptions(FrozenModel):
    """Where Spark runs and how much of the machine, or of the cluster, it takes."""

    spark_master: str = Field("local[*]", description="Spark master: local[N], spark://host:port, yarn or k8s://…")
    spark_driver_memory: str | None = Field(
        None,
        pattern=MEMORY,
        description="heap of the driver's JVM, such as 4g; by default a quarter of the machine, 1g to 8g; "
        "taken at the first session of a process",
    )
    spark_executor_memory: str = Field(
        "1g", pattern=MEMORY, description="heap of each executor on a cluster; a worker needs so much to spare"
    )
    spark_executor_cores: int | None = Field(
        None, ge=1, description="cores of each executor on a cluster; by default all that a worker has"
    )
    spark_max_cores: int | None = Field(
        None,
        ge=1,
        description="cores that a run takes of a standalone cluster at most; by default all, so that a second run "
        "waits for the first",
    )
    spark_shuffle_partitions: int = Field(8, ge=1, description="partitions of a shuffle, at most")
    spark_scratch: str | None = Field(
        None,
        description="URI of a folder for intermediate files that the driver and all executors reach; by default a "
        "hidden folder of the store where that is on S3, else a folder of WORK_DIR on a cluster and a temporary one "
        "on this machine",
    )

    @property
    def is_local(self) -> bool:
        """Whether the driver and its only executor are one process."""
        return self.spark_master.startswith("local")

    @property
    def master_addresses(self) -> list[tuple[str, int]]:
        """Host and port of each master of a standalone cluster; empty for anything else.

        Raises:
            InvalidInput: If one of them is no host and port.
        """
        if not self.spark_master.startswith(STANDALONE):
            return []
        return [self._address(one) for one in self.spark_master.removeprefix(STANDALONE).split(",")]

    @property
    def is_on_this_machine(self) -> bool:
        """Whether all of Spark is on this machine: workers of a master on loopback can be nowhere else."""
        hosts = [host for host, _ in self.master_addresses]
        return self.is_local or (bool(hosts) and all(host in LOOPBACK for host in hosts))

    def _address(self, text: str) -> tuple[str, int]:
        host = text.rpartition(":")[0]
        try:
            number = urlsplit(f"//{text}").port
        except ValueError:
            number = None
        if not host or number is None:
            raise InvalidInput(
                f"SPARK_MASTER is {self.spark_master!r}, in which {text!r} is no host and port; expected "
                "spark://host:7077."
            )
        return host, number


def machine_bytes() -> int:
    """Return the memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_bytes(text: str) -> int:
    """Return the bytes of a memory size in Java's form.

    Example:
        >>> memory_bytes("900m") == 900 * 1024**2, memory_bytes("2g") == 2 * 1024**3
        (True, True)
    """
    return int(text[:-1]) * {"m": GIB // 1024, "g": GIB}[text[-1]]


def driver_memory(options: SparkOptions, machine_bytes: int) -> str:
    """Return the heap of the driver: as set, else a quarter of the machine between 1 and 8 GiB.

    Example:
        >>> driver_memory(SparkOptions(), machine_bytes=24 * 1024**3)
        '6g'
    """
    return options.spark_driver_memory or f"{min(max(machine_bytes // 4 // GIB, 1), 8)}g"


def describe_sizes(options: SparkOptions, machine_bytes: int) -> str:
    """Return a sentence about what Spark takes, for the log.

    Example:
        >>> describe_sizes(SparkOptions(), machine_bytes=24 * 1024**3)
        'Spark local[*]: heap 6g of 24 GiB'
        >>> describe_sizes(SparkOptions(spark_master="spark://host:7077", spark_executor_cores=2), 24 * 1024**3)
        'Spark spark://host:7077: driver heap 6g of 24 GiB; executors of 1g, 2 cores each'
    """
    heap = f"heap {driver_memory(options, machine_bytes)} of {round(machine_bytes / GIB)} GiB"
    if options.is_local:
        return f"Spark {options.spark_master}: {heap}"
    each = f"{options.spark_executor_cores} cores" if options.spark_executor_cores else "all cores of a worker"
    most = f", at most {options.spark_max_cores} cores" if options.spark_max_cores else ""
    executors = f"executors of {options.spark_executor_memory}, {each} each{most}"
    return f"Spark {options.spark_master}: driver {heap}; {executors}"


class CoreOptions(FrozenModel):
    """Which users and items are kept."""

    min_interactions: int = Field(
        5, ge=1, description="interactions that each user and item keeps at least (the k of the k-core)"
    )


class DatasetOptions(CoreOptions):
    """Which reviews become interactions."""

    sample_fraction: float = Field(
        1.0, gt=0, le=1, description="share of users kept, chosen by a seeded hash of the id"
    )
    sample_seed: int = Field(42, description="seed of the sample of users")
    repeats: Repeats = Field(
        "first",
        description="Which of several reviews of one item by one user counts, with its rating and time: first, so that "
        "what is held out is always new to its user, or latest, which suits predicting ratings that people change",
    )
    new_items: Literal["off", "on"] = Field(
        "off",
        description="With on, items that --products describe and that have too few interactions, or none, are part of "
        "the dataset, to be recommended by what they are like.",
    )
