"""The tool that looks after the store, by its command line."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sample_artifacts import (
    DATASET,
    LISTS,
    MODEL,
    NAMES,
    RAW,
    contents,
    forge_manifest,
    publish,
    publish_lineage,
    replace_object,
)
from workplace import Outcome, environment

from flows import store as command
from storage.champion import replace_champion
from storage.local import LocalStore
from storage.manifest import FileEntry

PROGRAM = Path(__file__).parents[2] / "flows" / "store.py"
SLOW = {"prefect", "pyspark", "mlflow", "pandas", "dask", "distributed", "scipy", "pyarrow", "boto3", "matplotlib"}
EVIL = "a[red]b[/red]:smile:\x1b[2J\x07\u202e\nc"


@dataclass(frozen=True)
class Desk:
    """A folder with a store in it, and the command line of whoever stands in the folder."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.folder / "data" / "store")

    def run(self, *words: str, code: int = 0, **variables: str) -> Outcome:
        """Run the command in the folder, with these variables set, and expect it to end with a code."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in variables.items():
                patch.setenv(name, value)
            try:
                found = command.main(words)
            except SystemExit as ended:
                found = int(str(ended.code))
        outcome = Outcome(found, *self.capsys.readouterr())
        assert outcome.code == code, outcome.stderr
        return outcome

    def record(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run the command and return the record that it writes."""
        path = self.folder / "record.json"
        self.run(*words, "--json", str(path), code=code)
        record: dict[str, Any] = json.loads(path.read_text())
        path.unlink()
        return record

    def age(self, key: str) -> None:
        """Make an object old."""
        os.utime(self.folder / "data" / "store" / key, (1e9, 1e9))


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in os.environ.keys() - environment().keys():
        monkeypatch.delenv(name)
    return Desk(tmp_path, capsys)


@pytest.fixture
def full(desk: Desk) -> Desk:
    """A desk whose store has an artifact of each kind, and a champion."""
    publish_lineage(desk.store)
    replace_champion(desk.store, {"model_id": MODEL}, None)
    return desk


def words_of(text: str) -> str:
    return " ".join(text.split())


def said(outcome: Outcome) -> str:
    assert "Traceback" not in outcome.stderr
    return words_of(outcome.stdout + outcome.stderr)


@pytest.mark.parametrize(("words", "code"), [(["ls"], 0), (["show", "1f3a"], 1)])
def test_program_starts_without_what_it_does_not_need_and_ends_with_the_code(full, words, code):
    command_line = [sys.executable, "-X", "importtime", str(PROGRAM), *words]
    done = subprocess.run(command_line, cwd=full.folder, capture_output=True, text=True, check=False)
    assert done.returncode == code
    imported = {name.split(".")[0] for name in re.findall(r"\|\s+([\w.]+)$", done.stderr, re.MULTILINE)}
    assert "storage" in imported
    assert imported & SLOW == set()


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("ls", ["[KIND]"]),
        ("show", [" ID"]),
        ("verify", ["[ID ...]"]),
        ("gc", ["--older-than AGE", "--delete"]),
        ("cp", [" ID", "--to URI", "--alone", "--work-dir DIR"]),
    ],
)
def test_each_command_has_its_help(name, flags, desk):
    outcome = desk.run(name, "--help", COLUMNS="1000")
    for flag in [*flags, "--json PATH", "--store URI"]:
        assert flag in outcome.stdout
    assert "variable: STORE_URI" in outcome.stdout
    assert ("WORK_DIR" in outcome.stdout) == (name == "cp")
    assert not re.search(r"variable: (KIND|ID|IDS|OLDER_THAN|DELETE|TO|ALONE)\b", outcome.stdout)


def test_help_lists_the_commands(desk):
    outcome = desk.run("--help")
    assert re.findall(r"^    (\w+) ", outcome.stdout, re.MULTILINE) == ["ls", "show", "verify", "gc", "cp"]


