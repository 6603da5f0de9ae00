"""Calls of the control plane's API, without a server between."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.test import Client

API = "/api/v4"


def call(
    client: Client, method: str, path: str, *, token: str = "", job: str = "", values: Mapping[str, Any] | None = None
) -> HttpResponse:
    """Send a request with its raw path, as the server hands it on; *values* are the JSON body."""
    headers = {"PRIVATE-TOKEN": token} if token else {"JOB-TOKEN": job} if job else {}
    target, _, query = path.partition("?")
    found: Any = client.generic(
        method,
        API + target,
        data=json.dumps(values) if values else "",
        content_type="application/json",
        headers=headers,
        QUERY_STRING=query,
        RAW_URI=API + path,
    )
    answer: HttpResponse = found
    return answer
