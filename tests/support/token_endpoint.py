"""An issuer's token endpoint in this process, in a few lines: enough for real clients to log in.

Source: Docker token authentication specification.
"""

import base64
import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from moorage.auth.claims import Meta
from support.threaded_server import Quiet, ThreadedServer
from support.tokens import Issuer

USER, SECRET = "ada", "s\u00e9cret"
_HEADER = f"Basic {base64.b64encode(f'{USER}:{SECRET}'.encode()).decode()}"


class TokenEndpoint(ThreadedServer):
    """``ada``, or who has her identity token, gets what is asked for but for what is in *denied*; anybody may pull."""

    def __init__(self, issuer: Issuer) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.denied: set[str] = set()
        """Repositories that nobody gets anything of."""
        self.refuses_anybody = False
        """True: only who has a password gets a token."""
        self.metas: dict[str, Meta] = {}
        """What tokens say of repositories."""
        endpoint = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                endpoint.asked.append(query)
                given = self.headers.get("Authorization")
                if given != _HEADER and (given or endpoint.refuses_anybody):
                    self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": "HTTP Basic: Access denied"}]})
                    return
                scopes = [scope for text in query.get("scope", []) for scope in text.split()]
                asked = [scope.removeprefix("repository:").rsplit(":", 1) for scope in scopes]
                granted = [
                    (name, actions if given else "pull") for name, actions in asked if name not in endpoint.denied
                ]
                subject = USER if given else None
                self._send(200, {"token": issuer.token(*granted, sub=subject, meta=endpoint.metas)})

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                endpoint.asked.append(form)
                if form.get("grant_type") != ["refresh_token"] or form["refresh_token"] != [SECRET]:
                    self._send(401, {"error": "invalid_grant"})
                    return
                asked = [scope.removeprefix("repository:").rsplit(":", 1) for scope in form["scope"][0].split()]
                granted = [(name, actions) for name, actions in asked]
                self._send(200, {"access_token": issuer.token(*granted, sub=USER)})

            def _send(self, status: int, value: object) -> None:
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        super().__init__(Handler)
        self.url = f"{self.url}/jwt/auth"
