"""Write the tables of figures in the README from what the benchmarks kept.

    python -m benchmarks.quality baby.txt.gz --seeds 3 --search --json rows.json
    python -m docs.figures rows.json

keeps the rows that the README shows in ``quality.json``. Ratios of speed are those of ``benchmarks.json``, which
`benchmarks.all` writes. Without a file only the tables are written again.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.published import BY_SIZE, Published
from docs.tables import table
from reports.display import EN_DASH

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
QUALITY, RATIOS = (ROOT / "docs" / name for name in ("quality.json", "benchmarks.json"))
PLACE = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
METRICS = {"Recall@20": ("recall", 20), "NDCG@10": ("ndcg", 10)}
OURS = {"popularity": "popularity", "auto": "**what a training finds here**"}
PUBLISHED = ("LightGCN", "LayerGCN", "FREEDOM", "DANCE")
SPEED = (
    ("raw file to checked reviews", "{:.1f} times the time of unpacking it", "ingest, , ingest, ratio_to_gunzip"),
    (
        "every user ranked on every item, metrics, intervals",
        "{:.1f} times the matrix product alone",
        "evaluation --scaling, test, evaluation, ratio_to_product",
    ),
    (
        "a fit of implicit ALS of rank 64",
        "Spark takes {:.1f} times as long",
        "als --rank 64 --objective implicit, implicit, spark, ratio_to_local",
    ),
    (
        "raw file to dataset",
        "the usual Spark pipeline takes {:.1f} times as long",
        "whole_job, whole job, usual, ratio_of_dataset",
    ),
    (
        "raw file to the best of six models, published",
        "the usual one, without test and lists, {:.1f} times",
        "whole_job, whole job, usual, ratio_of_job",
    ),
)

Row = Mapping[str, Any]


def main(arguments: list[str]) -> None:
    """Keep the rows of a file, where one is named, and write the tables."""
    for path in arguments:
        rows = [row for row in json.loads(Path(path).read_bytes())["rows"] if _is_shown(row)]
        QUALITY.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", "utf-8")
    README.write_text(PLACE.sub(tables(), README.read_text("utf-8")), "utf-8")


def _is_shown(row: Row) -> bool:
    return row["model"] in OURS and (row["metric"], row["k"]) in METRICS.values()


def tables() -> str:
    """Return both tables, as Markdown."""
    rows, ratios = (json.loads(path.read_bytes()) for path in (QUALITY, RATIOS))
    return f"{quality_table(rows)}\n{speed_table(ratios)}"


def quality_table(rows: Iterable[Row]) -> str:
    """Return measured figures, with the least and the greatest of the splits, among published ones, lowest first."""
    found = {(row["model"], (row["metric"], row["k"])): row for row in rows}
    about = next(iter(found.values()))["parameters"]
    lines = [
        (
            found[model, METRICS["Recall@20"]]["value"],
            (name, *(_measured(found[model, one]) for one in METRICS.values())),
        )
        for model, name in OURS.items()
    ]
    published = BY_SIZE[about["users"], about["items"], about["interactions"]]
    lines += [(one.values["recall_20"], _published(one)) for one in published if one.model in PUBLISHED]
    return table(("Amazon Baby, full catalogue", *METRICS), [line for _, line in sorted(lines)])


def _measured(row: Row) -> str:
    value, low, high = (_share(row[name]) for name in ("value", "low", "high"))
    return f"{value} ({low}{EN_DASH}{high})"


def _published(one: Published) -> tuple[str, ...]:
    content = ", with images and texts" if one.uses_content else ""
    return (f"{one.model}, published{content}", *(_share(one.values[f"{name}_{k}"]) for name, k in METRICS.values()))


def _share(value: float) -> str:
    return f"{value:.4f}".removeprefix("0")


def speed_table(ratios: Mapping[str, float]) -> str:
    """Return how many times as long others take."""
    lines = [(what, beside.format(ratios[name])) for what, beside, name in SPEED]
    return table(("1.69 million reviews, two cores", "compared"), lines)


if __name__ == "__main__":
    main(sys.argv[1:])
