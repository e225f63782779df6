"""Ids tell the truth: the version of each step follows the code that decides its content, and nothing else."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("evaluation", "flows", "models", "reports", "reviews", "schema", "spark", "storage", "tasks")
STEPS = {
    "reviews": ["tasks.ingest.publish_reviews", "tasks.ingest.read_raw", "tasks.ingest.check_reviews"],
    "dataset": ["tasks.dataset.build_dataset"],
    "split": ["tasks.dataset.split_dataset"],
    "fit knn": ["tasks.fit.fit", "models.item_knn.ItemKnn"],
    "fit als": ["tasks.fit.fit", "models.als.ImplicitAls"],
    "score knn": ["tasks.score.score", "models.item_knn.ItemKnn"],
    "score als": ["tasks.score.score", "models.als.ImplicitAls"],
    "score lists": ["tasks.score.score_lists"],
    "model": ["tasks.model.publish_model"],
    "report": ["tasks.report.publish_training_report", "reports.report.render_report"],
    "recommend als": ["tasks.recommend.recommend_block", "models.als.ImplicitAls"],
    "bundle": ["tasks.bundle.publish_bundle", "models.popularity.Popularity"],
    "promotion": ["tasks.promotion.decide", "reports.promotion.decision_record"],
}
SCRIPT = """
import json, sys
from storage.code_version import version_of
steps = json.loads(sys.argv[1])
symbols = {name: frozenset(tuple(root.rsplit(".", 1)) for root in roots) for name, roots in steps.items()}
print(json.dumps({name: version_of(roots) for name, roots in symbols.items()}))
"""


def versions(root: Path) -> dict[str, str]:
    command = [sys.executable, "-c", SCRIPT, json.dumps(STEPS)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return versions(ROOT)


@pytest.mark.parametrize(
    ("module", "old", "new", "changed"),
    [
        (
            "reviews/checks.py",
            "def run_check(",
            "CHANGED = 1\nCHANGED.bit_count()\n\n\ndef run_check(",
            {"reviews", "dataset", "split", "score lists", "report"},
        ),
        ("spark/kcore.py", 'how="left_anti"', 'how="leftanti"', {"dataset"}),
        ("evaluation/assignment.py", "SMALL_HISTORY = 10", "SMALL_HISTORY = 11", {"split"}),
        (
            "evaluation/significance.py",
            "n_users - 1, 1), 0.975)",
            "n_users - 1, 1), 0.974)",
            {"score knn", "score als", "score lists", "report", "promotion"},
        ),
        ("models/item_knn.py", "np.sqrt(", "1 * np.sqrt(", {"fit knn", "score knn"}),
        (
            "models/top_k.py",
            "SPARE_CANDIDATES = 8",
            "SPARE_CANDIDATES = 9",
            {"fit als", "score als", "recommend als", "bundle"},
        ),
        (
            "schema/string_table.py",
            "_TOP_BITS, _CONTINUATION = 0xC0, 0x80",
            "_TOP_BITS, _CONTINUATION = 0xC0, 0x81",
            {"bundle"},
        ),
        ("reports/drawing.py", "POINTS = 10.5", "POINTS = 10.25", {"report"}),
        ("evaluation/significance.py", '    """Return', '    """Give', set()),
        ("flows/log_lines.py", "SHORT_ID = 8", "SHORT_ID = 9", set()),
        ("tasks/dataset.py", '"k-core pass {}:', '"pass {} of the k-core:', set()),
        ("tasks/options.py", "SelectionOptions(FrozenModel):", "SelectionOptions(FrozenModel):  # by what", set()),
        ("reports/report.css", "color", "colour", set()),
    ],
)
def test_a_change_of_code_changes_the_ids_that_it_decides(
    tmp_path: Path, before: dict[str, str], module: str, old: str, new: str, changed: set[str]
) -> None:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (tmp_path / module).read_text("utf-8")
    assert old in text
    (tmp_path / module).write_text(text.replace(old, new), "utf-8")
    after = versions(tmp_path)
    assert {name for name in STEPS if after[name] != before[name]} == changed
