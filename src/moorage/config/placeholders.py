"""Words in angle brackets that a guide has where a value belongs, such as ``<your_s3_bucket>``."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from moorage.errors import Mistake

_PLACEHOLDER = re.compile(r"<[A-Za-z][A-Za-z0-9_. -]*>")


def left_placeholders(storage: Mapping[str, Any], path: str = "storage") -> Iterator[Mistake]:
    """Yield a mistake for each placeholder in the section that says where the images are.

    As a folder's name it would be made, and an empty registry served from it; as a bucket's it is asked for in vain.
    """
    for key, value in storage.items():
        if isinstance(value, Mapping):
            yield from left_placeholders(value, f"{path}.{key}")
        elif isinstance(value, str) and _PLACEHOLDER.fullmatch(value):
            # It is not shown: it may be a secret after all.
            yield Mistake(f"{path}.{key}", "is a guide's placeholder in angle brackets; write your own value")
