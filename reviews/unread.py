"""Find what a file holds and nobody reads, where the reviews are poorer without it."""

from collections.abc import Mapping, Sequence

from reviews.time_forms import is_iso


def doubt_of_dates(roles: Mapping[str, str], unread: Mapping[str, Sequence[object]]) -> str:
    """Return a doubt where no time is read, and most values of a column that is not read are dates.

    Example:
        >>> doubt_of_dates({"user": "who", "item": "what"}, {"bought": ["2015-08-31", None]})
        "'bought' is not read, and holds dates, as 2015-08-31: --columns user=who,item=what,timestamp=bought reads it"
        >>> doubt_of_dates({"user": "who", "item": "what", "timestamp": "when"}, {"bought": ["2015-08-31"]})
        ''
    """
    if "timestamp" in roles:
        return ""
    for name, values in unread.items():
        texts = [text for value in values if value is not None and (text := str(value).strip())]
        if texts and sum(map(is_iso, texts)) * 2 > len(texts):
            named = ",".join(f"{role}={column}" for role, column in {**roles, "timestamp": name}.items())
            return f"{name!r} is not read, and holds dates, as {texts[0]}: --columns {named} reads it"
    return ""
