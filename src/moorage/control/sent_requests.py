"""Requests as clients have sent them, whatever they say of their encoding."""

from collections.abc import Mapping
from typing import Any

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.utils.http import parse_header_parameters


class SentRequest(WSGIRequest):
    """A request whose forms and query are UTF-8, whatever ``charset`` the client names, as GitLab reads them too.

    Some of the names that Python knows are of no encoding of text, such as ``hex``. Django looks at them where nothing
    can be answered yet, so that one would be a fault of ours.
    """

    def _set_content_type_params(self, meta: Mapping[str, Any]) -> None:
        try:
            self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except ValueError:
            self.content_type, self.content_params = "", {}  # As without the header.


class _Handler(WSGIHandler):
    request_class = SentRequest


def wsgi_application() -> WSGIHandler:
    """Return the application of the control plane, once Django has started."""
    django.setup(set_prefix=False)
    return _Handler()
