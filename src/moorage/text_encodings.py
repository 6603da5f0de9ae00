"""Encodings of a PostgreSQL database: those that take any text, and what to do about another one."""

from moorage.errors import Mistake

_FIT = frozenset({"UTF8", "SQL_ASCII"})
"""The second keeps the bytes that it is given."""


def mistake_of_encoding(encoding: str, *, key: str, lack: str) -> Mistake | None:
    """Say why a database of this encoding (``server_encoding``) cannot be used; None: it can.

    Args:
        encoding: as the server names it.
        key: the key of the configuration that is wrong then.
        lack: the characters that are needed, as the end of "it does not have every character …".
    """
    if encoding in _FIT:
        return None
    return Mistake(
        key,
        f"the database is encoded in {encoding}, which does not have every character {lack}; make one by "
        "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and load a dump of this one into it",
    )
