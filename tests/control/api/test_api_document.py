"""The API's document says what there is, and every request that it allows or forbids is answered as it says."""

import copy
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from moorage.control.accounts.rules import TokenScope
from moorage.control.api.application import document
from moorage.control.audit.actors import SYSTEM
from moorage.control.images.recording import ensure_repository
from moorage.control.projects.rules import AccessLevel
from support.control_api import API, call
from support.control_registry import push_tags, registry_at
from support.control_rows import (
    new_bot_token,
    new_deploy_token,
    new_group,
    new_job_token,
    new_member,
    new_project,
    new_token,
    new_user,
)
from support.daemon import Daemon

SEED = 20261129
BOUNDS = settings(
    max_examples=2, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
TAGS = ["one", "two"]
NOT_HELD: list[CheckFunction] = [ignored_auth, negative_data_rejection, positive_data_acceptance]
"""Of no use here: GitLab's API forgives (``"1"`` is a number), a rule may refuse what has the right form, and the table
of credentials has a test of its own."""

DOCUMENT = document()
CALLS = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]
BY_TAG = {
    tag: [one["operationId"] for _, _, one in CALLS if tag in one["tags"]] for _, _, row in CALLS for tag in row["tags"]
}
HOSTILE = ["%00", "%0A", "%ED%A0%80", "%FF", "99999999999999999999", "-1", ".", "..", "%2F", "%25", "%F0%9F%9A%A2"]
"""Segments of a path: a null, a line's end, half a character, no character, a number too many, and what means more."""
HOSTILE_EACH = 4
"""As many go into each place, the next ones into the next place: all of them meet each kind of place."""


@pytest.fixture
def _within_the_test() -> Iterator[None]:
    """A request does not close the connection that the test's transaction is in, as with Django's own client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def inhabitants(shared_daemon: Daemon) -> Iterator[dict[str, list[Any]]]:
    """One of each thing, and the ids by which parameters name them; ``token`` is an administrator's."""
    admin, group = new_user(is_admin=True), new_group("team")
    project = new_project(group, "app")
    member = new_member(project, AccessLevel.DEVELOPER).user
    new_member(group, AccessLevel.GUEST, member)
    with registry_at(shared_daemon.url):
        push_tags(shared_daemon.address, "team/app", *TAGS)
        repository = ensure_repository(project, "team/app", by=SYSTEM)
        tokens = [new_bot_token(project).token.pk, new_bot_token(group).token.pk, new_token(member).token.pk]
        tokens += [new_deploy_token(project).token.pk, new_deploy_token(group).token.pk]
        yield {
            "token": [new_token(admin, *TokenScope).secret],
            "place": [str(group.pk), "team", str(project.pk), "team%2Fapp"],
            "user_id": [member.pk, admin.pk],
            "repository_id": [repository.pk],
            "tag": TAGS,
            "token_id": [*tokens, new_job_token(project, member).token.pk],
        }


def narrowed(known: dict[str, list[Any]]) -> dict[str, Any]:
    """The document, with things that are there."""
    found = copy.deepcopy(DOCUMENT)
    for methods in found["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    parameter["schema"] = {"enum": known.get(parameter["name"], [1])}
    return found


@pytest.mark.usefixtures("_within_the_test")
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("tag", BY_TAG)
def test_every_request_is_answered_as_the_document_says(
    tag: str, mode: GenerationMode, inhabitants: dict[str, list[Any]]
) -> None:
    """Ask for what is there in the right form, and for anything in a wrong one."""
    shown = narrowed(inhabitants) if mode is GenerationMode.POSITIVE else DOCUMENT
    schema: OpenApiSchema = schemathesis.openapi.from_dict(shown, config=SchemathesisConfig.from_dict({"seed": SEED}))
    for name in BY_TAG[tag]:
        operation = schema.find_operation_by_id(name)
        if mode is GenerationMode.POSITIVE or len(operation.path_parameters) + len(operation.query) + len(
            operation.body
        ):
            answered_as_described(operation, mode, inhabitants["token"][0])


def answered_as_described(operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, token: str) -> None:
    """Send what the document allows, or what it does not, and hold the answers against it."""
    application = get_wsgi_application()

    @BOUNDS
    @given(case=operation.as_strategy(generation_mode=mode))
    def answers(case: schemathesis.Case[Any]) -> None:
        with taken_back_to_here():
            case.call_and_validate(
                base_url="http://control.test",
                app=application,
                headers={"PRIVATE-TOKEN": token},
                excluded_checks=NOT_HELD,
            )

    answers()


@contextmanager
def taken_back_to_here() -> Iterator[None]:
    """Whatever is written meanwhile is taken back, as far as the transaction of the test."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_no_text_in_a_path_is_a_fault_of_ours(client: Client, inhabitants: dict[str, list[Any]]) -> None:
    """Put what is no id and no path into each place of each path, whatever else is there."""
    wrong, odds = [], itertools.cycle(HOSTILE)
    for method, path, operation in CALLS:
        names = re.findall(r"{(\w+)}", path)
        for odd, at in [(odd, name) for name in names for odd in itertools.islice(odds, HOSTILE_EACH)]:
            values = {name: str((inhabitants.get(name) or [1])[0]) for name in names} | {at: odd}
            with taken_back_to_here():
                answer = call(client, method, path.removeprefix(API).format(**values), token=inhabitants["token"][0])
            if answer.status_code >= 500 or str(answer.status_code) not in {*operation["responses"], "405"}:
                wrong.append((operation["operationId"], at, odd, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("text", ["\0", "\ud800", "a\nb", "9" * 5000, "\U0001f6a2", ""], ids=ascii)
def test_no_text_in_a_body_is_a_fault_of_ours(text: str, client: Client, inhabitants: dict[str, list[Any]]) -> None:
    """Put it into each value of each body, with and without a list around it."""
    wrong = []
    for method, path, operation in CALLS:
        names = re.findall(r"{(\w+)}", path)
        target = path.removeprefix(API).format(**{name: (inhabitants.get(name) or [1])[0] for name in names})
        for values in bodies_with(operation, text):
            with taken_back_to_here():
                answer = call(client, method, target, token=inhabitants["token"][0], values=values)
            if answer.status_code >= 500 or str(answer.status_code) not in operation["responses"]:
                wrong.append((operation["operationId"], values, answer.status_code))
    assert wrong == []


def bodies_with(operation: dict[str, Any], text: str) -> Iterator[dict[str, Any]]:
    if "requestBody" not in operation:
        return
    (content,) = operation["requestBody"]["content"].values()
    names = DOCUMENT["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]["properties"]
    yield dict.fromkeys(names, text)
    yield {name: [text] for name in names}


def test_a_head_is_answered_as_its_get_without_a_body(client: Client, inhabitants: dict[str, list[Any]]) -> None:
    """Ask for each list and each thing by both methods."""
    asked = 0
    for method, path, _ in CALLS:
        if method != "GET":
            continue
        names = re.findall(r"{(\w+)}", path)
        target = path.removeprefix(API).format(**{name: (inhabitants.get(name) or [1])[0] for name in names})
        got, head = (call(client, word, target, token=inhabitants["token"][0]) for word in ("GET", "HEAD"))
        assert (head.status_code, head.content) == (got.status_code, b""), target
        kept = [{name: one.get(name) for name in ("Content-Type", "X-Total", "Link")} for one in (got, head)]
        assert kept[0] == kept[1], target
        assert head["Content-Length"] == str(len(got.content)), target
        asked += 1
    assert asked > 30
