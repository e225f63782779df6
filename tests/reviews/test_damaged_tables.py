import os
import random
import time
from collections import Counter
from pathlib import Path

from damage import DAMAGES
from random_tables import draw_table
from whole_file import ingest_file

from reviews.ingest import REVIEWS
from schema.errors import InvalidInput

N_DAMAGED = int(os.environ.get("DAMAGED", "100"))
FIRST_SEED = int(os.environ.get("FIRST_DAMAGED", "0"))
MOST_SECONDS = 20


def damage_table(seed: int, folder: Path) -> tuple[Path, str, set[tuple[str, ...]], dict[str, object]]:
    """Return a damaged file, what was done to it, the pairs that were written and what the reader is told."""
    rng = random.Random(seed)  # noqa: S311 - the same for the same seed
    table = draw_table(1_000_000 + seed, folder)
    kind = rng.choice(tuple(DAMAGES))
    data = table.path.read_bytes()
    table.path.write_bytes(DAMAGES[kind](data, rng))
    told = table.options.model_dump(exclude_none=True)
    return table.path, f"{kind} of {table.dialect}, {told}", {row[:2] for row in table.rows}, told


def outcome(path: Path, folder: Path, pairs: set[tuple[str, ...]] | None, told: dict[str, object]) -> str:
    """Return "refused", "read" or "put aside", or what is wrong.

    Args:
        path: The file.
        folder: Where its reviews go.
        pairs: All that may be read of it but one, which the cut went through; None where it may hold anything.
        told: What the reader is told.
    """
    try:
        read = ingest_file(path, folder, **told, partition_bytes=2_000)
    except InvalidInput as error:
        if (folder / REVIEWS).exists():
            return "half-written"
        return "refused" if len(str(error)) > 20 else f"refused without saying why: {error}"
    others = set(read.reviews[["user_id", "item_id"]].itertuples(index=False, name=None)) - (pairs or set())
    if pairs is not None and len(others) > 1:
        return f"read what was not written: {others}"
    return "read" if read.quarantine.empty else "put aside"


def test_a_damaged_file_is_refused_with_a_message_or_its_bad_rows_are_put_aside(tmp_path: Path):
    outcomes: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + N_DAMAGED):
        path, what, pairs, told = damage_table(seed, tmp_path)
        started = time.monotonic()
        try:
            found = outcome(path, tmp_path / f"out-{seed}", pairs if what.startswith("cut") else None, told)
        except Exception as error:
            raise AssertionError(f"damage {seed}, {what}: {type(error).__name__} {error}") from error
        assert found in ("refused", "read", "put aside"), f"damage {seed}, {what}: {found}"
        assert time.monotonic() - started < MOST_SECONDS, f"damage {seed}, {what}: too slow"
        outcomes[found] += 1
        path.unlink()
    assert outcomes["read"] + outcomes["put aside"] > 0, outcomes
