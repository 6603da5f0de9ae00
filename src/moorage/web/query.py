"""Parameters that stand behind the question mark of a URL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from moorage.errors import ParameterInvalid

_FIELD_LIMIT = 1000


@dataclass(slots=True)
class QueryParameters:
    """The query of a request: every parameter may be there several times."""

    values: Mapping[str, Sequence[str]]

    @classmethod
    def parse(cls, text: str) -> "QueryParameters":
        """Read a query string.

        Raises:
            ParameterInvalid: it has far too many parameters.
        """
        if not text:
            return _NO_QUERY
        try:
            return cls(parse_qs(text, keep_blank_values=True, max_num_fields=_FIELD_LIMIT))
        except ValueError:
            msg = f"a query has at most {_FIELD_LIMIT} parameters"
            raise ParameterInvalid(msg) from None

    def first(self, name: str) -> str | None:
        """The first value of a parameter; None if it is not there."""
        values = self.values.get(name)
        return values[0] if values else None

    def all(self, name: str) -> Sequence[str]:
        """Every value of a parameter."""
        return self.values.get(name, ())


_NO_QUERY = QueryParameters({})
