"""What many tests share: one Prefect server for all, and where the real data sets are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_INTERNAL_LEVEL, temporary_settings

from flows.prefect_server import open_prefect_api

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; tests that ask for it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data sets are not beside the checkout ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of one real Prefect server, on a database of the test run's own, for this process and its children."""
    home = tmp_path_factory.mktemp("prefect")
    before = {name: os.environ.get(name) for name in ("PREFECT_HOME", "PREFECT_API_URL")}
    os.environ["PREFECT_HOME"] = str(home)
    os.environ.pop("PREFECT_API_URL", None)
    try:
        with open_prefect_api() as url:
            os.environ["PREFECT_API_URL"] = url
            with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
                yield url
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