def test_ls_shows_every_artifact_and_the_champion(full):
    store = full.store
    store.create("models/bad0/manifest.json", b"{")
    outcome = full.run("ls")
    lines = [words_of(line) for line in outcome.stdout.splitlines() if re.search(r" 20\d\d-", line)]
    assert len(lines) == 9
    assert re.fullmatch(rf"raw {RAW[:16]}… 2 149 bytes 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", lines[0])
    assert [line for line in lines if "champion" in line] == [lines[6]]
    assert re.match(rf"models {MODEL} 2 .* champion$", lines[6])
    assert re.search(r"models bad0 20\S+ \S+ broken: .* is not valid JSON", said(outcome))


def test_ls_writes_the_same_as_a_record(full):
    full.store.create("models/bad0/manifest.json", b"{")
    record = full.record("ls", "models")
    good, bad = record["artifacts"]
    assert (record["store"], record["champion"]) == (full.store.uri, MODEL)
    assert good | {"written_at": None} == {
        "kind": "models",
        "id": MODEL,
        "n_files": 2,
        "size_bytes": 43,
        "written_at": None,
        "is_champion": True,
        "problem": None,
    }
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", good["written_at"])
    assert (bad["id"], bad["n_files"]) == ("bad0", None)
    assert "not valid JSON" in bad["problem"]


def test_ls_of_a_store_that_is_not_there_says_so_and_makes_none(desk):
    assert f"No artifacts in {desk.store.uri}" in said(desk.run("ls"))
    assert list(desk.folder.iterdir()) == []


def test_ls_tells_that_the_champion_cannot_be_told(full):
    replace_object(full.store, "champion.json", b"{")
    outcome = full.run("ls")
    assert "The champion cannot be told: " in said(outcome)
    assert f"models {MODEL}" in said(outcome)


