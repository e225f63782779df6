"""Parse a text as JSON or as a Python literal, of which no code is run."""

import ast
import json
import warnings


def parse_json(text: str) -> object:
    """Return what a text of JSON holds; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parse_literal(text: str) -> object:
    """Return what a Python literal holds; None where it is none.

    Example:
        >>> parse_literal(" {'asin': 'B1'}"), parse_literal("open('x')")
        ({'asin': 'B1'}, None)
    """
    try:
        with warnings.catch_warnings(action="ignore"):  # of a backslash that escapes nothing
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
