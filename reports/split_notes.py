"""Sentences on which rows the figures are of: repeats of a pair of user and item, and the k-core."""

from reports.display import format_count, format_part


def say_repeats(n_repeats: int, n_reviews: int, kept: str) -> str:
    r"""Return how many reviews repeat a pair of user and item, and what comes of the one that is kept: first or latest.

    Example:
        >>> say_repeats(4, 10, "first")[-54:]
        'The first counts: what is held out is new to its user.'
    """
    comes_of_it = {
        "first": "what is held out is new to its user",
        "latest": "what is held out may be something that its user had before; --repeats first holds out what is new",
    }
    repeats = f"{format_part(n_repeats, n_reviews)} reviews repeat a pair of user and item"
    return f"{repeats}. The {kept} counts: {comes_of_it[kept]}."


def say_core(k: int, core: str, n_outside: int) -> str:
    """Return which rows the k-core of a split is of, all or those before test, and how many of these it leaves out.

    Example:
        >>> say_core(5, "all", 0)
        'The 5-core is of all rows, those of the test part too, the usual way.'
        >>> say_core(1, "all", 0)
        'A single interaction is enough for a user or an item to be part of the split.'
    """
    if k == 1:
        return "A single interaction is enough for a user or an item to be part of the split."
    if core == "all":
        return f"The {k}-core is of all rows, those of the test part too, the usual way."
    return (
        f"The {k}-core is of the rows before the test part and leaves out {format_count(n_outside)} of them; users and "
        "items outside it count as cold, and the published model alone learns from these rows."
    )
