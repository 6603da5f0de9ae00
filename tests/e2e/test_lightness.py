"""A server keeps in memory only what it runs: what it imports, and when."""

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml

from e2e.databases import postgres_config
from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire, eventually
from support.daemon import Daemon
from support.imports import among, imported_after_fork, imported_before_fork, noting_imports
from support.postgres import Postgres, migrated
from support.threaded_server import Quiet, ThreadedServer
from support.tokens import Issuer

UNUSED = (
    *("alembic", "mako", "sqlalchemy"),  # the schema is current
    *("typer", "click", "rich", "pygments"),  # the command line was read
    *("acme", "josepy", "requests", "cryptography"),  # plain HTTP
    *("joserfc", "bcrypt"),  # no credentials
    *("asyncpg", "redis", "dns", "prometheus_client", "opentelemetry", "sentry_sdk"),  # nothing of it is configured
    *("aiobotocore", "botocore", "django", "greenlet", "re2", "difflib"),
    *("aiohttp.client", "aiohttp.connector"),  # nobody is asked
    *("aiohttp.web_app", "aiohttp.web_urldispatcher", "aiohttp.web_runner", "argparse"),  # the server is its own
    *("importlib.metadata", "zipfile", "csv"),  # pydantic looks for no plugins
    *("moorage.moving.importing", "moorage.metadata.adopting", "moorage.storage.s3", "moorage.cli.app"),
)


def test_a_server_has_nothing_in_memory_that_it_does_not_run(tmp_path: Path) -> None:
    for number in range(2):  # The first start makes the database, the second finds it.
        folder = tmp_path / f"imports{number}"
        with Daemon(tmp_path, workers=2, env=noting_imports(folder)) as daemon:
            _work(daemon)
            noted = [*imported_before_fork(daemon, folder), *imported_after_fork(daemon, folder)]
        assert among(noted, ["moorage.wiring.registry"]), "what is imported was not noted"
        assert among(noted, UNUSED) == []


def test_a_server_on_postgresql_has_its_driver_besides(tmp_path: Path, postgres: Postgres) -> None:
    config, folder = postgres_config(tmp_path, postgres, migrated(postgres), secret="s"), tmp_path / "imports"
    with Daemon(tmp_path, config=config, workers=2, env=noting_imports(folder)) as daemon:
        _work(daemon)
        noted, own = imported_before_fork(daemon, folder), imported_after_fork(daemon, folder)
    assert among(noted, ["asyncpg"])
    assert among(noted, [name for name in UNUSED if name != "asyncpg"]) == []
    assert own == []


def test_the_processes_of_a_server_import_nothing_of_their_own(tmp_path: Path) -> None:
    tree = yaml.safe_load(
        config_for(tmp_path, http={"debug": {"addr": "127.0.0.1:0", "prometheus": {"enabled": True}}})
    )
    tree["auth"] = {"htpasswd": {"realm": "Registry", "path": str(tmp_path / "users")}}
    (tmp_path / "users").write_text("")
    settings = {"default": None, "link files": config_for(tmp_path), "much": yaml.safe_dump(tree)}
    settings["tokens"] = f"{config_for(tmp_path)}\n{Issuer(tmp_path).section}"
    for name, config in settings.items():
        folder = tmp_path / f"imports of {name}"
        with Daemon(tmp_path / name, config=config, workers=2, env=noting_imports(folder)) as daemon:
            if name in ("default", "link files"):
                _work(daemon)
            assert imported_after_fork(daemon, folder) == [], name


@pytest.mark.parametrize("has_database", [True, False], ids=["database", "link files"])
@pytest.mark.parametrize("asks", ["health", "notifications"])
def test_who_asks_others_has_what_it_needs_before_the_first_request(
    tmp_path: Path, asks: str, *, has_database: bool
) -> None:
    """A client of HTTP takes 0.1 s to import, in which its event loop would answer nobody."""
    heard = threading.Event()

    class Asked(Quiet, BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()
            heard.set()

        do_POST = do_HEAD  # noqa: N815 - as the library has it

    with ThreadedServer(Asked, is_quiet=True) as other:
        tree = yaml.safe_load(config_for(tmp_path / "node"))
        if has_database:
            tree["database"] = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")}
        if asks == "health":
            tree["health"] = {"http": [{"uri": other.url, "interval": "100ms"}]}
        else:
            tree["notifications"] = {"endpoints": [{"name": "other", "url": other.url}]}
        folder = tmp_path / "imports"
        with Daemon(tmp_path / "node", config=yaml.safe_dump(tree), workers=2, env=noting_imports(folder)) as daemon:
            _work(daemon)
            assert heard.wait(60), "the other was not asked"
            assert imported_after_fork(daemon, folder) == []


def _work(daemon: Daemon) -> None:
    wire = Wire(daemon.address)
    wire.push_image("t/light", "1", build_image("light"))
    assert wire.manifest("t/light", "1").status == 200
    eventually("the keeper has begun", lambda: bool(daemon.keeper_pids))
