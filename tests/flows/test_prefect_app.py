"""A run's own Prefect server takes what several tasks report at once without asking any of them to come again."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flows.runtime import open_prefect_api


@pytest.fixture
def url(monkeypatch, tmp_path):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with open_prefect_api() as url:
        yield url


def test_what_is_reported_at_once_is_taken_at_once(url):
    def report(number: int) -> list[int]:
        with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
            codes = []
            for turn in range(15):
                made = client.post(
                    "/artifacts/", json={"key": f"progress-{number}-{turn}", "type": "progress", "data": 0}
                )
                changed = client.patch(f"/artifacts/{made.json()['id']}", json={"data": 50})
                gone = client.delete(f"/artifacts/{made.json()['id']}")
                codes += [made.status_code, changed.status_code, gone.status_code]
            return codes

    with ThreadPoolExecutor(4) as threads:
        codes = [code for found in threads.map(report, range(4)) for code in found]
    assert set(codes) == {201, 204}
