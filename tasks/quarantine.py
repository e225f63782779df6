"""Why rows were put aside: each reason with how many it concerns and one example."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from prefect.artifacts import create_table_artifact

from schema.dataset import QuarantineReason


def count_reasons(quarantine: pa.Table) -> list[QuarantineReason]:
    """Return every reason, the commonest first, with the first line that it concerns.

    Args:
        quarantine: Columns `line` (int), `reason` and `text` (string), one row per line of the raw file.
    """
    reasons = quarantine.group_by("reason", use_threads=False).aggregate([("line", "count"), ("line", "min")])
    found = []
    for reason in sorted(reasons.to_pylist(), key=lambda row: (-row["line_count"], row["reason"])):
        example = quarantine.filter(pc.equal(quarantine["line"], reason["line_min"])).slice(0, 1).to_pylist()[0]
        found.append(QuarantineReason(reason["reason"], reason["line_count"], example["line"], example["text"]))
    return found


def show_reasons(reasons: Sequence[QuarantineReason], n_rows: int) -> None:
    """Make a table artifact of the run at work: reason, rows, share of all rows read, and an example's line.

    Args:
        reasons: Nothing is made where there is none.
        n_rows: Rows read, those that passed and those that did not.
    """
    rows = [
        {
            "reason": row.reason,
            "rows": row.count,
            "share": f"{row.count / max(n_rows, 1):.2%}",
            "example line": row.example_line,
        }
        for row in reasons
    ]
    if rows:
        create_table_artifact(rows, key="quarantine", description=f"Why lines were put aside, of {n_rows:,} rows read")
