"""What products say of the items of a dataset: kept with a split, for all models that are fitted to it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from models.base import Content
from reviews.side_files import Products, read_products
from schema.items_by_user import ItemsByUser
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.ingest import raw_file
from tasks.options import PlaceOptions
from tasks.store import read_table

PRODUCTS = "products"
ATTRIBUTES = pa.schema([("item_idx", pa.int32()), ("attribute", pa.string()), ("value", pa.string())])


def write_attributes(places: PlaceOptions, dataset: Manifest, products: Manifest, folder: Path) -> int:
    """Write attributes.parquet (item_idx, attribute, value; one row for each), and return of how many items."""
    item_ids = read_table(places, dataset, layout.ITEM_MAP)["item_id"].to_pylist()
    known = read_products(raw_file(places, products), set(item_ids))
    rows = [(place, *row) for place, item_id in enumerate(item_ids) for row in sorted(_rows_of(known, item_id))]
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    table = pa.table([pa.array(one, of.type) for one, of in zip(columns, ATTRIBUTES, strict=True)], schema=ATTRIBUTES)
    write_parquet([table], folder / layout.ATTRIBUTES, ATTRIBUTES)
    return len({place for place, *_ in rows})


def _rows_of(known: Products, item_id: str) -> Iterator[tuple[str, str]]:
    """Yield the attributes of a product and their values; among those viewed is the product itself."""
    if item_id in known.brands:
        yield "brand", known.brands[item_id]
    yield from (("category", name) for name in known.categories.get(item_id, ()))
    if item_id in known.viewed:
        yield from (("viewed", other) for other in {item_id, *known.viewed[item_id]})


def read_content(places: PlaceOptions, split: Manifest) -> Content | None:
    """Return what is known of the items of a split; None where no products were named."""
    if PRODUCTS not in split.inputs:
        return None
    table, content = read_table(places, split, layout.ATTRIBUTES), {}
    item_idx, attribute = np.asarray(table["item_idx"]), table["attribute"].to_numpy()
    for name in np.unique(attribute):
        is_own = attribute == name
        _, numbers = np.unique(table["value"].to_numpy()[is_own], return_inverse=True)
        content[str(name)] = ItemsByUser.from_pairs(item_idx[is_own], numbers, split.count("n_items"))
    return content


def products_of(places: PlaceOptions, split_id: str) -> Manifest | None:
    """Return the products that were named for a split; None where there were none, or the store no longer has them."""
    store = places.open_store()
    split = artifacts.find(store, layout.SPLITS, split_id)
    return artifacts.find(store, layout.RAW, split.inputs[PRODUCTS]) if split and PRODUCTS in split.inputs else None
