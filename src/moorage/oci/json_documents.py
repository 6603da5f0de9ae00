"""JSON of strangers, read in turns: whoever else has work in the process waits for one piece, never for the whole.

Python's fast parser lets no other thread run until it is at the end, however long that takes: 4 MiB of ``[],[],[]``
hold an event loop up for a quarter of a second. It is taken for documents that are short in this sense, and its slow
twin, which is Python code and so stops for others, for the rest.
"""

import json
from collections.abc import Callable
from json.decoder import JSONArray, JSONObject  # type: ignore[attr-defined]  # the stubs lack what is not documented
from json.scanner import py_make_scanner  # type: ignore[attr-defined]  # as above
from typing import Any

VALUES_LIMIT = 250_000
"""Values in a manifest that is pushed. 4 MiB of descriptors, the largest index that can be, have some 110,000."""

_AT_ONCE = 20_000
"""As many values take the fast parser some 10 ms, whatever they are."""

_Scan = Callable[[str, int], Any]
_PairsHook = Callable[[list[tuple[str, Any]]], Any]


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

    Raises:
        TooManyValues: it has more than *values_limit* values; it was read no further.
        ValueError, RecursionError: as :func:`json.loads` raises them.
    """
    # Each value stands after a comma, or is the first in something. Commas in texts count, too: that costs time alone.
    if text.count(",") + text.count("[") + text.count("{") < _AT_ONCE:
        return json.loads(text, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant)
    return _InTurns(values_limit, object_pairs_hook=object_pairs_hook, parse_constant=parse_constant).decode(text)


class _InTurns(json.JSONDecoder):
    """The decoder in Python, which counts."""

    def __init__(self, values_limit: int | None, **hooks: Any) -> None:  # noqa: ANN401 - the decoder's own
        super().__init__(**hooks)
        self._left = -1 if values_limit is None else values_limit
        self._scan: _Scan | None = None
        if values_limit is not None:
            self.parse_array, self.parse_object = self._array, self._object
        self.scan_once = py_make_scanner(self)

    def _array(self, at: tuple[str, int], scan_once: _Scan) -> Any:  # noqa: ANN401 - as json.loads
        return JSONArray(at, self._counted(scan_once))

    def _object(self, at: tuple[str, int], strict: bool, scan_once: _Scan, *more: Any) -> Any:  # noqa: ANN401, FBT001 - the scanner's call
        return JSONObject(at, strict, self._counted(scan_once), *more)

    def _counted(self, scan_once: _Scan) -> _Scan:
        if self._scan is None:

            def scan(text: str, at: int) -> Any:  # noqa: ANN401 - as json.loads
                self._left -= 1
                if self._left < 0:
                    raise TooManyValues
                return scan_once(text, at)

            self._scan = scan
        return self._scan
