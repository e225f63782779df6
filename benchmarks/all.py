"""Run the benchmarks of speed one after the other, and keep what they print in docs/benchmarks.md.

    python -m benchmarks.all --repetitions 3
    python -m benchmarks.all --only als --check

They need a quiet machine, and with one repetition about an hour. Beside the page, docs/benchmarks.json keeps the
ratios to a contestant of the same run, which say more about the code than seconds, since those are the machine's too.
With --check nothing is written: ratios that are worse than the kept ones by more than a quarter are told, with exit
code 1.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.growth_chart import draw_growth
from benchmarks.measuring import ROOT
from schema.errors import Unavailable

PAGE, KEPT = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.json"
COMMANDS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "ingest": [()],
    "als": [(), ("--rank", "64", "--objective", "implicit")],
    "evaluation": [("--scaling",)],
    "whole_job": [()],
    "growth": [()],
}
OURS = frozenset({"ingest", "reading", "evaluation", "graph", "dataset", "split", "als", "lists", "local"})
HIGHER_IS_WORSE = {
    "ratio_to_gunzip": True,
    "ratio_to_product": True,
    "ratio_to_local": False,
    "ratio_of_dataset": False,
    "ratio_of_job": False,
    "ratio_to_before": True,
}
"""Ratios of the project's own contestants to a floor, and of others to the project's; of a step to fewer rows."""
MOST_WORSE = 1.25
INTRODUCTION = """# Benchmarks

What `make bench` printed on one machine; it writes this page. Seconds are a machine's, ratios compare contestants of
one run, and an aim that is not met says so. `make bench-check` runs all again, and tells which ratios got worse than
those kept in `benchmarks.json`.
"""

Row = Mapping[str, Any]
Ratios = dict[str, float]


def ratios_of(command: str, rows: Iterable[Row]) -> Ratios:
    """Return the ratios that tell of the project's speed, by the command, what was worked on, contestant and metric.

    Example:
        >>> row = {"model": "spark", "split": "implicit", "metric": "ratio_to_local", "k": None, "value": 8.0}
        >>> ratios_of("als", [row, {**row, "metric": "seconds"}])
        {'als, implicit, spark, ratio_to_local': 8.0}
    """
    return {
        ", ".join([command, row["split"] or "", row["model"], row["metric"]]): float(row["value"])
        for row in rows
        if row["metric"] in HIGHER_IS_WORSE and HIGHER_IS_WORSE[row["metric"]] == (row["model"] in OURS)
    }


def find_worse(kept: Ratios, found: Ratios) -> Iterator[str]:
    """Yield a sentence for each ratio that got worse by more than MOST_WORSE.

    Example:
        >>> list(find_worse({"a, , ingest, ratio_to_gunzip": 3.0}, {"a, , ingest, ratio_to_gunzip": 4.0}))
        ['a, , ingest, ratio_to_gunzip: 4.00 where 3.00 is kept']
        >>> list(find_worse({"a, , spark, ratio_to_local": 8.0}, {"a, , spark, ratio_to_local": 7.0}))
        []
    """
    for name, value in found.items():
        if name in kept:
            is_higher_worse = HIGHER_IS_WORSE[name.rsplit(", ", 1)[1]]
            by = value / kept[name] if is_higher_worse else kept[name] / value
            if by > MOST_WORSE:
                yield f"{name}: {value:.2f} where {kept[name]:.2f} is kept"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; return 1 if a check finds one that got worse."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    names = harness.some_of(chosen.only, COMMANDS)
    page, found = read_page(), Ratios()
    for name in names:
        for flags in COMMANDS[name]:
            command = " ".join([name, *flags])
            printed, rows = _measure(name, [*flags, "--repetitions", str(chosen.repetitions)])
            print(printed)
            lines = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
            page[f"python -m benchmarks.{command}"] = f"\n```\n{lines}\n```\n{draw_growth(rows)}"
            found |= ratios_of(command, rows)
    if chosen.check:
        worse = list(find_worse(json.loads(KEPT.read_bytes()), found))
        print("\n".join(worse) or f"None of {len(found)} ratios got worse by more than {MOST_WORSE - 1:.0%}")
        return harness.FAILED if worse else harness.DONE
    PAGE.write_text("\n".join([INTRODUCTION, *(f"## {title}\n{text}" for title, text in page.items())]), "utf-8")
    kept = json.loads(KEPT.read_bytes()) if KEPT.exists() else {}
    KEPT.write_text(json.dumps(kept | found, indent=2, sort_keys=True) + "\n", "utf-8")
    return harness.DONE


def read_page() -> dict[str, str]:
    """Return what the page says under each of its headings, so that what is not run stays."""
    _, *parts = PAGE.read_text("utf-8").split("\n## ") if PAGE.exists() else [""]
    return {title: f"{text.rstrip()}\n" for title, _, text in (part.partition("\n") for part in parts)}


def _measure(name: str, flags: Sequence[str]) -> tuple[str, list[Row]]:
    """Return what a benchmark printed, and its rows."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        path = Path(folder, "rows.json")
        command = [sys.executable, "-m", f"benchmarks.{name}", *flags, "--json", str(path)]
        done = subprocess.run(command, check=False, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise Unavailable(f"'{' '.join(command)}' ended with exit code {done.returncode}; its error is above.")
        return done.stdout, list(json.loads(path.read_bytes())["rows"])


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("all", __doc__)
    parser.add_argument("--only", default=",".join(COMMANDS), help=f"some of them ({','.join(COMMANDS)})")
    parser.add_argument("--repetitions", type=harness.at_least_one, default=3, help="runs of each contestant (3)")
    parser.add_argument("--check", action="store_true", help="compare with the ratios that are kept")
    return parser


if __name__ == "__main__":
    sys.exit(main())
