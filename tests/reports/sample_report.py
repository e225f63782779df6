"""The input of a report, small enough to check by eye, with hostile text in it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from evaluation.list_change import count_changes, find_change
from reports import report_input as report
from reports.data_summary import summarise_interactions
from reports.reading import FileSummary
from reports.split_notes import say_core
from schema.dataset import DatasetCounts, KCorePass, QuarantinedRow, QuarantineReason, ReviewCounts
from schema.metric import CalibrationBin, HistogramBin, Metric, MetricRow, SegmentScore
from schema.understood import Loss, Part, Reading, Understood
from schema.verdicts import (
    ORACLE,
    POPULAR,
    RANDOM,
    WEAK_ORACLE,
    Comparison,
    Finding,
    Flaw,
    Guard,
    Lead,
    MetricTrial,
    Yardstick,
)

ROLES = {"Popularity": "popular", "Random": "chance"}


def measure(ndcg: float, rmse: float | None, ks: Sequence[int] = (10,), half_width: float = 0.0042) -> list[MetricRow]:
    factors = {"ndcg": 1.0, "recall": 1.9, "hit_rate": 1.9, "mrr": 0.7}
    rows = [
        make_row(metric, k, ndcg * factor * (1 + 0.2 * place), half_width)
        for place, k in enumerate(ks)
        for metric, factor in factors.items()
    ]
    return rows if rmse is None else [*rows, make_row("rmse", None, rmse, 0.01)]


def make_row(metric: str, k: int | None, value: float, half_width: float) -> MetricRow:
    low, high = max(value - half_width, 0.0), value + half_width
    return MetricRow("any", {}, "any", metric, k, value, low, high, n_users=2871)


def make_candidates() -> list[report.ScoredModel]:
    grid = [(rank, reg, 0.0712 + rank / 4000 - abs(reg - 1) / 60) for rank in (32, 64) for reg in (0.1, 1.0, 3.0)]
    searched = [
        report.ScoredModel(
            f"ALS implicit, rank {rank}, reg {reg:g}",
            {"rank": rank, "reg": reg, "alpha": 10.0, "maxiter": 10},
            measure(value, None),
            is_chosen=(rank, reg) == (64, 1.0),
        )
        for rank, reg, value in grid
    ]
    explicit = report.ScoredModel("ALS explicit, rank 32, reg 0.1", {"rank": 32, "reg": 0.1}, measure(0.0031, 1.182))
    return [*searched, explicit, *make_baselines((10,))]


def make_baselines(ks: Sequence[int]) -> list[report.ScoredModel]:
    named: list[tuple[str, dict[str, object], float, float | None]] = [
        ("Popularity", {}, 0.0331, None),
        ("Recent popularity", {"half_life_days": 90}, 0.0378, None),
        ("User and item bias", {"damping": 5}, 0.0052, 0.982),
        ("Random", {"seed": 42}, 0.0029, None),
    ]
    return [report.ScoredModel(n, p, measure(v, e, ks), is_baseline=True, role=ROLES.get(n)) for n, p, v, e in named]


def make_examples() -> list[report.ExampleUser]:
    history = [
        report.HistoryEntry("Nordlys USB-C hub, 7 ports", 5.0, date(2014, 3, 9)),
        report.HistoryEntry("Fjell over-ear headphones, closed back, 80 Ω", 4.0, date(2013, 12, 30)),
        report.HistoryEntry("Brig & Son HDMI cable, 2 m", 2.0, date(2013, 11, 2)),
    ]
    titles = [f"Nordlys {thing}" for thing in ("charger", "dock", "webcam", "keyboard", "mouse", "lamp", "stand")]
    listed = [report.RecommendedItem(n, title, 1.2 - n / 10, n == 3) for n, title in enumerate(titles, start=1)]
    hostile = report.ExampleUser(
        "A\u202e<script>document.title='owned'</script>",
        [report.HistoryEntry("<img src=http://evil.example/x.png onerror=alert(1)>")],
        ['" onload="alert(1)'],
        [report.RecommendedItem(1, "👩‍💻 {{ 7 * 7 }} </style><b>", 0.1)],
    )
    return [report.ExampleUser("A2SUAM1J3GNN3B", history, [titles[2], "Kestrel tripod"], listed), hostile]


def table(
    users: Sequence[int], items: Sequence[int], ratings: Sequence[float | None], times: Sequence[int | None]
) -> pa.Table:
    """Return interactions."""
    columns = {"user_idx": users, "item_idx": items, "rating": ratings, "timestamp": times}
    types = (pa.int32(), pa.int32(), pa.float32(), pa.int64())
    return pa.table({name: pa.array(values, kind) for (name, values), kind in zip(columns.items(), types, strict=True)})


def make_interactions() -> pa.Table:
    users = [user for user in range(40) for _ in range(5 + user * user // 40)]
    places = range(len(users))
    ratings = [(5, 5, 4, 5, 3, 1, 4, 5, 2, 5)[place % 10] for place in places]
    return table(users, [place**2 % (1 + place % 90) for place in places], ratings,
                 [1_300_000_000 + place * 86_400 * 2 for place in places])  # fmt: skip


def make_report() -> report.ReportInput:
    """A run on sample data: six searched models, an explicit one and four baselines; text that attacks."""
    test = report.ScoredModel(
        "ALS implicit, rank 64, reg 1",
        {"rank": 64, "reg": 1.0, "alpha": 10.0, "maxiter": 10},
        measure(0.0841, None, (5, 10, 20)),
        is_chosen=True,
    )
    return report.ReportInput(
        title="Training report: sample-reviews",
        ids={"Raw": "9f" * 8, "Reviews": "a1" * 8, "Dataset": "b2" * 8, "Split": "c3" * 8, "Model": "d4" * 8},
        data=make_data(),
        test=[test, *make_baselines((5, 10, 20))],
        candidates=make_candidates(),
        examples=make_examples(),
    )


def make_data() -> report.DataSummary:
    return report.DataSummary(
        is_sample_data=True,
        source=report.Source("sample-reviews.json.gz", "9f" * 32, 1_340_000),
        reviews=ReviewCounts(
            70_140, n_blank=3, n_reviews=70_000, n_quarantined=137, has_ratings=True, has_timestamps=True,
            n_distinct_ratings=5,
        ),
        dataset=DatasetCounts(
            70_000, n_sampled=70_000, n_duplicates=701, n_interactions=61_204, n_users=2_871, n_items=1_420,
            passes=(KCorePass(1, 2_950, 1_431, 61_900), KCorePass(2, 2_871, 1_420, 61_204)),
        ),
        min_interactions=5,
        file=FileSummary(reasons=[
            QuarantineReason("rating outside 1 to 5", 96, 1_204, '{"reviewerID": "A1", "overall": 11}'),
            QuarantineReason("not JSON", 41, 88, "<script>alert('</td>')</script>\x1b[31m" + "x" * 400),
        ]),
        split=report.SplitSummary(
            "Leave-last: each user's last interaction is the test, the one before it the validation.",
            [
                report.SplitPart("train", 55_462, 2_871, 1_420),
                report.SplitPart("validation", 2_871, 2_871, 901),
                report.SplitPart("test", 2_871, 2_871, 877),
            ],
            n_cold_items=2,
            core=say_core(5, "before-test", 219),
        ),
        distributions=summarise_interactions(make_interactions()),
        notes=["The half-life of recent popularity was not searched."],
    )  # fmt: skip


def make_file() -> FileSummary:
    part = Part("delimiter", "semicolon", "1,000 of 1,000 rows have 4 cells", "--delimiter")
    warnings = ("700 of 1,132 ratings are 0, which in many files means 'not rated'.",)
    understood = Understood((part,), warnings, [{"user": "u1", "item": "0528881469"}])
    loss = Loss("item", 2, ("B00004", "B00005"), 31, "expected 4 columns, found 5")
    reasons = [QuarantineReason("expected 4 columns, found 5", 31, 7, 'u1;B00004;5;"24;')]
    rows = [QuarantinedRow(7, "expected 4 columns, found 5", 'u1;B00004;5;"24;')]
    return FileSummary(1_132, Reading(understood, (loss,)), reasons, rows)


SHOWN_OF_FILE = (
    "How the file was understood",
    "1,000 of 1,000 rows have 4 cells",
    "700 of 1,132 ratings are 0",
    "0528881469",
    "2 items are gone as a whole: B00004, B00005 (31 rows): expected 4 columns, found 5",
    'u1;B00004;5;"24;',
)


def with_data(base: report.ReportInput, **changes: Any) -> report.ReportInput:
    """Return a report with other fields of its data."""
    return replace(base, data=replace(base.data, **changes))


def with_evidence(base: report.ReportInput, **changes: Any) -> report.ReportInput:
    """Return a report with other fields of its evidence."""
    return replace(base, evidence=replace(base.evidence, **changes))


CHOSEN = "ALS implicit, rank 64, reg 1"
LISTS = {  # coverage, Gini index, mean popularity, novelty in bits, diversity, personalisation
    CHOSEN: (0.412, 0.83, 301.25, 8.1, 0.71, 0.88),
    "Popularity": (0.0141, 0.99, 1204.5, 5.2, 0.62, 0.04),
    "Recent popularity": (0.0148, 0.99, 988.5, 5.4, 0.61, 0.05),
    "User and item bias": (0.0162, 0.98, 12.5, 11.9, 0.93, 0.03),
    "Random": (1.0, 0.14, 43.5, 10.9, 0.99, 0.99),
    "Item-item <kNN>": (0.655, 0.71, 166.25, 9.0, 0.44, 0.95),
}
SEGMENTS = {
    "item popularity": ("head", "torso", "tail", "cold"),
    "activity": ("light", "heavy"),
    "age": ("old", "new"),
    "history": ("warm", "cold: no training row"),
}


def describe_lists(model: report.ScoredModel) -> report.ScoredModel:
    names = ("coverage", "gini", "popularity", "novelty", "diversity", "personalisation")
    rows = [make_row(name, 10, value, 0.0) for name, value in zip(names, LISTS[model.label], strict=True)]
    return replace(model, metrics=[*model.metrics, *rows])


def make_comparisons() -> list[Comparison]:
    found = [
        ("Popularity", 0.0612, 0.0561, 0.0663, 2e-9),
        ("Recent popularity", 0.0555, 0.0502, 0.0608, 2e-9),
        ("User and item bias", 0.0947, 0.0893, 0.1001, 2e-9),
        ("Random", 0.0974, 0.0922, 0.1026, 2e-9),
        ("Item-item <kNN>", 0.0016, -0.0021, 0.0053, 0.384),
    ]
    return [
        Comparison(CHOSEN, against, Metric("ndcg", 10), mean, low, high, p_value, p_value, n_users=2871)
        for against, mean, low, high, p_value in found
    ]


def make_trial(metric: Metric, values: Sequence[float], flaw: Flaw | None = None) -> MetricTrial:
    random, popularity, oracle = values
    named = {RANDOM: random, POPULAR: popularity, WEAK_ORACLE: 0.9 * random + 0.1 * oracle, ORACLE: oracle}
    yardsticks = tuple(
        Yardstick(name, value, max(value - 0.004, 0), min(value + 0.004, 1)) for name, value in named.items()
    )
    shown = Comparison("oracle", "popularity", metric, 0.9, 0.8, 1.0, 1e-9, 1e-9, n_users=2871)
    return MetricTrial(metric, yardsticks, (shown, shown), shown, flaw)


def make_guard() -> Guard:
    trials = [
        make_trial(Metric("ndcg", 10), (0.0029, 0.0397, 0.9812)),
        make_trial(Metric("held_out_only_precision", 10), (0.9712, 0.9731, 0.98), "chance gets too much"),
        make_trial(Metric("map", 10), (0.0017, 0.0131, 0.97)),
    ]
    return Guard(trials[0], tuple(trials[1:]))


def make_segments(scale: float) -> list[SegmentScore]:
    named = [(group, segment) for group, segments in SEGMENTS.items() for segment in segments]
    return [
        SegmentScore(group, segment, Metric(metric, 10), value, value * 0.9, value * 1.12, 120 + 311 * place)
        for place, (group, segment) in enumerate(named)
        for metric, value in (("ndcg", scale * (1 + place % 4) / 3), ("recall", scale * (2 + place % 4) / 3))
    ]


def make_windows() -> list[report.WindowScores]:
    labels = ("2013-07 to 2013-09", "2013-10 to 2013-12", "2014-01 to 2014-03", "2014-04 to 2014-06")
    models = {CHOSEN: 0.0841, "Popularity": 0.0331, "Recent popularity": 0.0358, "Item-item <kNN>": 0.0812}
    return [
        report.WindowScores(
            label,
            [
                report.ScoredModel(name, {}, measure(value - 0.004 * place, None), name != CHOSEN, name == CHOSEN)
                for name, value in models.items()
            ],
        )
        for place, label in enumerate(labels)
    ]


def make_original() -> list[report.ScoredModel]:
    names = ("held_out_only_ndcg_10", "held_out_only_precision_10", "rmse", "ndcg_10", "precision_10")
    found = {
        CHOSEN: (0.9801, 0.9745, 1.312, 0.1009, 0.0214),
        "Random": (0.9712, 0.9721, 1.711, 0.0029, 0.0006),
        "User and item bias": (0.9799, 0.9750, 0.982, 0.0062, 0.0011),
    }
    measured = {
        label: [make_row(*Metric.parse(name), value, 0.002) for name, value in zip(names, values, strict=True)]
        for label, values in found.items()
    }
    return [
        report.ScoredModel(label, {}, rows, label != CHOSEN, label == CHOSEN, ROLES.get(label))
        for label, rows in measured.items()
    ]


def make_findings() -> list[Finding]:
    return [
        Finding("cold users", False, {"n_found": 0, "n_all": 2871}),
        Finding("time travel", True, {"n_same_user": 96, "n_found": 96, "n_together": 0, "n_all": 2871}),
        Finding("copy of popularity", False, {"model": "ALS <i>", "overlap": 0.2}),
    ]


def make_full_report() -> report.ReportInput:
    """The same run with all the evidence there can be, hostile text in it too."""
    base = make_report()
    knn = report.ScoredModel(
        "Item-item <kNN>", {"n_neighbours": 50}, measure(0.0826, None, (5, 10, 20)), is_baseline=True
    )
    return replace(
        base,
        test=[describe_lists(model) for model in [*base.test, knn]],
        ids={**base.ids, "Scores of validation": "e5" * 8, "Scores of test": "f6" * 8, "Fit": "a7" * 8},
        evidence=make_evidence(),
        guard=make_guard(),
        lead=Lead(CHOSEN, "ALS implicit, rank 32, reg 1", 0.008, "Item-item <kNN>", 0.003, 0.0021, 11, 2754),
        curve=[(step, make_row("ndcg", 10, 0.09 - 0.07 / step, 0.004)) for step in range(1, 11)],
        windows=make_windows(),
        original=make_original(),
        sampled_users=2871,
        validation_users=2754,
    )  # fmt: skip


def make_beside() -> report.BesideChampion:
    rows = np.arange(2871 * 2).reshape(-1, 2)
    others = np.where(np.arange(2871)[:, None] < 1910, rows[:, ::-1], rows)
    was, becomes = np.full(2871, 0.4), np.repeat([0.0, 0.4, 0.9], [252, 2100, 519])
    change = find_change(rows, others, 2, was, becomes, "ndcg_10")
    return report.BesideChampion("a1" * 8, "als, rank 32 <b>", change, count_changes(becomes - was))


def make_evidence() -> report.Evidence:
    edges = [(0.0, 0.0), (0.0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0)]
    n_users = (2411, 12, 190, 131, 71, 56)
    return report.Evidence(
        comparisons=make_comparisons(),
        findings=make_findings(),
        segments={CHOSEN: make_segments(0.09), "Item-item <kNN>": make_segments(0.08), "Random": make_segments(0.003)},
        ndcg_histogram=[HistogramBin(*ends, n) for ends, n in zip(edges, n_users, strict=True)],
        calibration=[
            CalibrationBin(2 + n / 4, 2.25 + n / 4, 400 * (n + 1), 2.1 + n / 4, 2.6 + n / 5) for n in range(12)
        ],
        calibration_label="User and item bias",
        beside=make_beside(),
    )
