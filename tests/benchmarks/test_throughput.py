"""``benchmarks.throughput``: its figures and its aims."""

import pytest

from benchmarks.measuring import Measurement
from benchmarks.throughput import summarise, verdicts
from benchmarks.transfers import METHODS, Measurements, make_source
from schema.errors import OutOfSpace


def measured(*seconds: float, megabytes: int = 10) -> Measurements:
    """Measurements in which the store takes the seconds and memory given, and boto3 one second and 40 MB."""
    return {
        (direction, method): [
            Measurement(1.0, 1.0, 0, 40 * 10**6) if method == "boto3" else Measurement(one, one, 0, megabytes * 10**6)
            for one in seconds
        ]
        for direction, methods in METHODS.items()
        for method in methods
    }


def test_medians_ranges_and_ratios_are_those_of_the_repetitions():
    figures = summarise(measured(1.0, 3.0, 2.0), megabytes=6)
    store = next(figure for figure in figures if (figure.split, figure.model) == ("upload", "store"))
    assert store.values == {
        "seconds": (2.0, 1.0, 3.0),
        "megabytes_per_second": (3.0, 2.0, 6.0),
        "ratio_to_boto3": (2.0, 1.0, 3.0),
        "peak_megabytes": (10.0, 10.0, 10.0),
    }


@pytest.mark.parametrize(("seconds", "megabytes", "n_met"), [(1.5, 199, 5), (1.6, 199, 3), (1.5, 200, 2)])
def test_each_aim_is_judged_by_itself(seconds, megabytes, n_met):
    sentences = list(verdicts(summarise(measured(seconds, megabytes=megabytes), megabytes=6)))
    assert (len(sentences), sum(sentence.endswith(": met") for sentence in sentences)) == (5, n_met)


def test_too_small_a_disk_is_said_before_anything_is_written(tmp_path):
    with pytest.raises(OutOfSpace, match="TMPDIR"):
        make_source(tmp_path / "source", 10**12)
    assert list(tmp_path.iterdir()) == []
