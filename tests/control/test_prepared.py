"""Queries that a thread compiles once find what Django's own would."""

import threading

import pytest
from django.db import connections

from moorage.control.accounts.models import User
from moorage.control.prepared import PreparedQuery
from support.control_rows import new_user

BY_NAME = PreparedQuery[User](lambda *names: User.objects.filter(username__in=names).select_related("namespace"))


@pytest.mark.usefixtures("committed")
def test_it_finds_the_rows_of_the_values_of_each_call_in_each_thread() -> None:
    for name in ("ada", "grace"):
        new_user(name)
    found = list[set[str]]()

    def ask(*names: str) -> None:
        found.append({user.namespace.full_path for user in BY_NAME.rows(*names) if user.namespace is not None})

    def elsewhere() -> None:
        try:
            ask("grace")
        finally:
            connections.close_all()

    ask("ada")
    ask("grace")
    ask("nobody")
    ask("ada", "grace")
    connections.close_all()  # Another connection serves as well.
    ask("ada")
    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(60)
    assert found == [{"ada"}, {"grace"}, set(), {"ada", "grace"}, {"ada"}, {"grace"}]


def test_a_value_that_is_no_parameter_is_refused() -> None:
    query = PreparedQuery[User](lambda name: User.objects.filter(username__iexact=f"x{name}"))
    with pytest.raises(ValueError, match="no parameter"):
        query.rows("ada")
