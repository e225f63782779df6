"""Links to new items, borrowed from the links to items whose content is most like theirs."""

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from models.base import MOST_ROOM, Content, ReadContent
from models.paths import Links, keep_strongest, stack, sum_paths
from schema.arrays import Floats, Indices
from schema.items_by_user import ItemsByUser

if TYPE_CHECKING:
    from scipy.sparse import csr_array

ROOM = 1.0
Room = Annotated[
    float,
    Field(
        ge=0,
        le=MOST_ROOM,
        description="weight of the links that new items borrow from items of like content, where --products "
        "says what they are; 0 for none. New items get more room with more of it, and the others lose by it.",
    ),
]
WEIGHTS = MappingProxyType({"brand": 0.3, "category": 1.0, "viewed": 1.0})
FEW_USERS = 5
N_LENDERS = 20
N_LENT = 500
MOST_ITEMS = 10_000


def add_borrowed(links: Links, n_users_of: Indices, read_content: ReadContent, room: float) -> Links:
    """Return links and, besides, links to new items like those to the items that are most like them.

    An item j of n_j < `FEW_USERS` users is new. Its lenders k are the `N_LENDERS` other items of highest s_jk, the sum,
    over the values of attributes that both have, of the attribute's weight / sqrt(number of items with the value); a
    value of more than `MOST_ITEMS` items tells nothing. Its strongest `N_LENT` of

    room * (1 - n_j / FEW_USERS) * sum over k of s_jk W_ik / sum over k of s_jk

    are added to W_ij, where a lender itself, W_kk, counts as the strongest link to it.

    Args:
        links: Links W of each item to others, no item twice in a row.
        n_users_of: Number of users of each item.
        read_content: Returns what is known of items, asked only where there are new ones and room for them; the links
            are returned unchanged where there is nothing.
        room: At least 0; 0 for no links more.
    """
    is_new, n_items = n_users_of < FEW_USERS, len(n_users_of)
    if not room or not is_new.any() or not (content := read_content()):
        return links
    from scipy.sparse import csc_array

    new = np.flatnonzero(is_new)
    alike = _find_alike(content, new, np.flatnonzero(~is_new), n_items)
    total = np.bincount(alike.rows, alike.weights, minlength=len(new))
    shares = alike._replace(weights=alike.weights / total[alike.rows])
    itself = ItemsByUser(np.arange(len(new) + 1), new.astype(np.int32))
    lent = stack(
        keep_strongest(sums, sums.values.astype(np.float32), n_items, N_LENT)
        for sums in sum_paths(shares, _turn(links, n_items), itself, n_items)
    )
    fading = room * (1 - n_users_of / FEW_USERS)
    n_lent = np.zeros(n_items, dtype=np.int64)
    n_lent[new] = np.diff(lent.indptr)
    weights = np.repeat(fading, n_lent).astype(np.float32) * lent.weights
    borrowed = csc_array((weights, lent.targets, np.append(0, np.cumsum(n_lent))), shape=(n_items, n_items))
    return _as_links(_as_csr(links, n_items) + borrowed.tocsr())


def _find_alike(content: Content, new: Indices, lenders: Indices, n_items: int) -> Links:
    """Return links from the place in new of each new item to the lenders most like it, of these weights s."""
    items, values, weights, n_values = list[Indices](), list[Indices](), list[Floats](), 0
    for name, table in content.items():
        n_items_of = np.bincount(table.items)
        is_told = n_items_of[table.items] <= MOST_ITEMS
        items.append(table.rows[is_told])
        values.append(n_values + table.items[is_told])
        weights.append(WEIGHTS[name] / np.sqrt(n_items_of[table.items[is_told]]))
        n_values += len(n_items_of)
    item, value, weight = np.concatenate(items), np.concatenate(values), np.concatenate(weights)
    place = np.full(n_items, -1)
    place[new] = np.arange(len(new))
    is_of_new, is_of_lender = place[item] >= 0, np.isin(item, lenders)
    of_new = Links.of(place[item[is_of_new]], value[is_of_new], weight[is_of_new], len(new))
    of_value = Links.of(value[is_of_lender], item[is_of_lender], np.ones(is_of_lender.sum()), n_values)
    nothing = ItemsByUser(np.zeros(len(new) + 1, dtype=np.int64), np.empty(0, dtype=np.int32))
    return stack(
        keep_strongest(sums, sums.values.astype(np.float32), n_items, N_LENDERS)
        for sums in sum_paths(of_new, of_value, nothing, n_items)
    )


def _turn(links: Links, n_items: int) -> Links:
    """Return the links backward, with one of each item to itself, as strong as the strongest to it."""
    from scipy.sparse import csr_array

    strongest = np.zeros(n_items, dtype=np.float32)
    np.maximum.at(strongest, links.targets, links.weights)
    itself = csr_array((strongest, np.arange(n_items), np.arange(n_items + 1)), shape=(n_items, n_items))
    return _as_links(_as_csr(links, n_items).T.tocsr() + itself)


def _as_csr(links: Links, n_items: int) -> "csr_array":
    from scipy.sparse import csr_array

    return csr_array((links.weights.astype(np.float32), links.targets, links.indptr), shape=(n_items, n_items))


def _as_links(matrix: "csr_array") -> Links:
    return Links(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), matrix.data)
