"""Answers made of errors: each class has one, those that no table names too."""

import json

import pytest

from moorage import errors, gitlab_errors
from moorage.gc.offline.offline_collection import CollectionRefused
from moorage.sql.replicas.replica_positions import PositionLate
from moorage.web.errors import render, row_of


class LaterKind(gitlab_errors.TagUnknown):
    """An error that a room adds for its own use."""


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PositionLate("replica 2 is 5 s behind"), 503, "UNAVAILABLE"),
        (CollectionRefused("a registry is running"), 500, "UNKNOWN"),
        (errors.ConfigurationError([errors.Mistake("storage", "has no driver")]), 500, "UNKNOWN"),
        (errors.MigrationFailed("step 3"), 500, "UNKNOWN"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_without_a_row_is_answered_as_its_nearest_ancestor(
    error: errors.MoorageError, status: int, code: str
) -> None:
    response = render(error)
    assert response.status == status
    (entry,) = json.loads(response.body)["errors"]
    assert entry["code"] == code
    assert str(error) not in entry["message"]


def test_the_nearest_ancestor_counts() -> None:
    assert row_of(LaterKind) == row_of(gitlab_errors.TagUnknown)
    assert row_of(errors.DatabaseContended) == (503, "UNAVAILABLE")
