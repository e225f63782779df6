import numpy as np

from models.ncf_rows import Rows, sample_unknown, shuffled_blocks
from schema.items_by_user import ItemsByUser


def test_held_back_rows_are_one_of_a_user_each(checkerboard):
    rows = Rows.of(checkerboard, explicit=False)
    kept, held = rows.hold_back(0.05, seed=0)
    pairs = [list(zip(part.users.tolist(), part.items.tolist(), strict=True)) for part in (rows, kept, held)]
    assert sorted(pairs[1] + pairs[2]) == pairs[0]
    assert len(held.users) == len(set(held.users.tolist())) == round(0.05 * len(rows.users))


def test_drawn_items_are_unknown_to_the_user_unless_it_knows_all():
    known = ItemsByUser.from_pairs(np.array([0, 0, 1, 1, 1]), np.array([0, 2, 0, 1, 2]), n_users=2)
    drawn = sample_unknown(np.repeat([0, 1], 50), known.keys, 3, np.random.default_rng(0))
    assert set(drawn[:50].tolist()) == {1}
    assert set(drawn[50:].tolist()) <= {0, 1, 2}


def test_blocks_hold_each_row_once_and_mix_the_whole(monkeypatch):
    monkeypatch.setattr("models.ncf_rows.CHUNK_ROWS", 2)
    monkeypatch.setattr("models.ncf_rows.BLOCK_ROWS", 8)
    blocks = list(shuffled_blocks(29, np.random.default_rng(0)))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(29))
    assert max(map(len, blocks)) == 8
    assert max(np.ptp(block) for block in blocks) > 16
