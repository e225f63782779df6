"""What a file of products says of each: title, brand, categories, and what people viewed as well."""

import html
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

from reviews.columns import SYNONYMS, normalise
from reviews.product_records import Record, read_product_records
from schema.errors import InvalidInput

MAX_CATEGORIES = 32
MAX_CATEGORY_LENGTH = 100
_SYNONYMS: Mapping[str, tuple[str, ...]] = {  # the first that says something counts
    "title": ("title", "name", "producttitle", "productname"),
    "brand": ("brand", "store"),
    "categories": ("categories", "category", "genres"),
}
_ITEM_NAMES = tuple(name for equals in SYNONYMS["item"] for name in equals)
_READ = {*_ITEM_NAMES, *(name for names in _SYNONYMS.values() for name in names), "related", "alsoview"}
_N_FIRST = 1_000  # records by which the name of the ids is chosen


@dataclass(frozen=True)
class Products:
    """What is said of products, by item id; an item of which something is not said is left out there.

    Texts stand on one line, without HTML entities.

    Attributes:
        titles: The title.
        brands: The brand.
        categories: The categories, from the widest to the narrowest, those of the first path first.
        viewed: The item ids of products that people viewed as well.
        n_skipped: Records that could not be read, or had no id.
        warnings: What is only probable of how the file was read, a sentence each.
    """

    titles: dict[str, str] = field(default_factory=dict)
    brands: dict[str, str] = field(default_factory=dict)
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    viewed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    n_skipped: int = 0
    warnings: tuple[str, ...] = ()


def read_products(path: Path, among: Container[str] | None = None) -> Products:
    """Read products from Amazon's metadata (`meta_*.json.gz`), the sample's products, or a table with a header.

    The file may be written and packed as reviews may be, and the item id goes by the same names. Of several such names
    those go first that have most ids of `among`, then those that most often have one. The title is `title`
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
    records, warnings = read_product_records(path, _READ)
    first = list(islice(records, _N_FIRST))
    names = _order_names([record for record in first if record], among or ())
    for record in chain(first, records):
        item_id = _item_id(record, names) if record else ""
        n_products += bool(item_id)
        n_skipped += not item_id
        if record and item_id and (among is None or item_id in among):
            _keep(record, item_id, found)
    if n_skipped and not n_products:
        raise InvalidInput(
            f"{path}: none of {n_skipped:,} records is a product with an id; expected one in asin, parent_asin, "
            "item_id or another name that reviews may have for it. Check that it is a file of products."
        )
    return Products(found.titles, found.brands, found.categories, found.viewed, n_skipped, warnings)


def _order_names(records: Sequence[Record], among: Container[str]) -> list[str]:
    """Return the names of fields that hold ids, as `normalise` spells them, the likeliest first."""
    found: dict[str, list[str]] = {name: [] for name in _ITEM_NAMES}
    for record in records:
        for name, spelt in _spelt(tuple(record), _ITEM_NAMES).items():
            found[name] += filter(None, [_as_id(record[spelt])])
    n_wanted = {name: sum(one in among for one in set(ids)) for name, ids in found.items()}
    return sorted(found, key=lambda name: (n_wanted[name], len(found[name])), reverse=True)


def _item_id(record: Record, names: Iterable[str]) -> str:
    """Return the id by the first of the names that has one; '' where none has."""
    spelt = _spelt(tuple(record), _ITEM_NAMES)
    return next(filter(None, (_as_id(record[spelt[name]]) for name in names if name in spelt)), "")


def _as_id(value: object) -> str:
    """Return an id as reviews have it: text without blanks at its ends, or a whole number; '' for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


@lru_cache(maxsize=4096)
def _spelt(names: tuple[str, ...], known: tuple[str, ...]) -> Mapping[str, str]:
    """Return those of the known names that a record has, as `normalise` spells them -> as the record does."""
    spelt = {normalise(name): name for name in reversed(names)}
    return {name: spelt[name] for name in known if name in spelt}


def _keep(record: Record, item_id: str, found: Products) -> None:
    names = tuple(record)

    def first(what: str) -> Iterable[object]:
        return (record[name] for name in _spelt(names, _SYNONYMS[what]).values())

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
