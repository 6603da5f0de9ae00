"""Every page by every kind of visitor. A route that this table does not name is a failure."""

import re
from collections.abc import Iterator, Sequence

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from moorage.control.pages.page_safety import POLICY
from support.control_rows import PASSWORD, new_project, new_token, new_user

GET, POST = "GET", "POST"
AWAY = "/-/sign-in"

# Route, method, then the status for: nobody, a user, an administrator. 303 and 302 of nobody lead to sign-in.
ROUTES: dict[str, tuple[str, int, int]] = {
    "-/sign-in": (GET, 200, 303),
    "-/sign-in/second-factor": (GET, 303, 303),
    "-/sign-in/security-key/options": (POST, 404, 404),
    "-/sign-in/security-key": (POST, 303, 303),
    "-/sign-in/oidc": (GET, 404, 404),
    "-/sign-in/oidc/callback": (GET, 404, 404),
    "-/sign-out": (POST, 303, 303),
    "-/me/settings": (GET, 303, 200),
    "-/me/password": (POST, 303, 422),
    "-/me/sessions": (GET, 303, 200),
    "-/me/sessions/end-others": (POST, 303, 303),
    "-/me/sessions/<uuid:session>/end": (POST, 303, 303),
    "-/me/tokens": (GET, 303, 200),
    "-/me/tokens/<int:number>/revoke": (POST, 303, 404),
    "-/me/second-factor": (GET, 303, 200),
    "-/me/second-factor/totp": (GET, 303, 200),
    "-/me/second-factor/recovery-codes": (POST, 303, 404),
    "-/me/second-factor/security-key/options": (POST, 303, 200),
    "-/me/second-factor/security-key": (POST, 303, 303),
    "-/me/second-factor/<int:number>/take-away": (POST, 303, 303),
}
_VALUES = {"<uuid:session>": "5e0a1d52-5b52-4b0e-9a1c-3f6a3c1f0e11", "<int:number>": "987654"}


def _routes(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for one in resolver.url_patterns:
        if isinstance(one, URLPattern):
            yield prefix + str(one.pattern)
        else:
            yield from _routes(one, prefix + str(one.pattern))


def _own() -> Sequence[str]:
    return [route for route in _routes(get_resolver()) if route.startswith(("-/sign-", "-/me/"))]


def _address(route: str) -> str:
    return "/" + re.sub(r"<[^>]+>", lambda found: _VALUES[found[0]], route)


def test_the_table_names_every_route_of_sign_in_and_of_the_account() -> None:
    assert set(_own()) == set(ROUTES)


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_answers_each_visitor_as_the_table_says(route: str) -> None:
    method, for_nobody, for_somebody = ROUTES[route]
    address = _address(route)
    nobody = Client().generic(method, address)
    assert nobody.status_code == for_nobody
    if nobody.status_code == 303:
        assert nobody.headers["Location"].startswith(AWAY)
    for is_admin in (False, True):
        client = Client()
        client.force_login(new_user(is_admin=is_admin))
        assert client.generic(method, address).status_code == for_somebody
    for header in ("Private-Token", "Authorization"):  # Pages take no token: it would be a session for ever.
        secret = new_token(new_user(is_admin=True)).secret
        given = secret if header == "Private-Token" else f"Bearer {secret}"
        assert Client().generic(method, address, headers={header: given}).status_code == for_nobody


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_takes_one_method_and_forms_need_their_secret(route: str) -> None:
    method, _, _ = ROUTES[route]
    address, client = _address(route), Client(enforce_csrf_checks=True)
    client.force_login(new_user())
    assert client.post(address).status_code == 403
    assert client.delete(address).status_code == 403
    if method == POST:
        assert client.get(address).status_code in (405, 404)


@pytest.mark.parametrize(
    "route", [route for route, (method, _, status) in ROUTES.items() if (method, status) == (GET, 200)]
)
def test_pages_of_the_account_are_kept_nowhere_and_hold_nothing_foreign(route: str) -> None:
    client = Client()
    client.force_login(new_user(password=PASSWORD))
    answer = client.get(_address(route))
    text = answer.content.decode()
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r"<script>|<style|\sstyle=|\son\w+=", text)
    assert not re.findall(r'(?:src|href|action)="(?:https?:)?//', text)


_BY_CONVERTER = {"uuid": _VALUES["<uuid:session>"], "int": "987654", "str": "x", "slug": "x"}


def test_no_page_of_any_room_takes_a_token_or_fails_for_a_visitor() -> None:
    private, secret = new_project(), new_token(new_user(is_admin=True)).secret
    values = {**_BY_CONVERTER, "path": private.full_path}
    for route in _routes(get_resolver()):
        if route.startswith(("api/", "jwt/", "-/readiness")):
            continue
        address = "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda found: values[found[1] or "str"], route)
        nobody = Client().get(address)
        with_token = Client().get(address, HTTP_PRIVATE_TOKEN=secret, HTTP_AUTHORIZATION=f"Bearer {secret}")
        assert nobody.status_code < 500, address
        assert with_token.status_code == nobody.status_code, address
        if route.startswith(("<path", "admin")):
            assert nobody.status_code in (302, 303, 404, 405), address
