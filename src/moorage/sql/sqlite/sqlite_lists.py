"""Lists in statements for SQLite, which has no arrays."""

import json

from moorage.sql.base import Value

_PLACES_LIMIT = 1024
"""Items of a list that get a parameter each; there are builds of SQLite that take 32,766 in all."""


def expanded(text: str, args: tuple[Value, ...]) -> tuple[str, tuple[Value, ...]]:
    """Write ``= ANY(?n)``, which SQLite does not have, as ``IN (…)``.

    However long lists are, few different statements come of it: each is prepared once and kept.
    """
    flat: list[Value] = list(args)
    for number, value in enumerate(args, 1):
        if not isinstance(value, (list, tuple)):
            continue
        if value and len(value) <= _PLACES_LIMIT:
            more = [*value[1:], *[value[-1]] * ((1 << (len(value) - 1).bit_length()) - len(value))]
            words = ", ".join(f"?{index}" for index in (number, *range(len(flat) + 1, len(flat) + len(more) + 1)))
            flat[number - 1] = value[0]
            flat += more
        else:
            is_binary = value and isinstance(value[0], bytes)
            item = "from_hex(value)" if is_binary else "value"
            flat[number - 1] = json.dumps([each.hex() for each in value] if is_binary else value)
            words = f"SELECT {item} FROM json_each(?{number})"  # noqa: S608 - nothing of what is asked for
        text = text.replace(f"= ANY(?{number})", f"IN ({words})")
    return text, tuple(flat)
