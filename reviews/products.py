"""What a file of products says of each: title, brand, categories, and what people viewed as well."""

import html
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from reviews.columns import find_roles, normalise
from reviews.product_records import Record, read_product_records
from schema.errors import InvalidInput

MAX_CATEGORIES = 32
MAX_CATEGORY_LENGTH = 100
_SYNONYMS: Mapping[str, tuple[str, ...]] = {  # the first that says something counts
    "title": ("title", "name", "producttitle", "productname"),
    "brand": ("brand", "store"),
    "categories": ("categories", "category", "genres"),
}


@dataclass(frozen=True)
class Products:
    """What is said of products, by item id; an item of which something is not said is left out there.

    Texts stand on one line, without HTML entities.

    Attributes:
        titles: The title.
        brands: The brand.
        categories: The categories, from the widest to the narrowest, those of the first path first.
        viewed: The item ids of products that people viewed as well.
        n_skipped: Records that could not be read, were longer than a MiB, or had no id.
    """

    titles: dict[str, str] = field(default_factory=dict)
    brands: dict[str, str] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    viewed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    n_skipped: int = 0


def read_products(path: Path, among: Container[str] | None = None) -> Products:
    """Read products from Amazon's metadata (`meta_*.json.gz`), the sample's products, or a table with a header.

    The file may be written and packed as reviews may be, and the item id goes by the same names. The title is `title`
    or `name`. The brand is `brand`, else `store` (2023). Categories are `categories`, paths (2014) or one path (2023),
    else `category` (2018), else `genres`, with "|" between. What people viewed as well is `also_view` (2018), else
    `also_viewed` of `related` (2014). Of a product that comes twice the last that is said of each counts.

    Args:
        path: The file.
        among: The item ids that are wanted; by default all.

    Raises:
        InvalidInput: There is no such file, it is damaged or of a kind that is not read, or no record has an item id.
    """
    if not path.is_file():
        raise InvalidInput(f"No products file at {path}; expected Amazon's meta_*.json.gz. Check the path.")
    found, n_products, n_skipped = Products(), 0, 0
    for record in read_product_records(path):
        item_id = _item_id(record, path) if record else ""
        n_products += bool(item_id)
        n_skipped += not item_id
        if record and item_id and (among is None or item_id in among):
            _keep(record, item_id, found)
    if n_skipped and not n_products:
        raise InvalidInput(
            f"{path}: none of {n_skipped:,} records is a product with an id; expected one in asin, parent_asin, "
            "item_id or another name that reviews may have for it. Check that it is a file of products."
        )
    return Products(found.titles, found.brands, found.categories, found.viewed, n_skipped)


def _item_id(record: Record, path: Path) -> str:
    """Return the id as reviews have it: text without blanks at its ends, or a whole number; '' where there is none."""
    names = _item_names(tuple(record))
    if len(names) > 1:
        raise InvalidInput(
            f"{path} has {len(names)} fields that may hold the item's id: {', '.join(map(repr, names))}; expected one. "
            "Leave the others out."
        )
    value = record[names[0]] if names else None
    is_id = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    return str(value).strip() if is_id else ""


@lru_cache(maxsize=4096)
def _item_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(find_roles(names).get("item", ()))


@lru_cache(maxsize=4096)
def _names(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    spelt = {normalise(name): name for name in reversed(names)}
    return tuple(spelt[one] for one in _SYNONYMS[what] if one in spelt)


def _keep(record: Record, item_id: str, found: Products) -> None:
    names = tuple(record)

    def first(what: str) -> Iterable[object]:
        return (record[name] for name in _names(names, what))

    if title := next(filter(None, map(_one_line, first("title"))), ""):
        found.titles[item_id] = title
    if brand := next(filter(None, map(_one_line, first("brand"))), ""):
        found.brands[item_id] = brand
    if categories := next(filter(None, map(_categories, first("categories"))), ()):
        found.categories[item_id] = categories
    if others := _also_viewed(record):
        found.viewed[item_id] = others


def _also_viewed(record: Record) -> tuple[str, ...]:
    related = record.get("related")
    others = record.get("also_view") or (related.get("also_viewed") if isinstance(related, dict) else None)
    return tuple(filter(None, dict.fromkeys(map(_one_line, others)))) if isinstance(others, list) else ()


def _categories(value: object) -> tuple[str, ...]:
    """Return the categories of a path or of several paths, each once; texts too long for a name are none."""
    parts = value.split("|") if isinstance(value, str) else value if isinstance(value, list) else []
    flat = (one for part in parts for one in (part if isinstance(part, list) else [part]))
    named = dict.fromkeys(name for name in map(_one_line, flat) if 0 < len(name) <= MAX_CATEGORY_LENGTH)
    return tuple(named)[:MAX_CATEGORIES]


def _one_line(text: object) -> str:
    """Return a text on one line, with what UTF-8 cannot hold (lone surrogates) replaced; '' for what is no text."""
    plain = html.unescape(text) if isinstance(text, str) else ""
    return " ".join(plain.split()).encode("utf-8", "replace").decode("utf-8")
