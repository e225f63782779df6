import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from damage import DAMAGES
from random_tables import draw_table
from whole_file import ingest_file

from reviews.ingest import REVIEWS
from schema.errors import InvalidInput

N_DAMAGED = int(os.environ.get("DAMAGED", "100"))
FIRST_SEED = int(os.environ.get("FIRST_DAMAGED", "0"))
MOST_SECONDS = 20


@dataclass(frozen=True)
class DamagedTable:
    """A damaged file.

    Attributes:
        path: The file.
        what: What was done to it.
        pairs: Of user and item, as they were written.
        n_others: How many others the damage may make.
        told: What the reader is told.
    """

    path: Path
    what: str
    pairs: set[tuple[str, ...]]
    n_others: int
    told: dict[str, object]


def damage_table(seed: int, folder: Path) -> DamagedTable:
    rng = random.Random(seed)  # noqa: S311 - the same for the same seed
    table = draw_table(1_000_000 + seed, folder)
    kind = rng.choice(tuple(DAMAGES))
    data, n_others = DAMAGES[kind](table.path.read_bytes(), rng)
    if table.dialect.packing == "zstd":  # has no checksum here, so that a byte may be another wherever it is repeated
        n_others = len(table.rows)
    table.path.write_bytes(data)
    told = table.options.model_dump(exclude_none=True)
    pairs = {row[:2] for row in table.rows}
    return DamagedTable(table.path, f"{kind} of {table.dialect}, {told}", pairs, n_others, told)


def outcome(damaged: DamagedTable, folder: Path) -> str:
    """Return "refused", "read" or "put aside", or what is wrong; the reviews go into a folder."""
    try:
        read = ingest_file(damaged.path, folder, **damaged.told, partition_bytes=2_000)
    except InvalidInput as error:
        if (folder / REVIEWS).exists():
            return "half-written"
        return "refused" if len(str(error)) > 20 else f"refused without saying why: {error}"
    others = set(read.reviews[["user_id", "item_id"]].itertuples(index=False, name=None)) - damaged.pairs
    if len(others) > damaged.n_others:
        return f"read {len(others)} of {len(read.reviews)} that were not written: {list(others)[:5]}"
    return "read" if read.quarantine.empty else "put aside"


def test_a_damaged_file_is_refused_with_a_message_or_its_bad_rows_are_put_aside(tmp_path: Path):
    outcomes: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + N_DAMAGED):
        damaged = damage_table(seed, tmp_path)
        started = time.monotonic()
        try:
            found = outcome(damaged, tmp_path / f"out-{seed}")
        except Exception as error:
            raise AssertionError(f"damage {seed}, {damaged.what}: {type(error).__name__} {error}") from error
        assert found in ("refused", "read", "put aside"), f"damage {seed}, {damaged.what}: {found}"
        assert time.monotonic() - started < MOST_SECONDS, f"damage {seed}, {damaged.what}: too slow"
        outcomes[found] += 1
        damaged.path.unlink()
    assert outcomes["read"] + outcomes["put aside"] > 0, outcomes
