"""JSON of strangers, read in turns: other work of the process waits for one piece, never for the whole.

Python's fast parser lets no other thread run until it is at the end, however long that takes: 4 MiB of ``[],[],[]``
hold an event loop up for a quarter of a second. It is taken for documents that are short in this sense, and its slow
twin, which is Python code and so stops for others, for the rest.
"""

import json
import math
from collections.abc import Callable
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]  # the stubs lack what is not documented
from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # as above
from typing import Any

from moorage.json_nesting import NESTING_LIMIT, NestedTooDeep, see_nesting

VALUES_LIMIT = 250_000
"""Values in a manifest that is pushed. 4 MiB of descriptors, the largest index that can be, have some 110,000."""

SHORT_BYTES = 64 << 10
"""A document up to here takes the fast parser less than 10 ms, whatever is in it, and is let go in less."""

_AT_ONCE = 20_000
"""As many values take the fast parser some 10 ms, whatever they are."""
_WRITTEN_AT_ONCE = 10_000
"""As many values are written in 2 ms."""
_PIECE = 2_000
"""Values that are put together, or let go, in one go: a fraction of a millisecond."""

_Scan = Callable[[str, int], Any]
_Pairs = list[tuple[str, Any]]
_PairsHook = Callable[[_Pairs], Any]


class TooManyValues(ValueError):
    """More values than may be in a document."""


def read_json(
    text: str,
    *,
    values_limit: int | None = None,
    object_pairs_hook: _PairsHook | None = None,
    parse_constant: Callable[[str], Any] | None = None,
) -> Any:  # noqa: ANN401 - as json.loads
    """Read a document as :func:`json.loads` does; to be called in a thread of its own if it may be large.

    *object_pairs_hook* may empty the list that it is given, as :func:`object_of` does. What was read of a large
    document is to be let go by :func:`let_go`.

    Raises:
        TooManyValues: it has more than *values_limit* values; it was read no further.
        NestedTooDeep: it is.
        ValueError: as :func:`json.loads` raises it.
    """
    # Each value stands after a comma, or is the first in something. Commas in texts count, too: that costs time alone.
    if len(text) <= SHORT_BYTES or text.count(",") + text.count("[") + text.count("{") < _AT_ONCE:
        see_nesting(text)
        return json.loads(text, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)
    hook = object_pairs_hook or object_of
    return _InTurns(values_limit, object_pairs_hook=hook, parse_constant=parse_constant).decode(text)


def object_of(pairs: _Pairs) -> dict[str, Any]:
    """Return the object of *pairs*; of many, in turns, and they are let go: nobody else may need the list."""
    if len(pairs) <= _PIECE:
        return dict(pairs)
    value: dict[str, Any] = {}
    for at in range(0, len(pairs), _PIECE):
        value.update(pairs[at : at + _PIECE])
    while pairs:
        del pairs[-_PIECE:]
    return value


def write_json(value: object, *, parts: int, **options: Any) -> str:  # noqa: ANN401 - as json.dumps
    """Write *value*, of about so many values, as :func:`json.dumps` does with the same *options*.

    Many are written in turns, as they are read; to be called in a thread of its own then.
    """
    if parts < _WRITTEN_AT_ONCE:
        return json.dumps(value, **options)
    return "".join(json.JSONEncoder(**options).iterencode(value))  # Its fast twin writes in one go alone.


def let_go(value: object, size_bytes: int) -> None:
    """Take apart what was read of a document of so many bytes, piece by piece; nobody else may need a part of it.

    Freed as a whole it would be one call in which no other thread has a turn: 20 ms and more for a large one.
    """
    if size_bytes <= SHORT_BYTES:
        return
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            while part:
                waiting += [inner for inner in part[-_PIECE:] if inner and isinstance(inner, list | dict)]
                del part[-_PIECE:]
        elif isinstance(part, dict):
            while part:
                inner = part.popitem()[1]
                if isinstance(inner, list | dict):
                    waiting.append(inner)


class _InTurns(json.JSONDecoder):
    """The decoder in Python, which counts values, and how deep they are."""

    def __init__(self, values_limit: int | None, **hooks: Any) -> None:  # noqa: ANN401 - the decoder's own
        super().__init__(**hooks)
        self._left = math.inf if values_limit is None else values_limit
        self._depth = 0
        self._scan: _Scan | None = None
        self.parse_array, self.parse_object = self._array, self._object
        self.scan_once = py_make_scanner(self)

    def _array(self, at: tuple[str, int], scan_once: _Scan) -> Any:  # noqa: ANN401 - as json.loads
        self._go_deeper()
        found = JSONArray(at, self._counted(scan_once))
        self._depth -= 1
        return found

    def _object(self, at: tuple[str, int], strict: bool, scan_once: _Scan, *more: Any) -> Any:  # noqa: ANN401, FBT001 - the scanner's call
        self._go_deeper()
        found = JSONObject(at, strict, self._counted(scan_once), *more)
        self._depth -= 1
        return found

    def _go_deeper(self) -> None:
        self._depth += 1
        if self._depth > NESTING_LIMIT:
            raise NestedTooDeep

    def _counted(self, scan_once: _Scan) -> _Scan:
        if self._left == math.inf:
            return scan_once
        if self._scan is None:

            def scan(text: str, at: int) -> Any:  # noqa: ANN401 - as json.loads
                self._left -= 1
                if self._left < 0:
                    raise TooManyValues
                return scan_once(text, at)

            self._scan = scan
        return self._scan
