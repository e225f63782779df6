"""The command line: help without engines, settings from four places, exit codes and the result record."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from evaluation.options import PromotionOptions
from flows import evaluate, explore, ingest, promote, recommend, sample, store, train
from flows.settings import Environment, Settings, flat_fields, groups_in, own_fields, read, variables
from schema.errors import InvalidSettings
from serving.options import ServingOptions
from tasks.options import ModelChoice, RecommendOptions

ROOT = Path(__file__).parents[2]
STAGES = {
    "train": train,
    "ingest": ingest,
    "explore": explore,
    "recommend": recommend,
    "evaluate": evaluate,
    "promote": promote,
}
ENGINES = {
    *("prefect", "prefect_dask", "pyspark", "dask", "distributed", "mlflow", "pandas", "pyarrow", "pandera"),
    *("boto3", "botocore", "sqlalchemy", "httpx", "rich", "matplotlib", "sklearn"),
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in flat_fields(Settings):
        monkeypatch.delenv(name.upper(), raising=False)
    return


def help_of(stage: str) -> str:
    """Return what a user sees of ``--help``, and check what is imported for it."""
    program = ROOT / "flows" / f"{stage}.py"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", str(program), "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "1000"},
    )
    imported = {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}
    assert "flows" in imported
    assert imported & ENGINES == set()
    return done.stdout


@pytest.mark.parametrize("stage", [*STAGES, "sample", "demo"])
def test_help_imports_no_engine_and_shows_every_flag_with_its_default_and_its_variable(stage):
    shown = help_of(stage)
    flags = dict(re.findall(r"^  (--[a-z0-9-]+) +(.*)$", shown, re.MULTILINE))
    assert flags.keys() >= {"--json"}
    if stage == "sample":
        assert "variable: " not in shown
        return
    named = set(re.findall(r"variable: ([A-Z0-9_]+)\)", shown))
    assert named <= {name.upper() for name in variables()}
    fields = flat_fields(Settings)
    for name in {name.lower() for name in named}:
        if isinstance(fields[name].default, int | float | str):
            assert f"default: {fields[name].default}; variable: {name.upper()})" in shown


def test_help_begins_with_what_is_read_and_ends_with_the_engines():
    sections = re.findall(r"^(\S.*):$", help_of("train"), re.MULTILINE)
    assert sections[1] == "Reviews to read"
    assert sections[-5:] == [
        "Where runs are tracked",
        "Where Spark runs and how much of the machine, or of the cluster, it takes",
        "Dask: where row-parallel tasks run",
        "Who gets a notice when a run fails",
        "How a run behaves",
    ]


def test_settings_of_the_original_keep_their_names_and_defaults():
    settings = read(Settings)
    assert str(settings.download.raw_reviews_path) == "data/raw/reviews_electronics.json.gz"
    assert settings.download.raw_reviews_url.endswith("/reviews_Electronics_5.json.gz")
    assert settings.dataset.min_interactions == 5
    assert settings.run.level == "INFO"
    assert settings.tracking.mlflow_tracking_uri == "sqlite:///mlflow.db"
    kept = "--input --min-interactions --rank --reg --alpha --maxiter --sample-fraction --sample-seed"
    assert set(kept.split()) <= set(re.findall(r"^  (--[a-z0-9-]+)", help_of("train"), re.MULTILINE))


def test_every_setting_is_documented_and_has_a_name_of_its_own():
    assert not [name for name, field in flat_fields(Settings).items() if not field.description]
    names = [name for kind in groups_in(Settings) for name in own_fields(kind)]
    assert len(names) == len(set(names))


def test_settings_are_read_from_the_environment_and_dotenv_and_flags_win(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("MIN_INTERACTIONS=3\nTOP_N=4\nALS_RANK=8,16\n")
    monkeypatch.setenv("TOP_N", "6")
    settings = read(Settings, {"min_interactions": "2"})
    assert (settings.dataset.min_interactions, settings.recommend.top_n) == (2, 6)
    assert settings.model_dump()["models"] != Settings().model_dump()["models"]


def test_settings_refuse_an_unknown_name_in_dotenv(tmp_path):
    (tmp_path / ".env").write_text("MIN_INTERACTION=3\n")
    with pytest.raises(InvalidSettings, match="MIN_INTERACTION: unknown setting"):
        read(RecommendOptions)


def test_the_form_refuses_an_empty_list_where_a_flag_does():
    refused = {}
    for group in groups_in(Settings):
        for name in own_fields(group):
            try:
                group.model_validate({name: []})
            except ValidationError as error:
                if any(problem["type"] == "too_short" for problem in error.errors()):
                    refused[name] = json.dumps(group.model_json_schema()["properties"][name])
    assert {"als_rank", "als_reg", "als_alpha"} <= refused.keys()
    assert [name for name, schema in refused.items() if '"minItems": 1' not in schema] == []


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        read(RecommendOptions).top_n = 3


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--min-interactions", "0"], ["--min-interactions", "'0'", "greater than or equal to 1"]),
        (["--rank", "32,many"], ["--rank", "'many'", "integer"]),
        (["--rank", ""], ["--rank"]),
        (["--split", "alphabetical"], ["--split", "'alphabetical'", "'leave-last'"]),
        (["--model", "auto,nobody"], ["--model (or SEARCH_KINDS): ", "the name nobody", "item-graph", "'auto,nobody'"]),
        (["--top-n", "ten"], ["--top-n", "'ten'"]),
        (["--sample-fraction", "1.5"], ["--sample-fraction", "'1.5'"]),
        (["--log-level", "LOUD"], ["--log-level", "'LOUD'"]),
        (["--dask-workers", "many"], ["--dask-workers (or DASK_WORKERS): ", "found 'many'"]),
        (["--min-rating", "5", "--max-rating", "1"], ["min_rating 5", "max_rating 1"]),
        (["--no-such-flag", "1"], ["--no-such-flag", "--help lists"]),
        (["--input"], ["--input", "expected one argument", "--help lists"]),
    ],
)
def test_bad_settings_end_with_code_2_and_name_flag_value_and_what_is_expected(flags, expected, capsys):
    try:
        code = train.main(flags)
    except SystemExit as ended:
        code = int(str(ended.code))
    said = capsys.readouterr().err
    assert code == 2
    assert len(said.splitlines()) == 1
    for part in expected:
        assert part in said


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("flag", ["--work-dir", "--json", "--store"])
def test_a_place_that_cannot_be_written_to_ends_with_code_2_before_any_work(stage, flag, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert STAGES[stage].main([flag, "file/x"]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert re.search(r"(--work-dir|--json|the store).*file/x.* cannot be written to .*Not a directory.*expected", said)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("flag", "value", "why"),
    [
        ("--mlflow-tracking-uri", "sqlite:////proc/mlflow.db", "/proc: No such file"),
        ("--mlflow-tracking-uri", "sqlite:///words", "no SQLite database does"),
        ("--mlflow-artifact-dir", "words", "Not a directory"),
    ],
)
def test_a_training_that_could_not_be_tracked_is_not_begun(flag, value, why, tmp_path, capsys):
    (tmp_path / "words").write_text("no database at all")
    assert train.main([flag, value]) == 2
    assert re.search(f"{flag} .*{why}", capsys.readouterr().err)


def test_places_of_the_sample_and_of_a_copy_are_tried(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert sample.main(["--output", "file/x"]) == 2
    assert "--output: " in capsys.readouterr().err
    assert store.main(["cp", "1f", "--to", "file/x"]) == 2
    assert "the store: " in capsys.readouterr().err
    assert store.main(["cp", "1f", "--to", "copy", "--work-dir", "file/x"]) == 2
    assert "--work-dir " in capsys.readouterr().err


@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("stage", ["train", "ingest"])
def test_a_download_that_could_not_be_kept_is_not_begun(stage, tmp_path, capfd):
    (tmp_path / "file").touch()
    assert STAGES[stage].main(["--raw-reviews-path", "file/raw.gz"]) == 2
    assert re.search(
        r"--raw-reviews-path .*file/raw\.gz cannot be written to .*Not a directory", capfd.readouterr().err
    )


def test_a_home_of_prefect_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").touch()
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path / "file" / "home")}
    environment.pop("PREFECT_API_URL", None)
    command = [sys.executable, str(ROOT / "flows" / "recommend.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert re.search(r"PREFECT_HOME: .*home cannot be written to .*Not a directory", done.stderr)


def test_flags_of_the_environment_hold_for_the_run_and_not_longer(capsys):
    assert promote.main(["--history", "--store", "elsewhere"]) == 0
    assert "elsewhere" in capsys.readouterr().out
    assert read(Environment).places.store_uri == "data/store"


def test_json_record_is_written_whole_and_nothing_beside_it(tmp_path):
    target = tmp_path / "new folder" / "out.json"
    assert (
        sample.main(["--output", str(tmp_path / "s"), "--n-users", "30", "--n-items", "20", "--json", str(target)]) == 0
    )
    assert json.loads(target.read_text())["n_lines"] > 0
    assert os.listdir(target.parent) == ["out.json"]  # noqa: PTH208 - hidden files count


def test_settings_of_the_api_may_stand_in_the_file_beside_those_of_flows():
    Path(".env").write_text("API_PORT=8001\nMIN_INTERACTIONS=7\n")
    assert read(Settings).dataset.min_interactions == 7


def test_env_example_lists_every_variable_and_no_other():
    text = (ROOT / ".env.example").read_text()
    named = re.findall(r"^#?([A-Z0-9_]+)=", text, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in variables() | set(ServingOptions.model_fields))


@pytest.mark.parametrize(
    ("name", "value"), [("PROMOTION_REASON", "as always"), ("ROLL_BACK", "1"), ("MODEL_ID", "1f3a")]
)
def test_what_only_the_command_line_says_is_in_no_variable_and_no_file(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert read(Settings).promotion == PromotionOptions()
    assert read(Settings).model == ModelChoice()
    Path(".env").write_text(f"{name}={value}\n")
    with pytest.raises(InvalidSettings, match=f"{name}: unknown setting"):
        read(Settings)
