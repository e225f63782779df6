"""What products say of the items of a dataset: kept with a split, for all models that are fitted to it."""

from collections.abc import Container, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from loguru import logger

from models.base import Content
from reviews.checks import right_item_ids
from reviews.products import Products, read_products
from schema.items_by_user import ItemsByUser
from storage import artifacts, layout
from storage.manifest import Manifest
from storage.parquet import write_parquet
from tasks.ingest import raw_file
from tasks.options import PlaceOptions
from tasks.store import read_table

PRODUCTS = "products"
ATTRIBUTES = pa.schema([("item_idx", pa.int32()), ("attribute", pa.string()), ("value", pa.string())])


def read_raw_products(places: PlaceOptions, products: Manifest, among: Container[str] | None = None) -> Products:
    """Return what a raw file of products says, and log what is only probable, or left out, of it."""
    path = raw_file(places, products)
    known = read_products(path, among)
    skipped = (f"{known.n_skipped:,} records are no product with an id, and left out",) if known.n_skipped else ()
    for warning in (*known.warnings, *skipped):
        logger.warning("{}: {}", path.name, warning)
    return known


def write_attributes(places: PlaceOptions, dataset: Manifest, products: Manifest, folder: Path) -> int:
    """Write attributes.parquet, as `tabulate_attributes` gives them, and return of how many items something is said."""
    item_ids = read_table(places, dataset, layout.ITEM_MAP)["item_id"].to_pylist()
    table = tabulate_attributes(read_raw_products(places, products, set(item_ids)), item_ids)
    write_parquet([table], folder / layout.ATTRIBUTES, ATTRIBUTES)
    return len(pc.unique(table["item_idx"]))


def add_new_items(places: PlaceOptions, products: Manifest, folder: Path) -> int:
    """Append to item_map.parquet of a dataset, by id, the products that it lacks and of which something is known.

    Those are left out whose ids an ingest would refuse in reviews.

    Returns:
        How many there are.
    """
    path, known = folder / layout.ITEM_MAP, read_raw_products(places, products)
    item_map = pq.read_table(path)
    described = known.brands.keys() | known.categories.keys() | known.viewed.keys()
    lacking = described - set(item_map["item_id"].to_pylist())
    new = sorted(right_item_ids(lacking), key=str.encode)
    places_of_new = np.arange(item_map.num_rows, item_map.num_rows + len(new))
    added = pa.table([pa.array(places_of_new, pa.int32()), pa.array(new, pa.string())], schema=item_map.schema)
    write_parquet([item_map, added], path, item_map.schema)
    logger.info("{:,} new items, of which there is nothing but what {} says", len(new), products.files[0].path)
    if n_refused := len(lacking) - len(new):
        logger.warning("{:,} products left out: reviews with such item ids would be refused", n_refused)
    return len(new)


def tabulate_attributes(known: Products, item_ids: Sequence[str]) -> pa.Table:
    """Return item_idx, attribute and value of items, one row for each; among those viewed is the item itself.

    Example:
        >>> tabulate_attributes(Products(brands={"b": "Arbora"}, viewed={"b": ("c",)}), ["a", "b"]).to_pydict()
        {'item_idx': [1, 1, 1], 'attribute': ['brand', 'viewed', 'viewed'], 'value': ['Arbora', 'b', 'c']}
    """
    rows = [(place, *row) for place, item_id in enumerate(item_ids) for row in sorted(_rows_of(known, item_id))]
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    return pa.table([pa.array(one, of.type) for one, of in zip(columns, ATTRIBUTES, strict=True)], schema=ATTRIBUTES)


def _rows_of(known: Products, item_id: str) -> Iterator[tuple[str, str]]:
    if item_id in known.brands:
        yield "brand", known.brands[item_id]
    yield from (("category", name) for name in known.categories.get(item_id, ()))
    if item_id in known.viewed:
        yield from (("viewed", other) for other in {item_id, *known.viewed[item_id]})


def read_content(places: PlaceOptions, split: Manifest) -> Content | None:
    """Return what is known of the items of a split; None where no products were named."""
    if PRODUCTS not in split.inputs:
        return None
    return number_values(read_table(places, split, layout.ATTRIBUTES), split.count("n_items"))


def number_values(table: pa.Table, n_items: int) -> Content:
    """Return the numbers of the values of each attribute of each item, from item_idx, attribute and value."""
    content = {}
    for name in pc.unique(table["attribute"]).to_pylist():
        own = table.filter(pc.field("attribute") == name).combine_chunks()
        numbers = own["value"].combine_chunks().dictionary_encode().indices.to_numpy()
        content[name] = ItemsByUser.from_pairs(own["item_idx"].to_numpy(), numbers, n_items)
    return content


def products_of(places: PlaceOptions, split_id: str) -> Manifest | None:
    """Return the products that were named for a split; None where there were none, or the store no longer has them."""
    store = places.open_store()
    split = artifacts.find(store, layout.SPLITS, split_id)
    return artifacts.find(store, layout.RAW, split.inputs[PRODUCTS]) if split and PRODUCTS in split.inputs else None
