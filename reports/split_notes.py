"""Sentences on which rows the figures are of: repeats of a pair of user and item, and the k-core."""

from reports.display import format_part


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
