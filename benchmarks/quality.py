"""Ranking quality of every kind of model on any file, beside published figures where the data are known.

    python -m benchmarks.quality baby.txt.gz --seeds 3
    python -m benchmarks.quality reviews.json.gz --models item-knn,popularity --set knn_neighbours=200 --json rows.json
    python -m benchmarks.quality u.data.gz --seeds 1 --search
    python -m benchmarks.quality FOLDER                     with the files train…, val… and test… of the data's source

The file has lines ``user item item …``, or rows that the pipeline ingests (user, item and, where there are some, rating
and timestamp), gzipped or not. The full catalogue is ranked, and every held-out interaction counts. Protocols:

    random-per-user  the published one: of each user's shuffled interactions a tenth for validation and a tenth for test
                     (one of each where a user has fewer than ten); models are fitted to the training part alone, and
                     its items alone are left out of the lists. The default where there are no timestamps
    leave-last       the last interaction of each user for test, and the one before it for validation; models are fitted
                     to both other parts. The default where there are timestamps, though it lets models know the future
    rolling          the interactions of the last tenth of the rows for test, of the tenth before them for validation,
                     each predicted from what came before its day; figures are means over interactions. Models are
                     fitted to both other parts, and brought up to date within a part as the pipeline does it
    files            what --split-validation-file and --split-test-file name, or the files of a folder; otherwise as
                     random-per-user

--sampled 100 adds the figures that papers on leave-last often have, of the held-out item among sampled ones. They are
there to be compared with papers; which model is better they do not tell. They need lists of the whole catalogue.

The k-core of --min-interactions is of all rows, those of the test part too: the usual way, which flatters where that is
a stretch of time. A training then takes it of the rows before the test part (--split-core).

A kind of model tries its usual candidates, or those that --set asks for; each split chooses among them by NDCG@10 on
its validation part. With --search each split is searched as a training searches it, with the usual budget or that of
--set, such as search_tries=40: the row auto is what a training would choose, and that of a kind the best of it on
validation. Below the table, the choice (its parameters are in what --json writes) is compared with the kind that turned
out best on test, by the differences of the users' NDCG@10: it is within the interval of the best where it is not shown
to be worse.

Figures are means over the splits, with the least and the greatest; for a single split, the 95 % interval over users.
Seconds are of the fit of the candidate that was chosen (Spark's session included; what a search fitted to the same part
is not fitted again), and of the lists of 20 of all users of the test part (of a rolling one, with the fits in its
course); those of a search are of all its fits and lists. Megabytes are the most that this process held at once above
what it held before, and not those of a JVM; the row of a search has none.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from benchmarks import harness
from benchmarks.harness import Figures
from benchmarks.measuring import Spread
from benchmarks.published import BY_SIZE, Published
from reports.display import format_interval, format_metric
from schema.errors import InvalidInput

if TYPE_CHECKING:
    from benchmarks.interaction_files import Numbered
    from benchmarks.trials import Bench, Trial
    from flows.settings import Settings
    from models.registry import Candidate
    from reports.tables import Cell

PUBLISHED_PROTOCOL = "random-per-user"
PROTOCOLS = (PUBLISHED_PROTOCOL, "leave-last", "rolling", "files")
WITHOUT_SEEDS = ("files", "rolling")
QUALITY = {"R@10": "recall_10", "R@20": "recall_20", "N@10": "ndcg_10", "N@20": "ndcg_20"}
SAMPLED = {"HR@10 s": "sampled_hit_rate_10", "N@10 s": "sampled_ndcg_10"}
COSTS = (("Fit s", "fit_seconds", 1), ("Lists s", "rank_seconds", 1), ("Peak MB", "peak_megabytes", 0))
WIDTH, SAMPLED_WIDTH = 130, 30
NOTE = (
    "* learns from images and text too. MMRec: its evaluation tables; other paper: on random splits of its authors'. "
    "Items of\nthe training part alone are left out in all."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table and return 0."""
    return harness.run_command(_parser(), _run, arguments)


