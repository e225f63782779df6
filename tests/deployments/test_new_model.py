"""``make new-model``: what it writes passes what every kind must, and a name that cannot be taken writes nothing."""

import pytest
from checkout import Checkout, copy_checkout

from deployments import new_model


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_checkout(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize(
    "name", ["", "Liked", "2nd", "two words", "two-words", "a__b", "_hidden", "models/liked", "class", "l" * 31]
)
def test_a_name_that_is_none_for_a_module_writes_nothing(checkout, monkeypatch, capsys, name):
    monkeypatch.setattr(new_model, "ROOT", checkout.folder)
    before = checkout.files()
    assert new_model.main([name]) == 2
    assert f"NAME cannot be the name of a module; found {name!r}, expected up to 30" in capsys.readouterr().err
    assert checkout.files() == before


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ease", "models/ease.py"),
        ("house", "tests/test_house.py"),
        ("global_mean", "the kind of model, or group of them, global-mean"),
        ("graph", "the kind of model, or group of them, graph"),
        ("auto", "the kind of model, or group of them, auto"),
        ("user", "the setting USER_DAMPING"),
        ("candidate", "the class Candidate"),
        ("shared_order", "the class SharedOrder"),
        ("rolling", '"rolling" in evaluation/'),
    ],
)
def test_a_name_that_is_taken_writes_nothing(checkout, monkeypatch, capsys, name, other):
    monkeypatch.setattr(new_model, "ROOT", checkout.folder)
    before = checkout.files()
    assert new_model.main([name]) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"NAME is taken; found {name!r}, which would clash with ")
    assert other in said
    assert checkout.files() == before


def test_make_ends_with_the_error(checkout):
    done = checkout.start("make", "new-model")
    assert done.returncode == 2
    assert "found ''" in done.stderr


def test_the_kind_that_is_written_passes_what_every_kind_must(checkout):
    said = checkout.run("make", "new-model", "NAME=two_words")
    assert "1. Edit models/two_words.py" in said
    assert "--models two-words,popularity" in said
    checkout.python("-m", "ruff", "check")
    checkout.python("-m", "ruff", "format", "--check")
    checkout.test("tests/models/test_two_words.py", "tests/test_socket.py", "tests/models/test_registry.py")
    checkout.test("tests/models/test_kinds.py", "-k", "two-words")
    checkout.test(
        "tests/flows/test_command_line.py::test_env_example_lists_every_variable_and_no_other",
        "tests/flows/test_flags.py::test_every_flag_has_a_proof",
    )
