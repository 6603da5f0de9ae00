"""Named queries, read from ``.sql`` files: ``-- name --`` above each; what follows up to the next name is the text.

Texts use PostgreSQL's parameters (``$1``). Where a dialect needs other words, ``<stem>.sqlite.sql`` or
``<stem>.postgres.sql`` holds the query under the same name.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

from moorage.sql.base import Query

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_PARAMETER = re.compile(r"\$(\d+)")
_CAST = re.compile(r"::[a-z0-9]+(?:\[\])?")


def load_queries(package: str, stem: str = "queries") -> Mapping[str, Query]:
    """The queries of ``<stem>.sql`` in *package*, by name."""
    common = _read(package, f"{stem}.sql")
    sqlite = common | _read(package, f"{stem}.sqlite.sql")
    postgres = common | _read(package, f"{stem}.postgres.sql")
    return {
        name: Query(name, _for_sqlite(sqlite.get(name, "")), postgres.get(name, ""))
        for name in sorted(sqlite.keys() | postgres.keys())
    }


def _read(package: str, file_name: str) -> dict[str, str]:
    path = files(package) / file_name
    if not path.is_file():
        return {}
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    return {
        name: _COMMENT.sub("", text).strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def _for_sqlite(text: str) -> str:
    return _CAST.sub("", _PARAMETER.sub(r"?\1", text))
