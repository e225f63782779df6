"""``benchmarks.growth``: ratios of steps and aims that are judged, what Spark moved, and the chart."""

import pytest

from benchmarks import all as every
from benchmarks import growth, harness
from benchmarks.growth import summarise, summarise_traffic, verdicts
from benchmarks.growth_chart import draw_growth
from benchmarks.measuring import Measurement
from benchmarks.review_file import cached_reviews
from benchmarks.synthetic import Size

TRAFFIC = {
    "written_bytes": 20_000_000,
    "read_bytes": 19_000_000,
    "broadcast_bytes": 5_000_000,
    "result_bytes": 100_000,
    "exchanges": [{"kind": "shuffle", "about": "hashpartitioning(user_key, 8)", "n_rows": 1000, "n_bytes": 18_000}],
}


def measured(seconds, jvm_bytes=0):
    answer = {"id": "a", "step_seconds": seconds, "jvm_bytes": jvm_bytes, "jvm_cpu_seconds": 1.0, "traffic": TRAFFIC}
    return Measurement(seconds + 3, seconds / 2, 0, 500_000_000, answer)


@pytest.mark.parametrize(("few", "many", "n_met"), [(170, 1700, 1), (170, 1360, 0), (170, 17_000, 1)])
def test_ten_times_the_rows_may_take_eleven_times_the_time(few, many, n_met):
    figures = summarise({few: {"split": [measured(2.0)]}, many: {"split": [measured(22.0)]}})
    sentences = list(verdicts(figures))
    assert (len(sentences), sum(one.endswith(": met") for one in sentences)) == (1, n_met)


def test_memory_is_that_of_python_and_of_the_jvm_and_processor_time_that_of_both():
    dataset, split = summarise({170: {"dataset": [measured(4.0, 2_000_000_000)], "split": [measured(4.0)]}})
    assert (dataset.values["peak_megabytes"].value, dataset.values["jvm_megabytes"].value) == (500, 2000)
    assert dataset.values["cpu_seconds"].value == 3
    assert "jvm_megabytes" not in split.values


def test_ratios_of_repetitions_are_a_range_and_what_a_check_looks_at():
    runs = {170: {"als": [measured(1.0), measured(3.0)]}, 1700: {"als": [measured(12.0), measured(24.0)]}}
    figures = summarise(runs)
    assert figures[1].values["ratio_to_before"] == (9.0, 8.0, 12.0)
    assert every.ratios_of("growth", harness.rows_of(figures, {})) == {"growth, 1700 rows, als, ratio_to_before": 9.0}


def test_what_spark_moved_is_by_row_and_by_exchange():
    total, shuffle = summarise_traffic(1_000_000, [measured(1.0), measured(2.0)])
    assert (total.values["shuffled_bytes_per_row"].value, total.values["result_megabytes"].value) == (20, 0.1)
    assert (shuffle.model, shuffle.split) == ("shuffle", "1. hashpartitioning(user_key, 8)")
    assert shuffle.values["bytes_per_row"].value == 18
    assert summarise_traffic(1_000_000, []) == []


def test_the_chart_has_a_line_for_each_step_and_one_in_proportion():
    runs = {n: {"als": [measured(n / 1e5)], "split": [measured(n / 1e6)]} for n in (100_000, 1_000_000)}
    chart = draw_growth(harness.rows_of(summarise(runs), {}))
    assert 'x-axis "rows" ["0.1 M", "1 M"]' in chart
    assert chart.count("    line [") == 3
    assert "line [0.00, 1.00]\n    line [-1.00, 0.00]\n    line [-1.00, 0.00]" in chart
    assert "red als, green split" in chart


def test_there_is_no_chart_of_one_size_or_of_another_benchmark():
    assert draw_growth(harness.rows_of(summarise({170: {"als": [measured(1.0)]}}), {})) == ""
    assert (
        draw_growth([{"metric": "seconds", "model": "ingest", "parameters": {"gzip_megabytes": 2}, "value": 3}]) == ""
    )


def test_files_of_other_catalogues_are_kept_apart(tmp_path):
    for size in (Size(100, 40, 600), Size(100, 60, 600)):
        cached_reviews(size, 1, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("flags", [["--only", "awk"], ["--rows", "0"], ["--rows", "170;1700"]])
def test_unknown_steps_and_sizes_are_refused(flags, capsys):
    try:
        code = growth.main(flags)
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert "expected" in capsys.readouterr().err
