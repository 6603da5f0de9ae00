"""Google Cloud Storage on the loopback, strict where emulators are lax: tokens, preconditions, uploads, signed URLs.

A thread with its own event loop serves the JSON API, the token endpoint of a service account, IAM's ``signBlob``, and
objects by signed URLs. Source: the reference of the JSON API, of resumable uploads and of V4 signatures.
"""

import asyncio
import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import TracebackType
from typing import NoReturn, Self
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from support.gcs_objects import GCSBucket, Refusal, Session

EMAIL = "registry@project.iam.gserviceaccount.com"
BATCH_AT_MOST = 100
_DEADLINE_S = 30.0
_WEEK_S = 604_800
_OBJECT = re.compile(r"/(?:download/)?storage/v1/b/(?P<bucket>[^/?]+)/o/(?P<name>[^/?]+)(?P<rest>/.*)?")
_FOLDER = re.compile(r"(?P<upload>/upload)?/storage/v1/b/(?P<bucket>[^/?]+)/o")
_BUCKET = re.compile(r"/storage/v1/b/(?P<bucket>[^/?]+)(?P<rest>/.*)?")
_REWRITE = re.compile(r"/rewriteTo/b/[^/]+/o/(?P<name>[^/]+)")


class GCSFake:
    """``with GCSFake() as fake:`` serves at ``fake.url``; every bucket must have been made by :meth:`make`."""

    def __init__(self) -> None:
        self.buckets: dict[str, GCSBucket] = {}
        self.requests: list[str] = []
        """Method and path with query of each request, those of batches too."""
        self.tokens: set[str] = set()
        self.denied: set[str] = set()
        """Permissions that nobody has, such as ``storage.objects.list``."""
        self.refuse: Callable[[str, str], Refusal | None] = lambda _method, _target: None
        """What to answer instead, by method and path with query."""
        self.takes_anyone = False
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gcs")
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(_DEADLINE_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_DEADLINE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        self._loop.close()

    def make(self, name: str = "registry") -> GCSBucket:
        """Make a bucket with nothing in it."""
        self.buckets[name] = GCSBucket(name)
        return self.buckets[name]

    def key(self) -> dict[str, str]:
        """Give the key file's content of a service account that may do what is not denied."""
        return self.key_of(f"{self.url}/token")

    @staticmethod
    def key_of(token_uri: str) -> dict[str, str]:
        """Give the same for an account that gets its tokens at another place."""
        private = _key().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "key-1",
            "private_key": private.decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": token_uri,
        }

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 40)
        app.router.add_route("*", "/{rest:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _serve(self, request: web.Request) -> web.StreamResponse:  # noqa: PLR0911 - one for each service
        body = await request.read()
        target = request.raw_path
        try:
            if request.path == "/token":
                return web.json_response(self._token(body.decode()))
            if target.startswith("/computeMetadata/") or target == "/":
                return self._metadata(request)
            if "X-Goog-Signature=" in target:
                self.requests.append(f"{request.method} {target}")
                return self._signed(request)
            if not self.takes_anyone and "upload_id=" not in target:  # Who has a session's address may write.
                self._authorize(request.headers.get("Authorization", ""))
            if request.path.endswith(":signBlob"):
                return web.json_response(self._sign_blob(json.loads(body)))
            if request.path == "/batch/storage/v1":
                return self._batch(request, body)
            return self._answer(_Request(request.method, target, request.headers, body))
        except Refusal as exc:
            return _refused(exc)

    def _answer(self, request: "_Request") -> web.Response:
        self.requests.append(f"{request.method} {request.target}")
        refusal = self.refuse(request.method, request.target)
        if refusal is not None:
            raise refusal
        if found := _OBJECT.fullmatch(request.path):
            return self._object(request, self._bucket(found["bucket"]), unquote(found["name"]), found["rest"] or "")
        if found := _FOLDER.fullmatch(request.path):
            bucket = self._bucket(found["bucket"])
            if found["upload"]:
                return self._upload(request, bucket)
            self._need("storage.objects.list")
            return web.json_response(bucket.page(request.query))
        if found := _BUCKET.fullmatch(request.path):
            return self._about(request, self._bucket(found["bucket"]), found["rest"] or "")
        raise Refusal(404, "notFound", "Not Found")

    def _object(self, request: "_Request", bucket: GCSBucket, name: str, rest: str) -> web.Response:
        query = request.query
        if request.method == "DELETE":
            self._need("storage.objects.delete")
            bucket.delete(name, query)
            return web.Response(status=204)
        if rest == "/compose" and request.method == "POST":
            self._need("storage.objects.create", "storage.objects.get")
            return web.json_response(bucket.compose(request.json()["sourceObjects"], name, query).resource(bucket.name))
        if (found := _REWRITE.fullmatch(rest)) and request.method == "POST":
            self._need("storage.objects.create", "storage.objects.get")
            return web.json_response(bucket.rewrite(name, unquote(found["name"]), query))
        if request.method != "GET" or rest:
            raise Refusal(405, "methodNotAllowed", "Method Not Allowed")
        self._need("storage.objects.get")
        if name not in bucket.objects and "storage.objects.list" in self.denied:
            _no_permission("storage.objects.list")
        there = bucket.find(name, query)
        if query.get("alt") != "media":
            return web.json_response(there.resource(bucket.name))
        return _content(there.content, there.content_type, request.headers.get("Range"), there.generation)

    def _upload(self, request: "_Request", bucket: GCSBucket) -> web.Response:
        query = request.query
        if "upload_id" in query:
            return self._resume(request, bucket)
        self._need("storage.objects.create")
        if query["uploadType"] == "multipart":
            return self._multipart(request, bucket)
        name = query.get("name") or str(request.json()["name"])
        if name in bucket.objects:
            self._need("storage.objects.delete")
        if query["uploadType"] == "resumable":
            token = bucket.begin(name, request.headers.get("X-Upload-Content-Type", ""), query)
            return web.Response(
                headers={"Location": f"http://{request.headers['Host']}{request.target}&upload_id={token}"}
            )
        bucket.check(name, query)
        made = bucket.store(name, request.body, request.headers.get("Content-Type", ""))
        return web.json_response(made.resource(bucket.name))

    def _multipart(self, request: "_Request", bucket: GCSBucket) -> web.Response:
        boundary = request.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
        _, about, media, _ = (b"\r\n" + request.body).split(b"\r\n--" + boundary)
        said = json.loads(about.partition(b"\r\n\r\n")[2])
        bucket.check(said["name"], request.query)
        content = media.partition(b"\r\n\r\n")[2]
        made = bucket.store(said["name"], content, said["contentType"], metadata=said.get("metadata"))
        return web.json_response(made.resource(bucket.name))

    def _resume(self, request: "_Request", bucket: GCSBucket) -> web.Response:
        session = bucket.session(request.query["upload_id"])
        if request.method == "DELETE":
            session.is_cancelled = True
            return web.Response(status=499, reason="Client Closed Request")
        made = bucket.resume(session, request.body, request.headers.get("Content-Range", ""))
        return _incomplete(session) if made is None else web.json_response(made.resource(bucket.name))

    def _about(self, request: "_Request", bucket: GCSBucket, rest: str) -> web.Response:
        if rest == "/iam/testPermissions":
            asked = parse_qs(urlsplit(request.target).query)["permissions"]
            return web.json_response({"permissions": [name for name in asked if name not in self.denied]})
        self._need("storage.buckets.get")
        return web.json_response(
            {"kind": "storage#bucket", "name": bucket.name, "storageClass": "STANDARD", **bucket.about}
        )

    def _batch(self, request: web.Request, body: bytes) -> web.Response:
        boundary = request.headers["Content-Type"].partition("boundary=")[2].strip('"').encode()
        # Google's own library ends lines with "\n".
        parts = [part.strip() for part in body.replace(b"\r\n", b"\n").split(b"--" + boundary)[1:-1]]
        if not 0 < len(parts) <= BATCH_AT_MOST:
            raise Refusal(400, "invalid", "A batch has at most 100 calls")
        answers = bytearray()
        for part in parts:
            head, _, call = part.partition(b"\n\n")
            identity = re.search(rb"(?i)content-id: <(.*)>", head)
            method, target, _ = call.partition(b"\n")[0].decode().split(" ")
            try:
                made = self._answer(_Request(method, target, {}, b""))
            except Refusal as exc:
                made = _refused(exc)
            said = made.body if isinstance(made.body, bytes) else b""
            answers += b"--answers\r\nContent-Type: application/http\r\n"
            answers += b"Content-ID: <response-" + (identity[1] if identity else b"") + b">\r\n\r\n"
            answers += f"HTTP/1.1 {made.status} {made.reason}\r\nContent-Length: {len(said)}\r\n\r\n".encode()
            answers += said + b"\r\n"
        headers = {"Content-Type": "multipart/mixed; boundary=answers"}
        return web.Response(body=bytes(answers) + b"--answers--", headers=headers)

    def _signed(self, request: web.Request) -> web.Response:
        path, _, said = request.raw_path.partition("?")
        query = dict(parse_qsl(said))
        signature = bytes.fromhex(query.pop("X-Goog-Signature"))
        scope = query["X-Goog-Credential"].removeprefix(f"{EMAIL}/")
        names = query["X-Goog-SignedHeaders"].split(";")
        canonical = "\n".join(
            [
                request.method,
                path,
                "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in sorted(query.items())),
                *(f"{name}:{request.headers[name]}" for name in names),
                "",
                ";".join(names),
                "UNSIGNED-PAYLOAD",
            ]
        )
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"GOOG4-RSA-SHA256\n{query['X-Goog-Date']}\n{scope}\n{hashed}"
        if query["X-Goog-Algorithm"] != "GOOG4-RSA-SHA256" or not scope.endswith("/storage/goog4_request"):
            raise Refusal(400, "invalid", "MalformedSecurityHeader")
        try:
            _key().public_key().verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refusal(403, "forbidden", "SignatureDoesNotMatch") from None
        since = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        good_s = int(query["X-Goog-Expires"])
        if not 0 < good_s <= _WEEK_S or datetime.now(UTC) > since + timedelta(seconds=good_s):
            raise Refusal(400, "expired", "ExpiredToken")
        bucket, _, name = unquote(path).removeprefix("/").partition("/")
        there = self._bucket(bucket).find(name, {})
        return _content(there.content, there.content_type, request.headers.get("Range"), there.generation)

    def _token(self, form: str) -> dict[str, object]:
        head, claims, signature = parse_qs(form)["assertion"][0].split(".")
        try:
            _key().public_key().verify(
                _decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            raise Refusal(401, "invalid_grant", "Invalid JWT Signature.") from None
        assert json.loads(_decoded(claims))["iss"] == EMAIL
        return self._new_token()

    def _new_token(self) -> dict[str, object]:
        token = secrets.token_urlsafe()
        self.tokens.add(token)
        return {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}

    def _metadata(self, request: web.Request) -> web.Response:
        """What a machine of Google's knows of itself. Source: "About VM metadata"."""
        if request.headers.get("Metadata-Flavor") != "Google":
            raise Refusal(403, "forbidden", "Missing Metadata-Flavor:Google header.")
        headers = {"Metadata-Flavor": "Google"}
        place = request.path.removeprefix("/computeMetadata/v1/")
        if place.endswith("/token"):
            return web.json_response(self._new_token(), headers=headers)
        if place.startswith("instance/service-accounts/"):
            about = {
                "email": EMAIL,
                "scopes": ["https://www.googleapis.com/auth/cloud-platform"],
                "aliases": ["default"],
            }
            return web.json_response(about, headers=headers)
        known = {"/": "", "project/project-id": "project", "universe/universe-domain": "googleapis.com"}
        if place not in known:
            raise Refusal(404, "notFound", place)
        return web.Response(text=known[place], headers=headers)

    def _sign_blob(self, asked: dict[str, str]) -> dict[str, str]:
        self._need("iam.serviceAccounts.signBlob")
        signed = _key().sign(base64.b64decode(asked["payload"]), padding.PKCS1v15(), hashes.SHA256())
        return {"keyId": "key-2", "signedBlob": base64.b64encode(signed).decode()}

    def _authorize(self, header: str) -> None:
        if header.removeprefix("Bearer ") not in self.tokens:
            raise Refusal(401, "authError", "Invalid Credentials")

    def _need(self, *permissions: str) -> None:
        for permission in permissions:
            if permission in self.denied:
                _no_permission(permission)

    def _bucket(self, name: str) -> GCSBucket:
        found = self.buckets.get(unquote(name))
        if found is None:
            raise Refusal(404, "notFound", "The specified bucket does not exist.")
        return found


class _Request:
    def __init__(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.target, self.body = method, target, body
        self.headers = headers
        self.path, _, query = target.partition("?")
        self.query = dict(parse_qsl(query, keep_blank_values=True))

    def json(self) -> dict[str, list[dict[str, object]]]:
        found: dict[str, list[dict[str, object]]] = json.loads(self.body)
        return found


def _content(content: bytes, content_type: str, wanted: str | None, generation: int) -> web.Response:
    headers = {"Content-Type": content_type, "X-Goog-Generation": str(generation), "ETag": f'"etag-{generation}"'}
    if wanted is None:
        return web.Response(body=content, headers=headers)
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    if int(first) >= len(content):
        raise Refusal(416, "requestedRangeNotSatisfiable", "Request range not satisfiable")
    part = content[int(first) : int(last) + 1 if last else None]
    headers["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
    return web.Response(status=206, body=part, headers=headers)


def _incomplete(session: Session) -> web.Response:
    kept = {"Range": f"bytes=0-{len(session.content) - 1}"} if session.content else {}
    return web.Response(status=308, reason="Resume Incomplete", headers=kept)


def _refused(refusal: Refusal) -> web.Response:
    error = {"message": refusal.message, "domain": "global", "reason": refusal.reason}
    body = {"error": {"code": refusal.status, "message": refusal.message, "errors": [error]}}
    return web.json_response(body, status=refusal.status)


def _no_permission(permission: str) -> NoReturn:
    said = f"{EMAIL} does not have {permission} access to the Google Cloud Storage object. Permission '{permission}'"
    raise Refusal(403, "forbidden", f"{said} denied on resource (or it may not exist).")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
