"""``benchmarks.serving``: what counts as held, what the aims say, and that a small run of it works."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
from servers import need_program

from benchmarks import serving
from benchmarks.harness import Figures
from benchmarks.load import Answers, highest_rates
from benchmarks.measuring import Spread


def answers(milliseconds: float, rate: int = 100, n: int = 1000, n_errors: int = 0) -> Answers:
    """Return the answers of 10 s, all as slow as each other."""
    right = np.arange(n) >= n_errors
    return Answers(np.arange(n) / rate, np.full(n, milliseconds / 1000), right, np.zeros(n, int), [], rate, 10.0)


@dataclass
class Stub:
    """A server that holds up to so many requests a second, and a record of who was asked at which rate."""

    name: str
    limit: int
    tried: list[tuple[str, int]]
    hiccups: list[int] = field(default_factory=list)

    def settle(self) -> None:
        """Have nothing to work off."""

    def attack(self, rate: int, _: float) -> Answers:
        """Answer in 5 ms, in 500 ms beyond the limit, and once so slow at a hiccup that p99 alone shows it."""
        self.tried.append((self.name, rate))
        found = answers(5.0 if rate <= self.limit else 500.0, rate, n=rate * 10)
        if rate in self.hiccups:
            self.hiccups.remove(rate)
            found.seconds[: len(found.seconds) // 10] = 0.5
        return found


def highest(*stubs: Stub) -> dict[str, int]:
    return highest_rates({stub.name: stub for stub in stubs}, 500, 1.0, 50.0, most=4000, n_halvings=2)


def figures(name: str, **values: float) -> Figures:
    return Figures(name, "", {key: Spread(value, value, value) for key, value in values.items()})


@pytest.mark.parametrize(
    ("found", "is_held"),
    [
        (answers(49.0), True),
        (answers(51.0), False),
        (answers(5.0, n_errors=1), False),
        (answers(5.0, n=979), False),  # vegeta could not send them all
    ],
)
def test_a_rate_is_held_if_all_is_sent_and_answered_right_in_time(found, is_held):
    assert found.is_held(most_p99=50.0) is is_held


@pytest.mark.parametrize(
    ("limit", "tried", "found"),
    [
        (1700, [500, 1000, 2000, 1500, 1750], 1500),
        (300, [500, 250, 375, 312], 250),
        (9_000, [500, 1000, 2000, 4000], 4000),  # and no more than the most
    ],
)
def test_highest_rate_is_closed_in_from_both_sides(limit, tried, found):
    stub = Stub("als", limit, [])
    assert highest(stub) == {"als": found}
    assert [rate for _, rate in stub.tried] == tried


def test_services_take_turns_at_each_rate_until_they_are_done():
    tried = []
    assert highest(Stub("als", 9_000, tried), Stub("plain", 600, tried)) == {"als": 4000, "plain": 500}
    assert tried[:6] == [("als", 500), ("plain", 500), ("als", 1000), ("plain", 1000), ("als", 2000), ("plain", 750)]


def test_a_pause_of_the_machine_is_no_limit_of_a_service():
    tried = []
    assert highest(Stub("als", 1700, tried, [500, 1500])) == {"als": 1500}
    assert [rate for _, rate in tried] == [500, 500, 1000, 2000, 1500, 1500, 1750]


def test_each_aim_is_judged():
    ours = figures("als", p99_milliseconds=9.0, errors=0, ready_seconds=4.9, rate_held=1000)
    plain, implicit = figures("plain", rate_held=500), figures("implicit", rate_held=501)
    p99s = {f"p99_{when}_milliseconds": 1.0 for when in ("before", "during", "after")}
    swap = figures("swap", errors=0, swap_seconds=1.0, answers_of_new=0, **p99s)
    outage = figures("outage", errors=1, told_seconds=1.0, recovered_seconds=1.0)
    said = list(serving.verdicts([ours, plain, implicit, swap, outage]))
    assert [line.rpartition(": ")[2] for line in said] == ["met", "met", "met", "NOT met", "NOT met", "NOT met"]


def test_a_small_run_shows_and_writes_the_figures_of_each_part(tmp_path, capsys):
    need_program("vegeta")
    assert serving.main(["--quick", "--only", "als,plain,swap", "--json", str(tmp_path / "rows.json")]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    found = {(row["model"], row["metric"]): row["value"] for row in rows}
    for name in ("als", "plain"):
        assert found[name, "errors"] == 0
        assert found[name, "rate_held"] > 0
        assert 0 < found[name, "p50_milliseconds"] <= found[name, "p99_milliseconds"]
        assert 0 < found[name, "pss_megabytes"] <= found[name, "rss_megabytes"]
    assert found["swap", "errors"] == 0
    assert found["swap", "answers_of_new"] > 0
    assert "swap: 0 errors" in capsys.readouterr().out


@pytest.mark.parametrize("shares", ["80,20", "50,50,50", "a,b,c", "110,-10,0"])
def test_shares_that_are_no_three_parts_of_a_whole_are_refused(shares, capsys):
    with pytest.raises(SystemExit) as ended:
        serving.main(["--shares", shares])
    assert ended.value.code == 2
    assert "sum to 100" in capsys.readouterr().err


def test_an_unknown_part_is_refused_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        serving.main(["--only", "als,fast"])
    assert ended.value.code == 2
    assert "no part 'fast'; there are als, item-knn" in capsys.readouterr().err
