"""What is measured of pages for people: a page of the tags of a large repository, registry and control plane together.

The control plane has one process and the registry another, as on one machine; nobody else asks meanwhile.
"""

import contextlib
import http.client
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import seeding
from content import SEED
from control_works import listening
from figures import AtMost, Figure, Series, percentile
from load import LoadError
from moorage.token_server.key_ring import KeyFolder
from seeding import Images
from stage import Stage
from subjects import Daemon

PAGE_LIMIT_MS = 200
"""Of server time. Source: the requirement of the pages."""
PAGES = 40
"""Of each order, in each round."""
PATH = "group/pages/tags"

_SORTS = ("name", "-name")
_ROWS = """
from moorage.control.wsgi import application
from django.conf import settings
from django.test import Client
from moorage.control.accounts.changes import create_user
from moorage.control.audit.actors import COMMAND_LINE as by
from moorage.control.images.recording import ensure_repository
from moorage.control.projects.changes import create_group, create_project
project = create_project(create_group("group", by=by, owner=None), "pages", by=by, creator=None)
ensure_repository(project, "group/pages/tags", by=by)
client = Client()
client.force_login(create_user("root", by=by, is_admin=True))
print(client.cookies[settings.SESSION_COOKIE_NAME].value)
"""


@dataclass(frozen=True, slots=True)
class _Pages:
    """A control plane with somebody who is signed in."""

    process: subprocess.Popen[bytes]
    port: int
    session: str


def pages(stage: Stage) -> list[Figure]:
    """Pages of tags, each beginning at a tag that was drawn."""
    images = Images(path=PATH, tags=stage.plan.tags, shared_layers=3, pool=50)
    title = f"the page of 20 of {images.tags:,} tags, for people"
    found = []
    for subject in stage.databases:
        with stage.running(subject) as (daemon,), _site(stage, daemon) as site:
            stage.say(f"writing {images.tags} tags into {subject.store}")
            seeding.seed(daemon.sink(), [images])
            names = random.Random(SEED).sample(images.names(), PAGES)
            _round(site, names[:5])
            rounds = []
            for number in range(1, stage.plan.rounds + 1):
                stage.say(f"{title}, {subject.store}: round {number} of {stage.plan.rounds}")
                rounds.append(_round(site, names))
        judged = Series("ms, p99", [], [percentile(one, 0.99) for one in rounds])
        median = Series("ms, median", [], [percentile(one, 0.5) for one in rounds])
        figure = Figure(
            work="pages", title=title, store=subject.store, judged=judged, target=AtMost(PAGE_LIMIT_MS), others=[median]
        )
        found.append(figure)
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"pages": pages}


def _round(site: _Pages, names: Sequence[str]) -> list[float]:
    """Milliseconds of each page, as somebody beside the server waits for it."""
    took_ms = []
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    with contextlib.closing(connection):
        for name in names:
            for sort in _SORTS:
                began = time.perf_counter()
                path = f"/{PATH}/-/tags?sort={sort}&after={quote(name)}"
                connection.request("GET", path, headers={"Cookie": f"_moorage_session={site.session}"})
                answer = connection.getresponse()
                body = answer.read()
                took_ms.append(1000 * (time.perf_counter() - began))
                if answer.status != 200 or b'aria-expanded="false"' not in body:
                    msg = f"{path} answered {answer.status}: {body[:500]!r}"
                    raise LoadError(msg)
    return took_ms


@contextlib.contextmanager
def _site(stage: Stage, daemon: Daemon) -> Iterator[_Pages]:
    with tempfile.TemporaryDirectory(dir=stage.scratch) as name:
        folder = Path(name)
        KeyFolder(folder / "keys").prepare(time.time())
        file = folder / "control.yml"
        host, port = daemon.address
        registry = f"{{enabled: true, host: bench, key: keys, issuer: bench, api_url: 'http://{host}:{port}/'}}"
        with listening(folder, file, registry=registry, workers=1) as (process, port):
            environment = {**os.environ, "MOORAGE_CONTROL": str(file)}
            said = subprocess.run(
                [sys.executable, "-c", _ROWS], env=environment, capture_output=True, check=True, text=True
            ).stdout
            yield _Pages(process, port, said.split()[-1])
