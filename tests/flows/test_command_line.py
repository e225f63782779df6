import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flows.command_line import build_parser, explain, flag_of
from flows.flags import is_secret, is_variable
from pydantic import ValidationError

from flows import ingest, recommend, sample, train
from flows.settings import Settings

STAGES = {"train": train, "ingest": ingest, "recommend": recommend}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return


@pytest.mark.parametrize("stage", STAGES)
def test_help_shows_every_flag_with_its_default_and_its_variable(
    stage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as ended:
        STAGES[stage].main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for part in STAGES[stage].PARTS:
        for name, field in part.model_fields.items():
            assert (flag_of(name, field) in shown) != is_secret(field)
            assert (f"variable: {name.upper()})" in shown) == is_variable(field)
            if isinstance(field.default, int | float | str):
                assert f"default: {field.default}" in shown


def test_settings_of_the_original_keep_their_names_and_defaults() -> None:
    settings = Settings()
    assert str(settings.raw_reviews_path) == "data/raw/reviews_electronics.json.gz"
    assert settings.raw_reviews_url.endswith("/reviews_Electronics_5.json.gz")
    assert settings.min_interactions == 5
    assert settings.log_level == "INFO"
    assert settings.mlflow_tracking_uri == "sqlite:///mlflow.db"
    parser = build_parser(train.PARTS, "")
    flags = {flag for action in parser._actions for flag in action.option_strings}
    kept = "--input --min-interactions --rank --reg --alpha --maxiter --sample-fraction --sample-seed"
    assert set(kept.split()) <= flags


def test_every_field_of_the_settings_is_documented() -> None:
    assert not [name for name, field in Settings.model_fields.items() if not field.description]


def test_settings_are_read_from_the_environment_and_dotenv_and_flags_win(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("MIN_INTERACTIONS=3\nTOP_N=4\nALS_RANK=8,16\n")
    monkeypatch.setenv("TOP_N", "6")
    settings = Settings(min_interactions="2")
    assert (settings.min_interactions, settings.top_n, settings.als_rank) == (2, 6, (8, 16))


def test_settings_refuse_an_unknown_name_in_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MIN_INTERACTION=3\n")
    with pytest.raises(ValidationError, match="min_interaction"):
        Settings()


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().min_interactions = 3


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--min-interactions", "0"], ["--min-interactions", "'0'", "greater than or equal to 1"]),
        (["--rank", "32,many"], ["--rank", "'many'", "integer"]),
        (["--rank", ""], ["--rank"]),
        (["--split", "alphabetical"], ["--split", "'alphabetical'", "'leave-last'"]),
        (["--top-n", "ten"], ["--top-n", "'ten'"]),
        (["--sample-fraction", "1.5"], ["--sample-fraction", "'1.5'"]),
        (["--log-level", "LOUD"], ["--log-level", "'LOUD'"]),
        (["--min-rating", "5", "--max-rating", "1"], ["min_rating 5", "max_rating 1"]),
        (["--no-such-flag", "1"], ["--no-such-flag"]),
    ],
)
def test_bad_settings_end_with_code_2_and_name_flag_value_and_what_is_expected(
    flags: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = train.main(flags)
    except SystemExit as ended:
        code = int(str(ended.code))
    said = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in said
    for part in expected:
        assert part in said


def test_json_record_is_written_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "out.json"
    assert (
        sample.main(["--output", str(tmp_path / "s"), "--n-users", "30", "--n-items", "20", "--json", str(target)]) == 0
    )
    assert json.loads(target.read_text())["n_lines"] > 0
    assert os.listdir(target.parent) == ["out.json"]  # noqa: PTH208 - hidden files count


def test_env_example_lists_every_variable_and_no_other() -> None:
    text = (Path(__file__).parents[2] / ".env.example").read_text()
    named = re.findall(r"^#?([A-Z0-9_]+)=", text, re.MULTILINE)
    variables = [name.upper() for name, field in Settings.model_fields.items() if is_variable(field)]
    assert sorted(named) == sorted(variables)


@pytest.mark.parametrize(
    ("name", "value"), [("PROMOTION_REASON", "as always"), ("ROLL_BACK", "1"), ("MODEL_ID", "1f3a")]
)
def test_what_only_the_command_line_says_is_in_no_variable_and_no_file(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    assert Settings() == Settings(**{name.lower(): Settings.model_fields[name.lower()].default})
    Path(".env").write_text(f"{name}={value}\n")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert f"{name}: unknown setting" in explain(refusal.value, Settings)