def test_ls_into_a_closed_pipe_is_no_traceback(full):
    shell = f"{shlex.quote(sys.executable)} {shlex.quote(str(PROGRAM))} ls | true"
    done = subprocess.run(["/bin/sh", "-c", shell], cwd=full.folder, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr


def test_show_prints_the_manifest_and_the_lineage(full):
    publish(
        full.store, "models", "1f3a", {"dataset": DATASET, "fit": "9999"}, {"a": b"12"}, {"rank": 8, "regs": [1.5, 2]}
    )
    outcome = full.run("show", "models/1f3a")
    text = said(outcome)
    assert "artifact models/1f3a code version 0.1.0+abc" in text
    assert "rank 8 regs [1.5,2]" in text
    assert "n_users 3" in text
    assert "a 2 bytes 6b51d431df5d7f14…" in text
    assert [line.strip(" │├└─") for line in outcome.stdout.splitlines()[-5:]] == [
        "models/1f3a",
        f"dataset: datasets/{DATASET}",
        "reviews: reviews/1111aaaa",
        f"raw: raw/{RAW[:16]}…",
        "fit: fits/9999  missing",
    ]
    assert "(champion)" in said(full.run("show", MODEL))


def test_show_writes_the_whole_manifest_as_a_record(full):
    record = full.record("show", MODEL[:3])
    assert record["manifest"] == json.loads(full.store.read(f"models/{MODEL}/manifest.json"))
    assert record["is_champion"]
    assert record["lineage"][:2] == [
        {"depth": 0, "role": "", "kind": "models", "id": MODEL, "state": "there"},
        {"depth": 1, "role": "dataset", "kind": "datasets", "id": DATASET, "state": "there"},
    ]


def test_report_of_a_model_is_named_by_show_and_copied_with_it(full):
    assert full.record("show", MODEL)["report"] is None
    publish(full.store, "reports", "9999aaaa", {"model": MODEL}, {"report.html": b"<p>"})
    assert full.record("show", MODEL)["report"].endswith("/reports/9999aaaa/report.html")
    assert "report file://" in said(full.run("show", MODEL))
    copied = [(one["kind"], one["id"]) for one in full.record("cp", MODEL, "--to", "copy")["artifacts"]]
    assert copied[-2:] == [("models", MODEL), ("reports", "9999aaaa")]


def test_show_names_at_most_a_hundred_files(desk):
    files = tuple(FileEntry(f"part-{number:04}", 1, "0" * 64) for number in range(1234))
    forge_manifest(desk.store, "models", "1f3a", {}, files=files)
    shown = desk.run("show", "1f3a").stdout
    assert shown.count("part-") == 100
    assert "… and 1,134 more; --json has them all" in shown


@pytest.mark.parametrize(
    ("words", "code"), [(["show", "1f3a"], 0), (["verify"], 1), (["ls"], 0), (["show", "bad0"], 1), (["gc"], 0)]
)
def test_what_a_forger_wrote_is_shown_and_not_obeyed(desk, words, code):
    forge_manifest(desk.store, "models", "1f3a", {EVIL: EVIL}, parameters={EVIL: EVIL}, code_version=EVIL)
    bad = {"code_version": "", "counts": {EVIL: []}, "files": [], "id": "bad0", "inputs": {}, "kind": "models"}
    desk.store.create("models/bad0/manifest.json", json.dumps({**bad, "parameters": {}}).encode())
    desk.store.replace("champion.json", json.dumps({"model_id": EVIL}).encode(), None)
    outcome = desk.run(*words, code=code)
    assert "Traceback" not in outcome.stderr
    for stream in (outcome.stdout, outcome.stderr):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", stream)
        assert stream.count("[red]") == stream.count("[/red]")
    if words != ["ls"]:
        assert "[red]" in outcome.stdout + outcome.stderr
        assert ":smile:" in outcome.stdout + outcome.stderr


def test_show_of_an_unknown_id_says_what_there_is(full):
    outcome = full.run("show", "1f3a", code=1)
    assert f"has no artifact '1f3a'; it has raw/{RAW}, reviews/1111aaaa" in said(outcome)


def test_verify_says_in_one_line_that_all_is_well(full):
    outcome = full.run("verify")
    assert said(outcome) == "8 artifacts, 16 files, 470 bytes: all as their manifests say"
    assert said(full.run("verify", MODEL, DATASET)) == "2 artifacts, 4 files, 90 bytes: all as their manifests say"


def test_verify_names_every_problem_and_fails(full):
    store = full.store
    store.delete(f"raw/{RAW}/first.parquet")
    replace_object(store, f"models/{MODEL}/first.parquet", b"x" * 21)
    replace_object(store, "champion.json", b'{"model_id": "1f3a"}')
    outcome = full.run("verify", code=1)
    assert re.search(r"raw/\S+: first\.parquet is missing; its manifest says", said(outcome))
    assert re.search(rf"models/{MODEL}: first\.parquet has the SHA-256", said(outcome))
    assert "champion.json: it names the model '1f3a', which does not exist" in said(outcome)
    assert "8 artifacts, 16 files, 470 bytes: 3 problems in 3 places" in outcome.stdout
    assert "ERROR" in outcome.stderr
    record = full.record("verify", code=1)
    assert record["counts"] == {"artifacts": 8, "files": 16, "size_bytes": 470}
    assert [problem["where"] for problem in record["problems"]] == [f"raw/{RAW}", f"models/{MODEL}", "champion.json"]
    full.run("verify", DATASET)


def test_gc_is_a_dry_run_that_says_what_to_type_to_delete(full):
    before = contents(full.store)
    for key in ("models/dead/half", "models/dead/young"):
        full.store.create(key, b"half")
    full.age("models/dead/half")
    outcome = full.run("gc", "--older-than", "36h")
    assert "models/dead/half 4 bytes 2001-09-09 01:46:40" in said(outcome)
    assert "1 younger object outside all manifests" in said(outcome)
    assert "Dry run, nothing was deleted. Found: 1 orphan (4 bytes) and 0 leftovers" in said(outcome)
    assert full.store.head("models/dead/half") is not None
    typed = shlex.split(outcome.stdout.splitlines()[-1])
    assert typed[:2] == ["python", "flows/store.py"]
    deleted = full.run(*typed[2:])
    assert "Deleted: 1 orphan (4 bytes)" in said(deleted)
    assert contents(full.store) == before | {"models/dead/young": b"half"}
    assert "No garbage in" in said(full.run("gc"))


def test_gc_writes_what_it_found_as_a_record(full):
    full.store.create("models/dead/half", b"half")
    full.store.create("stuff/x", b"")
    full.age("models/dead/half")
    record = full.record("gc", "--delete")
    assert record["is_deleted"]
    assert record["size_bytes"] == 4
    assert record["orphans"] == [
        {"key": "models/dead/half", "size_bytes": 4, "written_at": "2001-09-09T01:46:40+00:00"}
    ]
    assert record["left_alone"] == {"stuff": "it belongs to no kind of artifact"}
    assert (record["n_young"], record["leftovers"]) == (0, [])


def test_cp_copies_an_artifact_with_all_it_was_made_from(full):
    outcome = full.run("cp", LISTS, "--to", "copy")
    assert said(outcome).count("copied") == 8
    copy = LocalStore(full.folder / "copy")
    assert contents(copy) == {key: data for key, data in contents(full.store).items() if key != "champion.json"}
    assert list((full.folder / "data" / "work").iterdir()) == []
    again = full.record("cp", LISTS, "--to", "copy")
    assert again["to"] == copy.uri
    assert {f"{one['kind']}/{one['id']}": one["is_new"] for one in again["artifacts"]} == dict.fromkeys(NAMES, False)


def test_cp_copies_one_alone_and_refuses_to_replace_another(full):
    record = full.record("cp", MODEL, "--to", "copy", "--alone")
    assert [one["id"] for one in record["artifacts"]] == [MODEL]
    replace_object(LocalStore(full.folder / "copy"), f"models/{MODEL}/manifest.json", b"{}")
    outcome = full.run("cp", MODEL, "--to", "copy", code=1)
    assert "is there already and differs" in said(outcome)


def test_where_the_store_is_comes_from_the_environment_and_dotenv_too(full):
    elsewhere = full.folder / "elsewhere"
    elsewhere.mkdir()
    there = replace(full, folder=elsewhere)
    assert said(there.run("verify", STORE_URI=full.store.uri)).startswith("8 artifacts")
    (elsewhere / ".env").write_text(f"STORE_URI={full.store.uri}\nMIN_INTERACTIONS=3\nLOG_LEVEL=ERROR\n")
    assert said(there.run("verify")).startswith("8 artifacts")


def test_what_to_do_never_comes_from_the_environment(full):
    full.store.create("models/dead/half", b"half")
    full.age("models/dead/half")
    outcome = full.run("gc", DELETE="true", OLDER_THAN="99999d")
    assert "Dry run" in said(outcome)
    assert full.store.head("models/dead/half") is not None
    assert said(full.run("ls", KIND="raw")).count("aaaa") == 7
    assert said(full.run("verify", IDS='["1f3a"]')).startswith("8 artifacts")
    assert said(full.run("cp", MODEL, "--to", "copy", ALONE="true", TO="other", ID="1f3a")).count("copied") == 7


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["rm"], "invalid choice: 'rm' (choose from 'ls', 'show', 'verify', 'gc', 'cp')"),
        (["ls", "model"], "KIND: expected one of raw, reviews"),
        (["show"], "required: ID"),
        (["cp", MODEL], "required: --to"),
        (["gc", "--older-than", "5m"], "--older-than: expected 1h (a run may be at work) to 36500d; found '5m'"),
        (["gc", "--older-than", "99999999d"], "to 36500d; found '99999999d'"),
        (["gc", "--older-than", "a week"], "--older-than: expected a number and d, h or m, such as 7d; found 'a week'"),
        (["gc", "--work-dir", "x"], "unrecognized arguments: --work-dir x"),
        (["ls", "--s"], "unrecognized arguments: --s"),
    ],
)
def test_bad_usage_ends_with_code_2_and_says_what_is_expected(words, complaint, desk):
    outcome = desk.run(*words, code=2)
    assert complaint in said(outcome)
    assert list(desk.folder.iterdir()) == []