def _run(chosen: argparse.Namespace) -> int:
    from benchmarks.competing import choose_candidates, read_settings
    from benchmarks.interaction_files import read_numbered

    with tempfile.TemporaryDirectory(prefix="quality-") as folder:
        data = read_numbered(chosen.path, _held_out_files(chosen), chosen.min_interactions, Path(folder, "read"))
        protocol = _choose_protocol(chosen, data)
        parameters = {
            "protocol": protocol,
            "seeds": 1 if protocol in WITHOUT_SEEDS else chosen.seeds,
            "users": len(data.user_ids),
            "items": len(data.item_ids),
            "interactions": data.rows.num_rows,
            "sampled": chosen.sampled,
            "search": ",".join(chosen.models or ["auto"]) if chosen.search else None,
            "machine": harness.describe_machine(),
        }
        settings = read_settings(dict(chosen.set), chosen.models, is_searched=chosen.search)
        kinds = choose_candidates(data, settings.models, chosen.models, is_searched=chosen.search)
        figures, findings = _measure(data, kinds, settings if chosen.search else None, parameters, Path(folder))
    _show(chosen.path.name, figures, parameters, findings)
    harness.write_rows(chosen.json, harness.rows_of(figures, parameters))
    return harness.DONE


def _held_out_files(chosen: argparse.Namespace) -> tuple[Path, Path] | None:
    files = chosen.split_validation_file, chosen.split_test_file
    if None in files and any(files):
        raise InvalidInput("expected both --split-validation-file and --split-test-file, or neither; found one.")
    return files if all(files) else None


def _choose_protocol(chosen: argparse.Namespace, data: "Numbered") -> str:
    usual = "files" if data.named else "leave-last" if data.has("timestamp") else "random-per-user"
    if chosen.protocol == "files" and not data.named:
        raise InvalidInput("protocol 'files' needs --split-validation-file and --split-test-file, or a folder.")
    if chosen.sampled and (chosen.protocol or usual) != "leave-last":
        raise InvalidInput(
            f"--sampled is for one held-out item of each user: --protocol leave-last, not {chosen.protocol or usual}."
        )
    return str(chosen.protocol or usual)


def _measure(
    data: "Numbered",
    kinds: "Sequence[Sequence[Candidate]]",
    searching: "Settings | None",
    parameters: Mapping[str, Any],
    folder: Path,
) -> tuple[list[Figures], list[str]]:
    """Return the figures of each kind of model, given by its candidates, over all splits, and what searches found."""
    from benchmarks.trials import open_bench
    from flows.log_stream import prepare_process
    from flows.run_options import RunOptions

    prepare_process(RunOptions(log_level="WARNING"))
    rows: list[list[Trial]] = []
    findings: list[str] = []
    with ExitStack() as stack:
        if searching:
            from benchmarks.searching import open_server

            stack.enter_context(open_server(folder / "prefect"))
        for seed in range(parameters["seeds"]):
            split = f"split {seed + 1} of {parameters['seeds']}"

            def open_new(name: str, seed: int = seed) -> "Bench":
                return open_bench(data, parameters["protocol"], seed, folder / f"{name}-{seed}")

            trials, finding = _measure_split(open_new, kinds, searching, parameters["sampled"], split)
            rows.append(trials)
            findings += [f"{split}: {finding}"] if finding else []
    *singles, last = zip(*rows, strict=True)
    return [*map(summarise, singles), summarise(last, parameters["search"])], findings


def _measure_split(
    open_new: "Callable[[str], Bench]",
    kinds: "Sequence[Sequence[Candidate]]",
    searching: "Settings | None",
    n_sampled: int,
    split: str,
) -> "tuple[list[Trial], str]":
    """Return the trial of each kind, and with a search that of what it chose and a sentence about it."""
    if searching:
        from benchmarks.searching import say_searched, search_on

        sys.stderr.write(f"search, {split}\n")
        found = search_on(open_new("search"), searching.models, searching.search, n_sampled)
    bench, trials = open_new("split"), []
    for candidates in kinds:
        sys.stderr.write(f"{candidates[0].model}, {split}\n")
        about = candidates, n_sampled
        trials.append(found.run_kind(bench, *about) if searching else bench.run(*about))
    return ([*trials, found.trial], say_searched(found, trials)) if searching else (trials, "")


