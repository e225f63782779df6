"""Fixtures for the evaluation: one report's input, small enough to check by eye, with hostile text in it."""

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pytest

from evaluation import report
from evaluation.rows import MetricRow


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
    return [report.ScoredModel(n, p, measure(v, e, ks), is_baseline=True) for n, p, v, e in named]


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


def make_interactions() -> pa.Table:
    users = [user for user in range(40) for _ in range(5 + user * user // 40)]
    items = [(position * position) % (1 + position % 90) for position in range(len(users))]
    stamps = [1_300_000_000 + position * 86_400 * 2 for position in range(len(users))]
    ratings = [(5, 5, 4, 5, 3, 1, 4, 5, 2, 5)[position % 10] for position in range(len(users))]
    return pa.table(
        {
            "user_idx": pa.array(users, pa.int32()),
            "item_idx": pa.array(items, pa.int32()),
            "rating": pa.array(ratings, pa.float32()),
            "timestamp": pa.array(stamps, pa.int64()),
        }
    )


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
        is_sample_data=True,
        source=report.Source("sample-reviews.json.gz", "9f" * 32, 1_340_000),
        ids=report.ArtifactIds("9f" * 8, "a1" * 8, "b2" * 8, "c3" * 8, "d4" * 8),
        funnel=report.Funnel(70_140, 3, 137, 70_000, 70_000, 701, 61_204, 2_871, 1_420, 5),
        quarantine=[
            report.QuarantineReason("rating outside 1 to 5", 96, 1_204, '{"reviewerID": "A1", "overall": 11}'),
            report.QuarantineReason("not JSON", 41, 88, "<script>alert('</td>')</script>\x1b[31m" + "x" * 400),
        ],
        passes=[report.CorePass(1, 2_950, 1_431, 61_900), report.CorePass(2, 2_871, 1_420, 61_204)],
        split=report.SplitSummary(
            "Leave-last: each user's last interaction is the test, the one before it the validation.",
            [
                report.SplitPart("train", 55_462, 2_871, 1_420),
                report.SplitPart("validation", 2_871, 2_871, 901),
                report.SplitPart("test", 2_871, 2_871, 877),
            ],
            n_cold_items=2,
        ),
        candidates=make_candidates(),
        test=[test, *make_baselines((5, 10, 20))],
        distributions=report.summarise_interactions(make_interactions()),
        examples=make_examples(),
        notes=["The half-life of recent popularity was not searched."],
    )


@pytest.fixture
def report_input() -> report.ReportInput:
    return make_report()
