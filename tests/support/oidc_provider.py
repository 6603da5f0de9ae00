"""An OpenID Connect provider on loopback, as little of one as sign-in needs, that can be told to answer wrongly."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

CLIENT_ID, CLIENT_SECRET = "moorage", "the-secret-of-the-client"


class OIDCProvider:
    """The provider: who signs in next, and what is wrong with its answers."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.claims: dict[str, Any] = {}
        """Claims about whoever signs in next."""
        self.token_changes: dict[str, Any] = {}
        """Claims of the token that are other than they should be."""
        self.signs_with: ECKey | OctKey = self.key
        self.document_changes: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.given: dict[str, dict[str, str]] = {}
        """The query that came for each code that was given."""
        self.seen: list[str] = []
        self.url = ""

    def redirect(self, address: str) -> str:
        """Answer a browser that was led to *address*: return where it is led back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.given)}"
        self.given[code] = query
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def document(self) -> dict[str, Any]:
        """Return the provider's document."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
            **self.document_changes,
        }

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return the tokens for a code; None: it is not taken."""
        asked = self.given.pop(form.get("code", ""), None)
        secret = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if asked is None or authorization != f"Basic {secret}":
            return None
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        header = {"alg": "HS256" if isinstance(self.signs_with, OctKey) else "ES256", "kid": self.key.kid}
        token = jwt.encode(header, {**claims, **self.claims, **self.token_changes}, self.signs_with)
        return {"access_token": "of-no-use", "token_type": "Bearer", "id_token": token}


@contextmanager
def oidc_provider() -> Iterator[OIDCProvider]:
    """Run a provider."""
    provider = OIDCProvider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(provider: OIDCProvider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.seen.append(self.path)
            if self.path.startswith("/authorize?"):  # A browser, which the provider sends back at once.
                self.send_response(302)
                self.send_header("Location", provider.redirect(self.path))
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answers: dict[str, Callable[[], dict[str, Any]]] = {
                "/.well-known/openid-configuration": provider.document,
                "/keys": lambda: {"keys": [provider.key.as_dict(private=False)]},
                "/userinfo": lambda: {"sub": provider.claims.get("sub"), **provider.userinfo},
            }
            self._answer(answers[self.path]() if self.path in answers else None)

        def do_POST(self) -> None:
            provider.seen.append(self.path)
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            self._answer(provider.token(form, self.headers.get("Authorization", "")))

        def _answer(self, body: dict[str, Any] | None) -> None:
            text = json.dumps(body or {"error": "invalid_grant"}).encode()
            self.send_response(200 if body is not None else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    return Handler
