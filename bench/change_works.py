"""What is measured of pushes and deletes on databases: round trips, counted on the wire, and many tags at once."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

import client
import seeding
import wire
from content import KIB
from figures import AtMost, Figure, Series
from load import LoadError
from seeding import Images
from stage import Stage
from subjects import Daemon, MoorageOnPostgres
from wire import Relay

LAYERS = 20
PUSHES = 40
WARMING = 10
"""Until every statement is prepared on the connection."""
PUSH_LIMIT = 3
PULL_LIMIT = 1
DELETES = 3
DELETE_LIMIT_S = 10


def round_trips(stage: Stage) -> list[Figure]:
    """How often Moorage waits for PostgreSQL: for the push of a manifest, for a pull, for a blob."""
    title = f"push of a manifest with {LAYERS} layers"
    found = []
    for subject in stage.databases:
        if subject.database is None:
            continue
        stage.say("round trips")
        blobs = stage.pool.blobs(LAYERS + 1, 4 * KIB)
        manifest = client.image_manifest(blobs[0], blobs[1:])
        with wire.relaying(subject.database.port) as relay:
            relayed = MoorageOnPostgres(1, subject.database, port=relay.port)
            with stage.running(relayed) as (daemon,):
                client.prepare_blobs(daemon, stage.pool.blobs(WARMING, 4 * KIB))
                for_blobs = _counted(relay, client.prepare_blobs, daemon, blobs)
                pushes = [
                    _counted(relay, client.prepare_manifest, daemon, _variant(manifest, turn)) for turn in range(PUSHES)
                ]
                pulls = [_counted(relay, _pull, daemon) for _ in range(PUSHES)]
        blob = Series("round trips a blob, pushed and pulled", [], [for_blobs / len(blobs)])
        found += [
            _figure(title, subject.store, pushes, PUSH_LIMIT, blob),
            _figure("GET manifest by tag", subject.store, pulls, PULL_LIMIT),
        ]
    return found


def deletes(stage: Stage) -> list[Figure]:
    """All tags of a repository, deleted by one call. A round has a repository of its own."""
    count = stage.plan.deleted_tags
    title = f"delete {count:,} tags by one call"
    rounds = range(DELETES)
    repositories = [Images(path=f"group/app{number}", tags=count, shared_layers=3, pool=50) for number in rounds]
    found = []
    for subject in stage.databases:
        with stage.running(subject) as (daemon,):
            stage.say(f"{title}, {subject.store}: writing them")
            seeding.seed(daemon.sink(), repositories)
            stage.say(f"{title}, {subject.store}")
            took_s = [_delete(daemon, images) for images in repositories]
        judged = Series("s", [], took_s)
        target = AtMost(DELETE_LIMIT_S)
        found.append(Figure(work="deletes", title=title, store=subject.store, judged=judged, target=target))
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"round-trips": round_trips, "deletes": deletes}


def _delete(daemon: Daemon, images: Images) -> float:
    path = f"/moorage/v1/tags/delete?repository={quote(images.path, safe='')}"
    headers = {"Content-Type": "application/json"}
    began = time.perf_counter()
    status, body = client.ask(daemon, "POST", path, b'{"matching": ".*"}', headers=headers)
    took_s = time.perf_counter() - began
    left = client.ask(daemon, "GET", f"/v2/{images.path}/tags/list?n=1")[1]
    if status != 200 or json.loads(body)["deleted"] != images.tags or json.loads(left)["tags"]:
        msg = f"{path}: {status} {body.decode(errors='replace')}, left {left.decode(errors='replace')}"
        raise LoadError(msg)
    return took_s


def _counted(relay: Relay, act: Callable[..., object], *args: object) -> float:
    before = relay.round_trips
    act(*args)
    return float(relay.round_trips - before)


def _variant(manifest: bytes, turn: int) -> bytes:
    """The same image under another digest."""
    return json.dumps(json.loads(manifest) | {"annotations": {"turn": str(turn)}}).encode()


def _pull(daemon: Daemon) -> None:
    client.expect_answer(daemon, "GET", client.manifest_path(client.TAG), 200)


def _figure(title: str, store: str, counts: Sequence[float], limit: float, *others: Series) -> Figure:
    judged = Series("round trips to PostgreSQL", [], counts[WARMING:])
    return Figure(work="round-trips", title=title, store=store, judged=judged, target=AtMost(limit), others=others)
