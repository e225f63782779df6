"""The invented shop of the sample data: departments, product kinds, brands and readable titles."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BRANDS = (
    "Nordlys", "Arbora", "Kestrel", "Halden", "Lumio", "Brightwell", "Tessera", "Okapi", "Verano", "Moresby",
    "Quillon", "Sandhurst", "Pinecrest", "Ferrum", "Auralis", "Cobalt Bay", "Ridgeway", "Solenne", "Trillium",
    "Umbra Lane", "Wavecrest", "Yarrow", "Zephyr & Co", "Elmstead",
)  # fmt: skip
COLOURS = ("black", "white", "graphite", "navy", "sand")
BRANDS_PER_KIND = 8


@dataclass(frozen=True)
class Kind:
    """One kind of product: its department and shelf, its noun, and the features by which models differ."""

    department: str
    shelf: str
    noun: str
    features: tuple[str, ...]


SAMPLE_PREFIX = "ASAMPLE"
KINDS = (
    Kind("Audio", "Headphones", "over-ear headphones", ("noise cancelling", "wired", "40 h battery", "foldable")),
    Kind("Audio", "Earbuds", "wireless earbuds", ("sweat proof", "24 h case", "low latency", "mini")),
    Kind("Audio", "Speakers", "portable speaker", ("10 W", "20 W", "waterproof", "stereo pair")),
    Kind("Audio", "Turntables", "turntable", ("belt drive", "direct drive", "USB recording", "suitcase")),
    Kind("Cameras", "Lenses", "lens", ("35 mm f/1.8", "50 mm f/1.4", "85 mm f/2", "18-55 mm zoom")),
    Kind("Cameras", "Tripods", "tripod", ("carbon fibre", "aluminium", "desk size", "ball head")),
    Kind("Cameras", "Memory cards", "SD card", ("32 GB", "64 GB", "128 GB", "256 GB")),
    Kind("Cameras", "Camera bags", "camera backpack", ("15 L", "22 L", "rain cover", "sling")),
    Kind("Computers", "Hubs", "USB-C hub", ("4 ports", "7 ports", "with HDMI", "with Ethernet")),
    Kind("Computers", "Keyboards", "keyboard", ("brown switches", "red switches", "low profile", "numeric pad")),
    Kind("Computers", "Mice", "mouse", ("vertical", "silent clicks", "8 buttons", "trackball")),
    Kind("Computers", "Monitors", "monitor", ("24 inch", "27 inch 4K", "32 inch curved", "portable 15 inch")),
    Kind("Gaming", "Controllers", "game controller", ("back paddles", "wired", "hall sticks", "mini")),
    Kind("Gaming", "Headsets", "gaming headset", ("7.1 surround", "wireless", "detachable mic", "light")),
    Kind("Gaming", "Mouse pads", "mouse pad", ("XL cloth", "hard surface", "RGB edge", "wrist rest")),
    Kind("Gaming", "Capture", "capture card", ("1080p60", "4K30", "pass-through", "dual input")),
    Kind("Home", "Smart bulbs", "smart bulb", ("E27 warm", "E14 colour", "GU10 pack of 4", "filament")),
    Kind("Home", "Security cameras", "indoor camera", ("1080p", "2K pan and tilt", "battery", "night vision")),
    Kind("Home", "Routers", "Wi-Fi router", ("AX1800", "AX3000", "mesh 2-pack", "travel size")),
    Kind("Home", "Plugs", "smart plug", ("energy meter", "outdoor", "2-pack", "compact")),
    Kind("Mobile", "Chargers", "USB charger", ("20 W", "65 W", "100 W", "foldable plug")),
    Kind("Mobile", "Cables", "USB-C cable", ("1 m", "2 m", "3 m braided", "right angle")),
    Kind("Mobile", "Power banks", "power bank", ("10,000 mAh", "20,000 mAh", "slim", "magnetic")),
    Kind("Mobile", "Phone mounts", "phone mount", ("car vent", "desk arm", "bike", "magnetic")),
)


@dataclass(frozen=True)
class Catalogue:
    """The sample shop's products; position i of every column describes item i.

    Attributes:
        item_ids: Amazon-shaped ids, some with a leading zero; unique.
        titles: Readable and unique.
        kinds: Index into KINDS.
        brands: Index into BRANDS.
    """

    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    kinds: NDArray[np.int64]
    brands: NDArray[np.int64]


def invent_catalogue(n_items: int, rng: np.random.Generator) -> Catalogue:
    """Invent n_items products, spread evenly over the kinds."""
    kinds = np.arange(n_items) % len(KINDS)
    titles: list[str] = [""] * n_items
    brands = np.zeros(n_items, dtype=np.int64)
    for kind in range(len(KINDS)):
        models = _models(kind)
        order = rng.permutation(len(models))
        for position, item in enumerate(np.flatnonzero(kinds == kind)):
            generation, model = divmod(position, len(models))
            brands[item], title = models[order[model]]
            titles[item] = title if generation == 0 else f"{title} (generation {generation + 1})"
    return Catalogue(invent_item_ids(n_items, rng), tuple(titles), kinds, brands)


def product_record(catalogue: Catalogue, item: int) -> dict[str, object]:
    """Return one line of the products file, in the shape of Amazon's own metadata."""
    kind = KINDS[catalogue.kinds[item]]
    return {
        "asin": catalogue.item_ids[item],
        "title": catalogue.titles[item],
        "brand": BRANDS[catalogue.brands[item]],
        "categories": [["Electronics", kind.department, kind.shelf]],
    }


def invent_item_ids(n_items: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return unique ids: most like B000K3XQ7Z, every 25th ten digits that begin with 0, as a book's."""
    codes = _distinct_codes(n_items, 10**9, rng)
    return tuple(
        f"0{code:09d}" if position % 25 == 0 else f"B00{np.base_repr(code, 36):0>7}"
        for position, code in enumerate(codes)
    )


def invent_user_ids(n_users: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return unique ids like ASAMPLE8Q0ZP4, which no shop gives out."""
    return tuple(f"{SAMPLE_PREFIX}{np.base_repr(code, 36):0>6}" for code in _distinct_codes(n_users, 36**6, rng))


def is_sample_user(user_id: str) -> bool:
    """Return whether a user was invented by this module, so that its data can be called sample data."""
    return user_id.startswith(SAMPLE_PREFIX)


def _models(kind: int) -> list[tuple[int, str]]:
    """Return every (brand, title) that a kind offers: its brands x features x colours."""
    first = 5 * kind
    brands = [(first + step) % len(BRANDS) for step in range(BRANDS_PER_KIND)]
    noun = KINDS[kind].noun
    return [
        (brand, f"{BRANDS[brand]} {noun}, {feature}, {colour}")
        for brand, feature, colour in itertools.product(brands, KINDS[kind].features, COLOURS)
    ]


def _distinct_codes(n: int, limit: int, rng: np.random.Generator) -> list[int]:
    """Draw n distinct whole numbers below limit, in the order in which they were drawn."""
    codes: dict[int, None] = {}
    while len(codes) < n:
        codes.update(dict.fromkeys(rng.integers(0, limit, size=n - len(codes)).tolist()))
    return list(codes)
