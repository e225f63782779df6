"""Which stage of a training a line of its log belongs to."""

import re

# The words of a log line, after the name of the run that says it, in the order of the training.
STAGES = {
    "ingest": r"kept as raw|fetch raw|read raw|reviews/|publish reviews|quarantine|'check|'keep ",
    "dataset": r"k-core|datasets/|build dataset",
    "split": r"split|Split",
    "fit": r"\bfit |fits/|BLAS",
    "score": r"\bscore |scores/",
    "choose": r"choose|Chosen|No ALS model",
    "publish": r"models/|publish model|NDCG|Test split|Sample data",
    "recommend": r"recommend",
    "track": r"track|MLflow|mlflow|Report:|Model:|Recommendations:|experiment",
}


def stage_of(line: str) -> str:
    """Return the stage in which a training said a line; 'start' where it had not come to any.

    Example:
        >>> stage_of("Task run 'build dataset-01c' - k-core pass 1: 80 users")
        'dataset'
        >>> stage_of("Flow run 'train on sample-reviews.json.gz' - MLflow: sqlite:///mlflow.db")
        'track'
        >>> stage_of("")
        'start'
    """
    return next((stage for stage, words in STAGES.items() if re.search(words, line)), "start")
