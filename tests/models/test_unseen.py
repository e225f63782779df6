import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import unseen
from models.unseen import find_free_places


@st.composite
def problems(draw):
    n_places, n_rows = draw(st.integers(0, 12)), draw(st.integers(0, 4))
    pairs = st.tuples(st.integers(0, n_rows - 1), st.integers(0, n_places - 1))
    taken = draw(st.lists(pairs, max_size=30)) if n_places and n_rows else []
    return taken, n_rows, n_places, draw(st.integers(1, 14))


@given(problems(), st.sampled_from([0, unseen.DENSE_SHARE, 1000]))
def test_free_places_are_those_that_are_not_taken(problem, dense_share):
    taken, n_rows, n_places, k = problem
    rows, places = np.array(taken, dtype=np.int64).reshape(-1, 2).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unseen, "DENSE_SHARE", dense_share)
        found = find_free_places(rows, places, n_rows, n_places, k)
    for row in range(n_rows):
        free = [place for place in range(n_places) if (row, place) not in taken][:k]
        assert found[row].tolist() == free + [-1] * (k - len(free))
