"""A bucket of Google Cloud Storage in memory, as strict as Google's: what it answers, without HTTP.

No emulator checks preconditions, resumed uploads and signatures together; see ``support/gcs_fake.py``.
Source: the reference of the JSON API, and of resumable uploads.
"""

import base64
import bisect
import hashlib
import itertools
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

STEP_BYTES = 256 << 10
COMPOSED_AT_MOST = 32


class Refusal(Exception):
    """An answer that is none of success, with Google's word for its reason."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


@dataclass(slots=True)
class GCSObject:
    """An object as it is now; a change makes another generation of it."""

    name: str
    content: bytes
    content_type: str
    generation: int
    updated: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    components: int = 0

    def resource(self, bucket: str) -> dict[str, object]:
        """Describe it as the JSON API does: numbers as text, and no MD5 of what was composed."""
        found: dict[str, object] = {
            "kind": "storage#object",
            "name": self.name,
            "bucket": bucket,
            "generation": str(self.generation),
            "metageneration": "1",
            "size": str(len(self.content)),
            "contentType": self.content_type,
            "updated": self.updated.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "etag": f"etag-{self.generation}",
            "metadata": dict(self.metadata),
        }
        if self.components:
            found["componentCount"] = self.components
        else:
            digest = hashlib.md5(self.content, usedforsecurity=False).digest()
            found["md5Hash"] = base64.b64encode(digest).decode()
        return found


@dataclass(slots=True)
class Session:
    """A resumable upload."""

    name: str
    content_type: str
    conditions: Mapping[str, str]
    content: bytearray = field(default_factory=bytearray)
    result: GCSObject | None = None
    is_cancelled: bool = False


class GCSBucket:
    """Objects, unfinished uploads and rewrites of one bucket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, GCSObject] = {}
        self.sessions: dict[str, Session] = {}
        self.rewrites: dict[str, int] = {}
        self.rewritten_at_once = 1 << 20
        """Bytes that one rewrite copies; the caller comes again with the token for the rest."""
        self.persisted_at_once = 1 << 40
        """Bytes of a chunk that are kept; the sender has to send the others again."""
        self.page_limit = 1000
        self.about: dict[str, object] = {}
        """What an administrator has set for the bucket, as Google shows it."""
        self._generations = itertools.count(1_700_000_000_000_000)

    def find(self, name: str, conditions: Mapping[str, str], *, source: bool = False) -> GCSObject:
        """Give the object, if it is there and as the caller thinks."""
        found = self.objects.get(name)
        if found is None:
            raise Refusal(404, "notFound", f"No such object: {self.name}/{name}")
        wanted = conditions.get("ifSourceGenerationMatch" if source else "ifGenerationMatch")
        if wanted is not None and int(wanted) != found.generation:
            _unmet("ifSourceGenerationMatch" if source else "ifGenerationMatch")
        if not source and conditions.get("ifGenerationNotMatch") == str(found.generation):
            raise Refusal(304, "notModified", "Not Modified")
        if conditions.get("generation", str(found.generation)) != str(found.generation):
            raise Refusal(404, "notFound", f"No such object: {self.name}/{name}")
        return found

    def check(self, name: str, conditions: Mapping[str, str]) -> None:
        """Refuse a write that was meant for another generation; 0 is an object that is not there."""
        found = self.objects.get(name)
        generation = found.generation if found else 0
        if int(conditions.get("ifGenerationMatch", generation)) != generation:
            _unmet("ifGenerationMatch")
        if "ifGenerationNotMatch" in conditions and int(conditions["ifGenerationNotMatch"]) == generation:
            _unmet("ifGenerationNotMatch")
        if "ifMetagenerationMatch" in conditions and (found is None or conditions["ifMetagenerationMatch"] != "1"):
            _unmet("ifMetagenerationMatch")

    def store(
        self,
        name: str,
        content: bytes,
        content_type: str,
        *,
        metadata: Mapping[str, str] | None = None,
        components: int = 0,
    ) -> GCSObject:
        """Make it the object."""
        if not 0 < len(name.encode()) <= 1024 or set("\r\n") & set(name) or name in {".", ".."}:
            raise Refusal(400, "invalid", f"Invalid object name: {name!r}")
        made = GCSObject(
            name, content, content_type, next(self._generations), datetime.now(UTC), metadata or {}, components
        )
        self.objects[name] = made
        return made

    def delete(self, name: str, conditions: Mapping[str, str]) -> None:
        """Remove the object."""
        self.find(name, conditions)
        self.check(name, conditions)
        del self.objects[name]

    def compose(self, sources: list[dict[str, object]], name: str, conditions: Mapping[str, str]) -> GCSObject:
        """Join up to 32 objects."""
        if not 0 < len(sources) <= COMPOSED_AT_MOST:
            raise Refusal(400, "invalid", "The number of source components provided is not between 1 and 32")
        found = [self.find(str(source["name"]), {}) for source in sources]
        for source, there in zip(sources, found, strict=True):
            if str(source.get("generation") or there.generation) != str(there.generation):
                raise Refusal(404, "notFound", f"No such object: {self.name}/{there.name}")
        self.check(name, conditions)
        components = sum(max(one.components, 1) for one in found)
        return self.store(name, b"".join(one.content for one in found), found[0].content_type, components=components)

    def rewrite(self, source: str, name: str, query: Mapping[str, str]) -> dict[str, object]:
        """Copy the next bytes of an object; with the last of them it is there."""
        found = self.find(source, query, source=True)
        self.check(name, query)
        token = query.get("rewriteToken", "")
        if token and token not in self.rewrites:
            raise Refusal(400, "invalid", "Invalid rewriteToken")
        done = min(self.rewrites.pop(token, 0) + self.rewritten_at_once, len(found.content))
        answer: dict[str, object] = {
            "kind": "storage#rewriteResponse",
            "totalBytesRewritten": str(done),
            "objectSize": str(len(found.content)),
            "done": done == len(found.content),
        }
        if answer["done"]:
            answer["resource"] = self.store(name, found.content, found.content_type).resource(self.name)
        else:
            answer["rewriteToken"] = secrets.token_urlsafe()
            self.rewrites[str(answer["rewriteToken"])] = done
        return answer

    def page(self, query: Mapping[str, str]) -> dict[str, object]:
        """List a page: objects, and folded prefixes in the place of what is below them, counted together."""
        limit = min(int(query.get("maxResults", "1000")) or 1000, self.page_limit)
        items: list[dict[str, object]] = []
        prefixes: list[str] = []
        answer: dict[str, object] = {"kind": "storage#objects"}
        last = ""
        for key in self._folded(query):
            if len(items) + len(prefixes) == limit:
                answer["nextPageToken"] = base64.urlsafe_b64encode(last.encode()).decode()
                break
            last = key
            if key in self.objects:
                items.append(self.objects[key].resource(self.name))
            else:
                prefixes.append(key)
        return answer | ({"items": items} if items else {}) | ({"prefixes": prefixes} if prefixes else {})

    def _folded(self, query: Mapping[str, str]) -> Iterator[str]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after = base64.urlsafe_b64decode(query.get("pageToken", "")).decode()
        names = sorted(self.objects, key=str.encode)
        start = max(prefix, query.get("startOffset", ""))
        folded = ""
        for name in names[bisect.bisect_left(names, start.encode(), key=str.encode) :]:
            if not name.startswith(prefix) or ("endOffset" in query and name >= query["endOffset"]):
                break
            head, found, _ = name.removeprefix(prefix).partition(delimiter) if delimiter else (name, "", "")
            key = prefix + head + delimiter if found else name
            if key.encode() > after.encode() and key != folded:
                yield key
            folded = key if found else folded

    def begin(self, name: str, content_type: str, query: Mapping[str, str]) -> str:
        """Begin a resumable upload, and give its identifier, which lets whoever has it write."""
        self.check(name, query)
        token = secrets.token_urlsafe(48)
        self.sessions[token] = Session(name, content_type, dict(query))
        return token

    def session(self, token: str) -> Session:
        """Give a resumable upload that can be gone on with or asked about."""
        found = self.sessions.get(token)
        if found is None:
            raise Refusal(404, "notFound", "Upload session not found")
        if found.is_cancelled:
            raise Refusal(499, "cancelled", "Client Closed Request")
        return found

    def resume(self, session: Session, chunk: bytes, said: str) -> GCSObject | None:
        """Take what came with the Content-Range *said*; give the object once it is whole."""
        if session.result is not None:
            return session.result
        place, _, total = said.removeprefix("bytes ").partition("/")
        if place != "*":
            self._take(session, chunk, place, is_last=total != "*")
        elif chunk:
            raise Refusal(400, "invalid", "A status query has no body")
        if total == "*" or int(total) > len(session.content):
            return None
        if int(total) < len(session.content):
            raise Refusal(400, "invalid", "More bytes were kept than the object is said to have")
        self.check(session.name, session.conditions)
        session.result = self.store(session.name, bytes(session.content), session.content_type)
        return session.result

    def _take(self, session: Session, chunk: bytes, place: str, *, is_last: bool) -> None:
        start, _, end = place.partition("-")
        if int(end) - int(start) + 1 != len(chunk):
            raise Refusal(400, "invalid", "Content-Range does not match the body")
        if not is_last and len(chunk) % STEP_BYTES:
            raise Refusal(400, "badRequest", "Chunks but the last have a multiple of 256 KiB")
        if int(start) > len(session.content):
            raise Refusal(503, "backendError", "Bytes are missing before this chunk")
        fresh = chunk[len(session.content) - int(start) :]
        kept = fresh[: self.persisted_at_once]
        if len(kept) < len(fresh):
            kept = kept[: len(kept) // STEP_BYTES * STEP_BYTES]
        session.content += kept


def _unmet(condition: str) -> NoReturn:
    raise Refusal(412, "conditionNotMet", f"At least one of the pre-conditions you specified did not hold: {condition}")
