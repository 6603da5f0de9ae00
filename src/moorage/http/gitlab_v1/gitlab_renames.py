"""Renaming through GitLab's API: ``PATCH /gitlab/v1/repositories/<name>/``.

Source: GitLab features V1A-020 to V1A-027.
"""

import json
import re
from dataclasses import dataclass

from moorage.core.renames import Renames
from moorage.errors import BodyTooLarge, NameInvalid
from moorage.gitlab_errors import BodyNotJSON, BodyTypeInvalid, BodyValueInvalid, QueryTypeInvalid
from moorage.http.call import Call
from moorage.http.gitlab_v1.gitlab_shapes import moment
from moorage.json_nesting import parse_json
from moorage.oci.names import RepositoryName
from moorage.web.bodies import Bodies
from moorage.web.responses import Response

_BODY_LIMIT_BYTES = 16 << 10

_NAME_PATTERN = "[a-z0-9]+(?:[._-][a-z0-9]+)*"
_NAMESPACE_PATTERN = "[a-zA-Z0-9_-]+(?:/[a-zA-Z0-9_-]+)*"
_NAME = re.compile(_NAME_PATTERN, re.ASCII)
_NAMESPACE = re.compile(_NAMESPACE_PATTERN, re.ASCII)


class RenameHandler:
    """Renames a repository and those below it."""

    def __init__(self, renames: Renames, bodies: Bodies) -> None:
        self._renames = renames
        self._bodies = bodies

    async def rename(self, call: Call) -> Response:
        """Give a repository and all below it another name or another namespace; with `dry_run`, only reserve it."""
        self._renames.check_project(call.name, grant=call.grant)  # Before the body is read.
        is_dry = _is_dry(call.query.first("dry_run"))
        wish = _wish(await self._bodies.whole(call.request, check_size=_check_size))
        target = _target(call.name, wish)
        if is_dry:
            ends_at = await self._renames.reserve(call.name, target, grant=call.grant)
            body = json.dumps({"ttl": moment(ends_at)}, separators=(",", ":")).encode()
            return Response(202, {"Content-Type": "application/json"}, body)
        await self._renames.rename(call.name, target, grant=call.grant, cause=call.cause)
        return Response(204)


@dataclass(frozen=True, slots=True)
class _Wish:
    """The name and the namespace that the body asks for; empty: not asked for."""

    name: str
    namespace: str


def _is_dry(text: str | None) -> bool:
    if text not in (None, "true", "false"):
        msg = "dry_run is true or false"
        raise QueryTypeInvalid(msg, parameter="dry_run", values=["true", "false"])
    return text == "true"


def _check_size(size_bytes: int) -> None:
    if size_bytes > _BODY_LIMIT_BYTES:
        msg = f"the body is larger than {_BODY_LIMIT_BYTES} bytes"
        raise BodyTooLarge(msg, limit=_BODY_LIMIT_BYTES)


def _wish(body: bytes) -> _Wish:
    msg = 'the body is a JSON object with a text: {"name": "…"} or {"namespace": "…"}'
    try:
        value = parse_json(body)
    except ValueError:
        raise BodyNotJSON(msg) from None
    if not isinstance(value, dict):
        raise BodyNotJSON(msg)
    name, namespace = (value.get(key) or "" for key in ("name", "namespace"))
    if not isinstance(name, str) or not isinstance(namespace, str):
        raise BodyNotJSON(msg)
    return _Wish(name, namespace)


def _target(origin: RepositoryName, wish: _Wish) -> RepositoryName:
    """The name that *origin* is to have."""
    parent, _, last = origin.text.rpartition("/")
    if wish.name and wish.namespace:
        msg = "name and namespace cannot be given together"
        raise BodyValueInvalid(msg, parameters=["name", "namespace"])
    if wish.namespace:
        if _NAMESPACE.fullmatch(wish.namespace) is None:
            msg = "namespace is one or more names, joined by '/'"
            raise BodyTypeInvalid(msg, parameter="namespace", pattern=f"^{_NAMESPACE_PATTERN}$")
        if wish.namespace.partition("/")[0] != origin.text.partition("/")[0]:
            msg = "the top-level namespace cannot be changed"
            raise BodyValueInvalid(msg, parameter="namespace")
        parent = wish.namespace
    elif _NAME.fullmatch(wish.name) is None:
        msg = "name is lower-case letters and digits, joined by '.', '_' or '-'"
        raise BodyTypeInvalid(msg, parameter="name", pattern=f"^{_NAME_PATTERN}$")
    try:
        return RepositoryName.parse("/".join(filter(None, (parent, wish.name or last))))
    except NameInvalid as exc:
        raise BodyTypeInvalid(exc.message, parameter="namespace" if wish.namespace else "name") from None
