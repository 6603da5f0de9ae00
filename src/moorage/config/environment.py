"""``REGISTRY_*`` variables: which key each one names, and putting its value there.

Source: GitLab ``configuration/parser.go``; features CFP-004 to CFP-010.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from moorage.config.schema import Node
from moorage.errors import Mistake

PREFIX = "REGISTRY_"
_NOT_KEYS = frozenset({"REGISTRY_CONFIGURATION_PATH"})
_FLAG_PREFIX = "REGISTRY_FF_"

_WHOLE_WORDS = frozenset(
    """
    AZURE_V2 S3_V2 CREDENTIALS_TYPE TENANT_ID CLIENT_ID DEFAULT_CREDENTIALS CLIENT_SECRET SHARED_KEY MAX_RETRIES
    RETRY_TRY_TIMEOUT RETRY_DELAY MAX_RETRY_DELAY DEBUG_LOG DEBUG_LOG_EVENTS API_POOL_INITIAL_INTERVAL
    API_POOL_MAX_INTERVAL API_POOL_MAX_ELAPSED_TIME CHECKSUM_ALGORITHM CHECKSUM_DISABLED STORAGE_CLASS
    REDUCED_REDUNDANCY BUCKET_OWNER_FULL_CONTROL PRIVATE_KEY_ID PRIVATE_KEY CLIENT_EMAIL AUTH_URI TOKEN_URI
    AUTH_PROVIDER_X509_CERT_URL CLIENT_X509_CERT_URL PROJECT_ID MIN_URL_VALIDITY DEFAULT_URL_VALIDITY DRY_RUN
    """.split()  # noqa: SIM905 - a list of words reads better than thirty strings
)
"""Names with underscores, which are not taken apart."""

_PART = re.compile(rf"(?:{'|'.join(sorted(_WHOLE_WORDS, key=len, reverse=True))})(?=_|$)|[^_]+")


class Overrides:
    """Puts the values of variables into the mapping that the file gave."""

    def __init__(self, schema: Node) -> None:
        self._schema = schema
        self.mistakes: list[Mistake] = []
        self.warnings: list[str] = []

    def apply(self, data: dict[str, Any], environ: Mapping[str, str]) -> None:
        """Override *data*, by the names of the variables in their order: the general before the particular."""
        for name in sorted(environ):
            if not name.upper().startswith(PREFIX) or name in _NOT_KEYS or name.startswith(_FLAG_PREFIX):
                continue
            try:
                value = yaml.safe_load(environ[name])
            except yaml.YAMLError:
                self.mistakes.append(Mistake(name, "the value is not YAML"))
                continue
            parts = split(name[len(PREFIX) :])
            if not parts or not self._put(data, self._schema, parts, value):
                self.warnings.append(f"ignoring unrecognized environment variable {name}")

    def _put(self, data: dict[str, Any], node: Node, parts: list[str], value: object) -> bool:
        """Put *value* where *parts* lead; whether they lead anywhere."""
        found = self._child(node, parts[0])
        if found is None:
            return False
        key, child = found
        if len(parts) == 1:
            data[key] = value
            return True
        if child.items is not None:
            return self._put_item(data, key, child.items, parts=parts[1:], value=value)
        if child.children is None and child.values is None:
            return False
        if not isinstance(data.get(key), dict):
            # A bare word is a section without values: `storage: filesystem`.
            data[key] = {data[key]: {}} if isinstance(data.get(key), str) and child.children else {}
        below: dict[str, Any] = data[key]
        return self._put(below, child, parts[1:], value)

    def _put_item(self, data: dict[str, Any], key: str, items: Node, *, parts: list[str], value: object) -> bool:
        listed = data[key] if isinstance(data.get(key), list) else []
        if not parts[0].isascii() or not parts[0].isdigit() or len(parts[0]) > 6 or int(parts[0]) > len(listed):  # noqa: PLR2004 - digits of a sane index
            return False
        index = int(parts[0])
        listed = [*listed, *([{}] if index == len(listed) else [])]
        if len(parts) == 1:
            listed[index] = value
        else:
            item = dict(listed[index]) if isinstance(listed[index], dict) else {}
            if not self._put(item, items, parts[1:], value):
                return False
            listed[index] = item
        data[key] = listed
        return True

    @staticmethod
    def _child(node: Node, part: str) -> tuple[str, Node] | None:
        if node.children is not None:
            for key, child in node.children.items():
                # A key with an underscore goes by its field's name: rate_limiter by RATELIMITER.
                if part.upper() in (key.upper(), key.replace("_", "").upper()):
                    return key, child
            return None
        if node.values is not None:
            return part.lower(), node.values
        return None


def split(text: str) -> list[str]:
    """The parts of a variable's name: ``STORAGE_S3_V2_BUCKET`` is storage, s3_v2, bucket."""
    return _PART.findall(text.upper())
