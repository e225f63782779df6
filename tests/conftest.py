"""What many tests share: one Prefect server for all, and where the real data sets are."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright
from prefect.settings import PREFECT_API_URL, PREFECT_LOGGING_INTERNAL_LEVEL, temporary_settings
from servers import Proxy, RefusingProxy, add_proxy, need_program, open_refusing_proxy, open_toxiproxy, open_versitygw

from deployments.s3_server import S3Server, open_minio
from docs.pictures import CHROMIUM, CHROMIUM_ARGUMENTS
from flows.runtime import open_prefect_api
from schema.proxies import keep_loopback_direct
from spark.options import GIB, machine_bytes

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
# --doctest-modules would import the first all under one name, and the second adds a kind of model
collect_ignore_glob = ["*conftest.py", "*added_kind.py"]
BYTES_PER_TEST_PROCESS = 6 * GIB  # a training, with its JVM, beside the servers of the process's own
# Files that take minutes: begun first, they leave no process alone with one of them at the end.
LONGEST = (
    *("test_kill", "test_train", "test_register", "test_evaluate_flow", "test_spark_cluster", "test_running"),
    *("test_stack", "test_s3_store", "test_sigterm", "test_drift_flow", "test_added_kind", "test_bad_input"),
    *("test_promote", "test_demo", "test_flags", "test_readme", "test_dataset", "test_s3_faults", "test_notices"),
    "test_worked_changes",
)

# How long an example of Hypothesis takes says how busy the machine is.
settings.register_profile("recommender", deadline=None)
settings.load_profile("recommender")

# A JVM that lives for seconds is done before its second compiler has paid off: a training takes a third less of a core.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1")
# Trainings of tests try little, and the search draws nothing, unless a test asks for more.
os.environ |= {"SEARCH_KINDS": "graph,als", "SEARCH_TRIES": "0"}
# What `make test` was given is not for the make that a test starts.
for name in ("MAKEFLAGS", "ARGS"):
    os.environ.pop(name, None)
keep_loopback_direct()


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes share the tests: as many as there are cores, and as have the memory."""
    return max(1, min(len(os.sched_getaffinity(0)), machine_bytes() // BYTES_PER_TEST_PROCESS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take minutes first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; tests that ask for it are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data sets are not beside the checkout ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def refusing_proxy() -> Iterator[RefusingProxy]:
    """The proxy that flows, stacks and workers of the test run find in their environment."""
    with open_refusing_proxy() as opened:
        yield opened


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of one real Prefect server, on a database of the test run's own, for this process and its children."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.delenv("PREFECT_API_URL", raising=False)
        with open_prefect_api() as url:
            patch.setenv("PREFECT_API_URL", url)
            with temporary_settings({PREFECT_API_URL: url, PREFECT_LOGGING_INTERNAL_LEVEL: "ERROR"}):
                yield url


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real MinIO of the test run's own; a test that stops it or cuts it off opens another one."""
    need_program("minio")
    with open_minio(tmp_path_factory.mktemp("minio"), bucket="recommender-tests") as server:
        yield server


@pytest.fixture(scope="session")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real versitygw of the test run's own; a test that stops it or cuts it off opens another one."""
    need_program("versitygw")
    with open_versitygw(tmp_path_factory.mktemp("versitygw"), bucket="recommender-tests") as server:
        yield server


@pytest.fixture(scope="session")
def toxiproxy() -> Iterator[httpx.Client]:
    """The API of a real toxiproxy, with which a test makes proxies of its own."""
    need_program("toxiproxy-server")
    with open_toxiproxy() as opened:
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium; tests that ask for it are skipped where it is absent."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def proxy(toxiproxy: httpx.Client, minio: S3Server) -> Proxy:
    """A way to the test run's MinIO that nobody else goes."""
    return add_proxy(toxiproxy, minio.address)