def summarise(trials: "Sequence[Trial]", search: str | None = None) -> Figures:
    """Return means over the trials of one kind of model, or of a search, with the least and the greatest: one a split.

    For a single trial the quality has the interval over its users instead. The parameters are those chosen, after a
    search with the model; where splits chose differently, or among another number, a list in their order.
    """
    values = {}
    for name, (_, low, high) in trials[0].values.items():
        if all(name in one.values for one in trials):
            found = [one.values[name].value for one in trials]
            values[name] = Spread(mean(found), *((low, high) if len(trials) == 1 else (min(found), max(found))))
    chosen = [one.candidate.model_dump() if search else dict(one.candidate.parameters) for one in trials]
    about = {"n_candidates": _one_or_all([one.n_candidates for one in trials]), "chosen": _one_or_all(chosen)}
    return Figures(search or trials[0].candidate.model, "test", values, about)


def _one_or_all(values: Sequence[Any]) -> Any:
    """Return the one value that all are, or the list of them."""
    return values[0] if all(one == values[0] for one in values) else list(values)


def _show(name: str, figures: Sequence[Figures], parameters: Mapping[str, Any], findings: Sequence[str]) -> None:
    from reports.tables import TextTable

    size = (parameters["users"], parameters["items"], parameters["interactions"])
    published = BY_SIZE.get(size, ()) if parameters["protocol"] == PUBLISHED_PROTOCOL else ()
    quality = QUALITY | (SAMPLED if parameters["sampled"] else {})
    rows = [*(_row_of(one, quality.values()) for one in figures), *map(_row_of_published, published)]
    headings = ["Model", "Figures", *quality, *(heading for heading, _, _ in COSTS)]
    splits = f"{parameters['seeds']} splits" if parameters["seeds"] > 1 else "one split"
    console = harness.open_console(WIDTH + SAMPLED_WIDTH * (len(quality) > len(QUALITY)))
    console.print(TextTable(headings, rows, n_left=2).to_rich(f"{name}: {parameters['protocol']}, {splits}"))
    for finding in findings:
        console.print(finding, highlight=False)
    if published:
        console.print(NOTE)
    if parameters["sampled"]:
        console.print(f"s: among {parameters['sampled']} sampled items, as papers have it; not to choose a model by")
    console.print("Input: {:,} users, {:,} items, {:,} interactions".format(*size))
    console.print(f"Machine: {parameters['machine']}")


def _row_of(figures: Figures, keys: Collection[str]) -> list["Cell"]:
    found = [figures.values[key] for key in keys]
    quality = [(format_metric(one.value), format_interval(one.low, one.high)) for one in found]
    costs = [(key, digits) for _, key, digits in COSTS]
    shown = [f"{figures.values[key].value:,.{digits}f}" if key in figures.values else "n/a" for key, digits in costs]
    return [figures.model, "measured", *quality, *shown]


def _row_of_published(one: Published) -> list["Cell"]:
    quality = [format_metric(one.values.get(key)) for key in QUALITY.values()]
    return [f"{one.model} *" if one.uses_content else one.model, one.source, *quality, *("" for _ in COSTS)]


def _setting(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, found {text!r}")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = harness.command_parser("quality", __doc__)
    parser.add_argument("path", type=Path, metavar="PATH", help="file of interactions, or folder of train, val, test")
    parser.add_argument("--protocol", choices=PROTOCOLS, help="how to hold out; by default the first that fits")
    sampled = "also rank the held-out item of each user among so many sampled ones, such as 100 (leave-last alone)"
    parser.add_argument("--sampled", type=harness.at_least_one, default=0, metavar="N", help=sampled)
    parser.add_argument("--seeds", type=harness.at_least_one, default=3, help="splits, each with another seed (3)")
    parser.add_argument(
        "--models", type=lambda text: text.split(","), metavar="NAME,…", help="kinds of model to measure"
    )
    search = "also search each split as a training does, for the kinds of --models (auto), and measure what is chosen"
    parser.add_argument("--search", action="store_true", help=search)
    option = "an option of a kind of model, such as als_rank=32,64, or of the search; more than one can be given"
    parser.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help=option)
    parser.add_argument("--min-interactions", type=harness.at_least_one, default=1, help="the k of the k-core (1)")
    for part in ("validation", "test"):
        parser.add_argument(f"--split-{part}-file", type=Path, metavar="PATH", help=f"names the pairs of {part}")
    return parser


if __name__ == "__main__":
    sys.exit(main())
