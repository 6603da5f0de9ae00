"""What :mod:`partitions` asks each variant: the statements of a registry, and the values they are asked with."""

import datetime as dt
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from partition_tables import SHARED_BLOBS

CALLS = 300

_REFERRERS = "SELECT digest, media_type, artifact_type, size, annotations FROM manifests WHERE deleted_at IS NULL AND "

Arguments = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A question. *texts* holds one text for all variants, or one for ``one`` and one for the others."""

    title: str
    texts: tuple[str, ...]
    arguments: Callable[[int], Arguments]
    calls: int = CALLS
    explained: bool = False

    def text(self, layout: str) -> str:
        """The words for a variant."""
        return self.texts[0] if layout == "one" else self.texts[-1]


def _repository(number: int) -> int:
    """Now a large one, now a middling one, now a small one."""
    return (1, 2 + number % 9, 11 + number % 90, 101 + number * 7 % 900)[number % 4]


def _path(repository: int) -> str:
    return f"group{repository % 50}/app{repository}"


def _tag(number: int) -> str:
    return f"build-{1 + number * 7919 % 390:07}"


def _moment(number: int) -> dt.datetime:
    return dt.datetime(2024, 3, 1, tzinfo=dt.UTC) + dt.timedelta(hours=number)


_FIND = (
    "SELECT m.digest, m.media_type, m.payload FROM {repositories} tags t "
    "JOIN manifests m ON {manifest} AND m.deleted_at IS NULL WHERE {repository} AND t.name = $2"
)
_BY_PATH = {"repositories": "repositories r JOIN", "repository": "r.path = $1"}
_BY_ID = {"repositories": "", "repository": "t.repository_id = $1"}
_V1 = (
    "SELECT t.name, m.digest, m.media_type, m.total_size, t.published_at FROM tags t JOIN manifests m ON {manifest} "
    "WHERE t.repository_id = $1 AND (t.published_at, t.name) > ($2, '') ORDER BY t.published_at, t.name LIMIT 101"
)
_SIZE = (
    "SELECT sum(size) FROM blobs WHERE id IN (SELECT l.blob_id FROM tags t JOIN layers l ON {layer} "
    "WHERE t.repository_id = $1)"
)
_INSERT = (
    "INSERT INTO manifests VALUES ($1, $2, sha256($3), '', '', $3, 3, 3, NULL, NULL, NULL, NULL, NULL, now(), NULL) "
    "ON CONFLICT DO NOTHING"
)
_ALONE, _KEYED = "m.id = t.manifest_id", "m.repository_id = t.repository_id AND m.id = t.manifest_id"
_LAYER_ALONE = "l.manifest_id = t.manifest_id"
_LAYER_KEYED = "l.repository_id = t.repository_id AND l.manifest_id = t.manifest_id"


def _find(manifest: str, parts: Mapping[str, str]) -> str:
    text = _FIND.format(manifest=manifest, **parts)
    return text.replace(" tags t JOIN", " tags t ON t.repository_id = r.id JOIN") if "r JOIN" in text else text


CASES = (
    Case(
        "GET by tag, by path in one statement",
        (_find(_ALONE, _BY_PATH), _find(_KEYED, _BY_PATH)),
        lambda n: (_path(_repository(n)), _tag(n)),
        explained=True,
    ),
    Case(
        "GET by tag, the repository's id known",
        (_find(_ALONE, _BY_ID), _find(_KEYED + " AND m.repository_id = $1", _BY_ID)),
        lambda n: (_repository(n), _tag(n)),
    ),
    Case(
        "page of 100 tags",
        ("SELECT name FROM tags WHERE repository_id = $1 AND name > $2 ORDER BY name LIMIT 101",),
        lambda n: (_repository(n), _tag(n)),
        explained=True,
    ),
    Case(
        "V1 page of 100 tags by published_at",
        (_V1.format(manifest=_ALONE), _V1.format(manifest=_KEYED + " AND m.repository_id = $1")),
        lambda n: (_repository(n), _moment(n)),
        explained=True,
    ),
    Case(
        "referrers of a manifest",
        (_REFERRERS + "repository_id = $1 AND subject_digest = $2 AND digest > '' ORDER BY digest LIMIT 101",),
        lambda n: (_repository(n), _digest(_repository(n), 10 * (n % 30) + 9)),
    ),
    Case(
        "size, 4,000 tags",
        (_SIZE.format(layer=_LAYER_ALONE), _SIZE.format(layer=_LAYER_KEYED + " AND l.repository_id = $1")),
        lambda n: (11 + n % 90,),
        calls=8,
        explained=True,
    ),
    Case(
        "who has this layer (no repository given)",
        ("SELECT manifest_id FROM layers WHERE blob_id = $1 LIMIT 1",),
        lambda n: (SHARED_BLOBS + 1 + n * 7919 % 1000,),
        explained=True,
    ),
    Case(
        "move a tag",
        ("UPDATE tags SET updated_at = $3, published_at = $3 WHERE repository_id = $1 AND name = $2",),
        lambda n: (_repository(n), _tag(n), _moment(n)),
    ),
    Case(
        "insert a manifest",
        (_INSERT,),
        lambda n: (10**7 + time.perf_counter_ns(), _repository(n), time.perf_counter_ns().to_bytes(512, "big")),
    ),
)

_BY_TAG = "FROM journal WHERE repository_id = $1 AND tag = $2"
JOURNAL_CASES = (
    Case(
        "history of a tag, newest 100",
        (f"SELECT id, at, actor, from_digest, to_digest {_BY_TAG} ORDER BY id DESC LIMIT 101",),
        lambda n: (1 + n % 1000, f"tag-{n % 200}"),
        explained=True,
    ),
    Case(
        "history of a repository, newest 100",
        ("SELECT id, at, tag, to_digest FROM journal WHERE repository_id = $1 ORDER BY id DESC LIMIT 101",),
        lambda n: (1 + n % 1000,),
    ),
    Case(
        "digest of a tag as of a time",
        (f"SELECT to_digest {_BY_TAG} AND at <= $3 ORDER BY id DESC LIMIT 1",),
        lambda n: (1 + n % 1000, f"tag-{n % 200}", _moment(n)),
    ),
    Case(
        "what one request did",
        ("SELECT id, tag, from_digest FROM journal WHERE request_id = md5($1::text) ORDER BY id DESC",),
        lambda n: (str(n * 7919 % 100_000),),
    ),
    Case(
        "add a row",
        ("INSERT INTO journal VALUES ($1, $2, 'request', '', '', 'tag_move', 1, '', 'x', NULL, NULL, NULL)",),
        lambda _: (10**9 + time.perf_counter_ns(), dt.datetime(2025, 12, 1, tzinfo=dt.UTC)),
    ),
)


def _digest(repository: int, place: int) -> bytes:
    return b"\x01" + hashlib.sha256(f"{repository}:{place}".encode()).digest()
