import pytest
from pydantic import ValidationError

from models import ncf
from models.ncf import NcfOptions
from models.registry import ModelOptions, candidates
from schema.errors import InvalidInput
from tasks.options import SearchOptions


@pytest.fixture
def torch_is_there(monkeypatch):
    monkeypatch.setattr(ncf, "find_spec", lambda _: object())


def tried(*names, has_ratings=True, **options):
    asked = {"names": names} if names else {}
    has = {"has_ratings": has_ratings, "has_timestamps": False}
    found = candidates(ModelOptions(ncf=NcfOptions(**options)), **has, **asked)
    return {one.model: one.parameters for one in found if "torch" in one.kind.needs}


def test_nothing_is_tried_unless_it_is_asked_for():
    assert tried() == {}


@pytest.mark.usefixtures("torch_is_there")
def test_a_candidate_has_the_parameters_that_it_obeys():
    found = tried("gmf", "neumf", "gmf-explicit", ncf_factors=16)
    every = {name.removeprefix("ncf_") for name in NcfOptions.model_fields}
    names = {model: {name.removeprefix("ncf_") for name in parameters} for model, parameters in found.items()}
    assert names == {"gmf": every - {"layers"}, "neumf": every, "gmf-explicit": every - {"layers", "negatives"}}
    assert {parameters["ncf_factors"] for parameters in found.values()} == {16}


def test_without_pytorch_one_line_says_what_to_type(monkeypatch):
    monkeypatch.setattr(ncf, "find_spec", lambda _: None)
    with pytest.raises(InvalidInput, match=r"neumf needs PyTorch, which is not installed\. Type 'make neural'"):
        tried("neumf")
    with pytest.raises(InvalidInput, match="Type 'make neural'"):
        ncf.Gmf().fit(None, {})
    assert tried() == {}


def test_without_pytorch_settings_that_need_it_are_refused(monkeypatch):
    monkeypatch.setattr(ncf, "find_spec", lambda _: None)
    with pytest.raises(ValidationError, match="Type 'make neural'"):
        SearchOptions(search_kinds="auto, ncf")


@pytest.mark.usefixtures("torch_is_there")
def test_ratings_that_are_asked_for_and_lacking_are_named():
    assert set(tried("ncf", has_ratings=False)) == {"gmf", "mlp", "neumf"}
    with pytest.raises(InvalidInput, match=r"--model asks for mlp-explicit, of which .* that the input lacks"):
        tried("mlp", "mlp-explicit", has_ratings=False)


def test_layers_are_halved_from_twice_the_embeddings_to_the_factors():
    assert NcfOptions(ncf_factors=8, ncf_layers=2).widths == [32, 16, 8]
