"""What is measured of lists of the control plane that grow: each in the process that asks, without a server between.

This file is run with Django, too: with the control plane's configuration, the size, the seconds for each list,
the id of its database server, and the lists.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import processes
from load import LoadError
from moorage.token_server.key_ring import KeyFolder
from postgres import PASSWORD, USER, Postgres
from scale_works import Measured

STORE = "control plane on"
LISTS = {
    "projects": ("owner", "/projects"),
    "projects, for somebody who sees few": ("guest", "/projects"),
    "projects of a group": ("owner", "/many"),
    "groups": ("owner", "/groups"),
    "repositories of a group": ("owner", "/many/-/registry"),
    "runs of a cleanup": ("owner", "/many/big/-/cleanup"),
    "refusals of a project": ("owner", "/many/big/-/refused"),
    "members of a project": ("owner", "/many/big/-/members"),
    "search for a text that nothing has": ("owner", "/-/search?q=no-such-text"),
    "users": ("root", "/admin/users"),
    "deletions": ("root", "/admin/deletions"),
    "projects without a cleanup": ("root", "/admin/cleanup"),
    "sizes": ("root", "/admin/usage"),
    "audit log": ("root", "/admin/audit"),
    "overview for administrators": ("root", "/admin"),
    "API: projects": ("owner", "/api/v4/projects"),
    "API: groups": ("owner", "/api/v4/groups"),
    "API: users": ("root", "/api/v4/users"),
    "API: personal access tokens": ("owner", "/api/v4/personal_access_tokens"),
    "API: projects, the last page by number": ("owner", "/api/v4/projects?per_page=100&page=500"),
    "API: projects, by key": ("owner", "/api/v4/projects?per_page=100&pagination=keyset"),
    "form of a new project": ("root", "/projects/new"),
    "API: audit events": ("root", "/api/v4/audit_events"),
}
LEAST = 3
_CHILD_S = 1800


def measure(
    scratch: Path, size: int, seconds: float, server: Postgres | None, *, names: Sequence[str]
) -> dict[str, Measured]:
    """Fill a control plane with *size* of everything, on *server* or on SQLite, and ask for each of some lists.

    Raises:
        LoadError: it failed.
    """
    with tempfile.TemporaryDirectory(prefix="control-", dir=scratch) as name:
        folder = Path(name)
        KeyFolder(folder / "keys").prepare(time.time())
        database: dict[str, object] = {"sqlite": str(folder / "control.db")}
        if server is not None:
            database = {"host": "127.0.0.1", "port": server.port, "dbname": folder.name, "user": USER}
            database |= {"password": PASSWORD, "sslmode": "disable"}
            server.make(folder.name)
        registry = {
            "enabled": True,
            "host": "bench",
            "api_url": "http://127.0.0.1:1/",
            "key": "keys",
            "issuer": "bench",
        }
        file = folder / "control.yml"
        file.write_text(json.dumps({"secret": "bench" * 8, "registry": registry, "database": database}))
        pid = server.process.pid if server is not None else 0
        command = [sys.executable, __file__, str(size), str(seconds), str(pid), *names]
        environment = {**os.environ, "MOORAGE_CONTROL": str(file)}
        ended = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=_CHILD_S)
        if ended.returncode:
            msg = f"{command!r}:\n{ended.stderr.decode(errors='replace')[-2000:]}"
            raise LoadError(msg)
        return {name: Measured(*values) for name, values in json.loads(ended.stdout.splitlines()[-1]).items()}


def _asked(
    clients: dict[str, Any], seconds: float, server_pid: int, names: Sequence[str]
) -> Iterator[tuple[str, tuple[float, float, int]]]:
    for name in names:
        who, address = LISTS[name]
        latencies_s: list[float] = []
        _ask(clients[who], address)  # Templates are read by the first.
        before_s, until = time.process_time() + _database_s(server_pid), time.monotonic() + seconds
        while time.monotonic() < until or len(latencies_s) < LEAST:
            began = time.perf_counter()
            _ask(clients[who], address)
            latencies_s.append(time.perf_counter() - began)
        spent_s, count = time.process_time() + _database_s(server_pid) - before_s, len(latencies_s)
        yield name, (1e6 * spent_s / count, 1e3 * statistics.median(latencies_s), count)


def _ask(client: Any, address: str) -> None:  # noqa: ANN401 - Django's, which is loaded later
    answer = client.get(address)
    if answer.status_code != 200:
        msg = f"{address}: {answer.status_code}"
        raise LoadError(msg)


def _database_s(server_pid: int) -> float:
    return processes.cpu_s(server_pid) if server_pid else 0.0


def _main(size: int, seconds: float, server_pid: int, names: Sequence[str]) -> None:
    from moorage.control.wsgi import application  # noqa: PLC0415 - it starts Django by MOORAGE_CONTROL

    assert application
    from django.core.management import call_command  # noqa: PLC0415 - after Django has started
    from django.db import connection  # noqa: PLC0415 - as above
    from django.test import Client  # noqa: PLC0415 - as above

    from control_rows import fill  # noqa: PLC0415 - as above
    from moorage.control.accounts.changes import create_user  # noqa: PLC0415 - as above
    from moorage.control.accounts.token_changes import create_token  # noqa: PLC0415 - as above
    from moorage.control.audit.actors import COMMAND_LINE as BY  # noqa: PLC0415 - as above
    from moorage.control.projects.changes import create_group, create_project  # noqa: PLC0415 - as above
    from moorage.control.projects.members import add_member  # noqa: PLC0415 - as above
    from moorage.control.projects.rules import AccessLevel  # noqa: PLC0415 - as above

    call_command("migrate", verbosity=0)
    people = {name: create_user(name, by=BY, is_admin=name == "root") for name in ("root", "owner", "guest")}
    many = create_group("many", by=BY, owner=people["owner"])
    big = create_project(many, "big", by=BY, creator=None)
    add_member(create_project(many, "little", by=BY, creator=None), people["guest"], AccessLevel.REPORTER, by=BY)
    fill(range(size), group=many, project=big, user=people["owner"])
    if connection.vendor == "postgresql":  # It does so itself after a while, and SQLite never.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    clients = {}
    for name, user in people.items():
        token = create_token(user, "bench", ["api"], by=BY).secret
        clients[name] = Client(headers={"PRIVATE-TOKEN": token, "Host": "localhost"})
        clients[name].force_login(user)
    print(json.dumps(dict(_asked(clients, seconds, server_pid, names))))


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
