"""The figures of a benchmark as JSON, in the form in which the project writes metrics."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FIELDS = ("model", "parameters", "split", "metric", "k", "value", "low", "high")


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of model, parameters, split, metric, k, value, low and high; what a row lacks is null."""
    whole = [{name: row.get(name) for name in FIELDS} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"rows": whole}, indent=2) + "\n", "utf-8")
