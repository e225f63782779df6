"""MLflow's database, made by runs that may die or start at once."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mlflow import MlflowClient

MAKE = """
import sys
from pathlib import Path
from tasks.tracking import make_database
make_database(Path(sys.argv[1]), Path(sys.argv[2]))
"""
DIE_WHILE_MAKING = """
import os, sqlalchemy.event, sqlalchemy.engine
n_tables = 0
def die(*_):
    global n_tables
    n_tables += 1
    if n_tables > 40:
        os.kill(os.getpid(), 9)
sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", die)
"""


def run(code: str, folder: Path) -> int:
    return subprocess.run(
        [sys.executable, "-c", code, str(folder / "mlflow.db"), str(folder / "artifacts")],
        capture_output=True,
        check=False,
        timeout=300,
    ).returncode


def names(folder: Path) -> list[str]:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    return [experiment.name for experiment in client.search_experiments()]


def test_database_of_a_run_that_dies_while_making_it_is_never_seen(tmp_path: Path) -> None:
    assert run(DIE_WHILE_MAKING + MAKE, tmp_path) == -9
    assert not (tmp_path / "mlflow.db").exists()
    assert [path for path in tmp_path.iterdir() if path.is_file()], "it had not begun"
    assert run(MAKE, tmp_path) == 0
    assert names(tmp_path) == ["Default"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db"]


def test_database_of_runs_that_start_at_once_is_made_by_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: run(MAKE, tmp_path), range(3))) == [0, 0, 0]
    assert names(tmp_path) == ["Default"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mlflow.db"]
