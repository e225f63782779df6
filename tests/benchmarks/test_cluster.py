"""``benchmarks.cluster``: bytes that differ fail it, and what Spark moved is shown beside the seconds."""

import pytest

from benchmarks import cluster
from benchmarks.measuring import Measurement


def measured(seconds):
    traffic = {"written_bytes": 7_000_000, "read_bytes": 7_100_000, "broadcast_bytes": 1, "result_bytes": 2}
    return Measurement(seconds, 1.0, 0, 1, {"step_seconds": seconds, "traffic": {**traffic, "exchanges": []}})


@pytest.mark.parametrize(("differences", "code"), [((), 0), (("datasets/a/user_map.parquet differs",), 1)])
def test_objects_that_differ_are_named_and_fail_it(monkeypatch, capsys, differences, code):
    figures = cluster.summarise("cluster", 170, [dict.fromkeys(cluster.STEPS, measured(3.0))])
    monkeypatch.setattr(cluster, "measure", lambda *_: ([figures], differences))
    assert cluster.main(["--rows", "170"]) == code
    said = capsys.readouterr().out
    assert f"170 rows: {len(differences)} objects differ" in said
    assert all(one in said for one in differences)
    assert "7.1" in said
