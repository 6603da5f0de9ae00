"""Named queries, read from ``.sql`` files: ``-- name --`` above each; what follows up to the next name is the text.

Texts use PostgreSQL's parameters (``$1``). Where a dialect needs other words, ``<stem>.sqlite.sql`` or
``<stem>.postgres.sql`` holds the query under the same name. What several queries of a package say is said once, in
``fragments.sql``, and stands in them as ``{name}``.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from moorage.sql.base import NamedQuery

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_FRAGMENT = re.compile(r"\{(\w+)\}")
_PARAMETER = re.compile(r"\$(\d+)")
_CAST = re.compile(r"::[a-z0-9]+(?:\[\])?")


def load_queries(package: str, stem: str = "queries") -> Mapping[str, NamedQuery]:
    """The queries of ``<stem>.sql`` in *package*, by name.

    Raises:
        KeyError: a query names a fragment that there is not.
    """
    fragments = _fragments(package)
    common, sqlite, postgres = (
        {
            name: _FRAGMENT.sub(lambda found: fragments[found[1]], text)
            for name, text in _read(package, f"{stem}{dialect}.sql").items()
        }
        for dialect in ("", ".sqlite", ".postgres")
    )
    sqlite, postgres = common | sqlite, common | postgres
    return {
        name: NamedQuery(name, _for_sqlite(sqlite.get(name, "")), postgres.get(name, ""))
        for name in sorted(sqlite.keys() | postgres.keys())
    }


@cache
def _fragments(package: str) -> Mapping[str, str]:
    return _read(package, "fragments.sql")


def _read(package: str, file_name: str) -> dict[str, str]:
    path = _folder(package) / file_name
    if not path.is_file():
        return {}
    parts = _NAME.split(path.read_text(encoding="utf-8"))
    return {
        name: _COMMENT.sub("", text).strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@cache
def _folder(package: str) -> Path:
    return Path(import_module(package).__path__[0])  # Not importlib.resources, which a start would wait for.


def _for_sqlite(text: str) -> str:
    return _CAST.sub("", _PARAMETER.sub(r"?\1", text))
