"""What is measured of lists, sizes and deletes: large repositories and catalogues, on every database."""

import base64
import json
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote

import client
import load
import processes
import seeding
from content import MIB, SEED
from figures import AtMost, Figure, Series, Target, TimesBetter, percentile
from load import Load, LoadError, Script
from seeding import Images
from stage import Sample, Stage
from subjects import Daemon

CONNECTIONS = 4
PAGE = 100
PLACES = 2000
"""Pages of a list that are asked for, at random."""

PAGE_LIMIT_MS = 10
DETAILS_LIMIT_MS = 50
SIZE_LIMIT_MS = 200
SIZES = 100
GROWTH_LIMIT_MIB = 8
"""What still counts as flat: allocators keep a little."""
FIRST_PAGES = 20

SORTS = ("name", "-name", "published_at", "-published_at")
FILTERED = 10

_NEXT = re.compile(r'<([^>]*)>; rel="?next')


def tags(stage: Stage) -> list[Figure]:
    """Pages of the tags of a large repository: the plain list, the V1 list in every order, and a walk through all."""
    images = Images(path="group/tags", tags=stage.plan.tags, shared_layers=3, pool=50)
    among = f"of {images.tags:,} tags"
    with stage.running(stage.reference, *stage.databases) as (reference, *daemons):
        stage.say(f"tags: writing {images.tags} tags for {stage.reference.name}")
        seeding.write_tag_folders(reference.folder / "data", images)
        for daemon in daemons:
            _seed(stage, daemon, [images])
        title = f"tags list, a page of {PAGE} {among}"
        names = _chosen(images.names())
        asked = [(title, f"/v2/{images.path}/tags/list?n={PAGE}&last={name}") for name in names]
        peer, *ours = stage.samples(title, [reference, *daemons], _pages(stage, asked))
        found = [
            figure
            for daemon, samples in zip(daemons, ours, strict=True)
            for figure in _list_figures(daemon, title, peer, samples)
        ]
        for figures in (_details(stage, daemons, images), _walks(stage, daemons, images)):
            found += figures
        return found


def catalogue(stage: Stage) -> list[Figure]:
    """Pages of a large catalogue."""
    many = [Images(path=f"group{number % 1000}/app{number}", tags=1) for number in range(stage.plan.repositories)]
    title = f"catalogue, a page of {PAGE} of {len(many):,} repositories"
    asked = [(title, f"/v2/_catalog?n={PAGE}&last={path}") for path in _chosen([images.path for images in many])]
    found = []
    for subject in stage.databases:
        with stage.running(subject) as (daemon,):
            _seed(stage, daemon, many)
            (samples,) = stage.samples(title, [daemon], _pages(stage, asked))
        judged = Series("ms, p99", [], _latencies_ms(samples, title, 0.99))
        others = [Series("ms, median", [], _latencies_ms(samples, title, 0.5)), _cpu([], samples)]
        found.append(_figure("catalogue", title, daemon, judged, target=AtMost(PAGE_LIMIT_MS), others=others))
    return found


def sizes(stage: Stage) -> list[Figure]:
    """The size of a repository, asked for again after each change."""
    images = Images(path="group/sized", tags=stage.plan.sized_tags, own_layers=2, shared_layers=8, pool=100)
    title = f"details with size, {images.tags:,} tags of 10 layers, changed since"
    path = f"/gitlab/v1/repositories/{images.path}/?size=self"
    found = []
    for subject in stage.databases:
        with stage.running(subject) as (daemon,):
            _seed(stage, daemon, [images])
            _check_size(daemon, path, images)
            stage.say(f"{title}, {subject.store}")
            changed, unchanged = [], []
            for tag in _chosen(images.names())[:SIZES]:
                client.expect_answer(daemon, "DELETE", f"/v2/{images.path}/manifests/{tag}", 202)
                changed.append(_took_ms(daemon, path))
                unchanged.append(_took_ms(daemon, path))
        judged = Series("ms, p99", [], [percentile(changed, 0.99)])
        others = [
            Series("ms, median", [], [percentile(changed, 0.5)]),
            Series("ms, p99, unchanged since", [], [percentile(unchanged, 0.99)]),
        ]
        found.append(_figure("sizes", title, daemon, judged, target=AtMost(SIZE_LIMIT_MS), others=others))
    return found


WORKS: Mapping[str, Callable[[Stage], list[Figure]]] = {"tags": tags, "catalogue": catalogue, "sizes": sizes}


def _list_figures(daemon: Daemon, title: str, peer: Sequence[Sample], samples: Sequence[Sample]) -> Iterator[Figure]:
    judged = Series("ms, p99", _latencies_ms(peer, title, 0.99), _latencies_ms(samples, title, 0.99))
    median = Series("ms, median", _latencies_ms(peer, title, 0.5), _latencies_ms(samples, title, 0.5))
    yield _figure("tags", title, daemon, judged, target=AtMost(PAGE_LIMIT_MS), others=[median])
    yield _figure("tags", title, daemon, _cpu(peer, samples), target=TimesBetter(100))


def _details(stage: Stage, daemons: Sequence[Daemon], images: Images) -> Iterator[Figure]:
    title = f"V1 tags list with details, a page of {PAGE} of {images.tags:,} tags"
    base = f"/gitlab/v1/repositories/{images.path}/tags/list/?n={PAGE}"
    asked = []
    for number in random.Random(SEED).sample(range(images.tags), PLACES // len(SORTS)):
        name = seeding.tag_name(number)
        for sort in SORTS:
            last = name if sort.endswith("name") else marker(number, name)
            asked.append((sort, f"{base}&sort={sort}&last={last}"))
    for daemon, samples in zip(daemons, stage.samples(title, daemons, _pages(stage, asked)), strict=True):
        by_sort = {sort: _latencies_ms(samples, sort, 0.99) for sort in SORTS}
        filtered_ms = [_took_ms(daemon, f"{base}&name=no-such-tag") for _ in range(FILTERED)]
        others = [Series(f"ms, p99, sort={sort}", [], rounds) for sort, rounds in by_sort.items()]
        others += [Series("ms, name filter without a hit", [], filtered_ms), _cpu([], samples)]
        worst = [max(rounds) for rounds in zip(*by_sort.values(), strict=True)]
        judged = Series("ms, p99, worst sort", [], worst)
        yield _figure("tags", title, daemon, judged, target=AtMost(DETAILS_LIMIT_MS), others=others)


def _walks(stage: Stage, daemons: Sequence[Daemon], images: Images) -> Iterator[Figure]:
    title = f"worker memory while {images.tags:,} tags are paged through"
    for daemon in daemons:
        stage.say(f"{title}, {daemon.subject.store}")
        lists = (f"/v2/{images.path}/tags/list?n={PAGE}", f"/gitlab/v1/repositories/{images.path}/tags/list/?n=1000")
        for path in lists:
            load.run(daemon.address, [_walk(path, pages=FIRST_PAGES)])
        processes.forget_peak(daemon.process.pid)
        before = daemon.memory_bytes()
        pages = sum(load.run(daemon.address, [_walk(path)]).count for path in lists)
        if pages != images.tags // PAGE + images.tags // 1000:
            msg = f"{images.tags} tags came on {pages} pages"
            raise LoadError(msg)
        after, peak = daemon.memory_bytes(), daemon.peak_memory_bytes()
        levels = (("before", before), ("after", after), ("at most", peak))
        others = [Series(f"MiB {when}", [], [level / MIB]) for when, level in levels]
        judged = Series("MiB more at most", [], [(peak - before) / MIB])
        yield _figure("tags", title, daemon, judged, target=AtMost(GROWTH_LIMIT_MIB), others=others)


def _walk(path: str, *, pages: int | None = None) -> Script:
    """Follow the links from page to page; count pages."""
    count, following = 0, path
    while following and (pages is None or count < pages):
        answer = load.expect((yield load.request("GET", following)), 200)
        link = _NEXT.search(answer.head.decode("latin-1"))
        following = client.local_part(link[1]) if link else ""
        count += 1
    return count


def _seed(stage: Stage, daemon: Daemon, repositories: Sequence[Images]) -> None:
    count = sum(images.tags for images in repositories)
    stage.say(f"writing {count} tags in {len(repositories)} repositories into {daemon.subject.store}")
    seeding.seed(daemon.sink(), repositories)


def _chosen(names: Sequence[str]) -> list[str]:
    return random.Random(SEED).sample(names, min(PLACES, len(names)))


def _pages(stage: Stage, asked: Sequence[tuple[str, str]]) -> Callable[[Daemon, int], Load]:
    """Ask for pages over several connections at once, each beginning at another place."""

    def act(daemon: Daemon, number: int) -> Load:
        latencies_s: defaultdict[str, list[float]] = defaultdict(list)
        until = time.monotonic() + stage.plan.list_s
        scripts = []
        for connection in range(CONNECTIONS):
            start = (connection + number) * len(asked) // (CONNECTIONS + stage.plan.rounds)
            scripts.append(client.timed([*asked[start:], *asked[:start]], latencies_s, until=until))
        done = load.run(daemon.address, scripts)
        return Load(done.count, done.wall_s, latencies_s)

    return act


def _latencies_ms(samples: Sequence[Sample], label: str, share: float) -> list[float]:
    return [1000 * percentile(sample.latencies_s[label], share) for sample in samples]


def _cpu(peer: Sequence[Sample], samples: Sequence[Sample]) -> Series:
    """CPU of the server and of its database, if that is one of its own."""

    def cpu_us(sample: Sample) -> float:
        return 1e6 * (sample.cpu_s + sample.database_cpu_s) / sample.count

    unit = "CPU µs/request, with the database's"
    return Series(unit, [cpu_us(sample) for sample in peer], [cpu_us(sample) for sample in samples])


def _figure(
    work: str, title: str, daemon: Daemon, judged: Series, *, target: Target, others: Sequence[Series] = ()
) -> Figure:
    store = daemon.subject.store
    return Figure(work=work, title=title, store=store, judged=judged, target=target, others=others)


def marker(number: int, name: str) -> str:
    """The place of a tag in a list by time. Source: GitLab features V1A-013."""
    moment = seeding.published_at(number).replace(tzinfo=None).isoformat(timespec="microseconds")
    return quote(base64.b64encode(f"{moment}Z|{name}".encode()), safe="")


def _check_size(daemon: Daemon, path: str, images: Images) -> None:
    found = json.loads(client.expect_answer(daemon, "GET", path, 200))["size_bytes"]
    if found != images.distinct_layer_bytes():
        msg = f"{path}: {found} bytes instead of {images.distinct_layer_bytes()}"
        raise LoadError(msg)


def _took_ms(daemon: Daemon, path: str) -> float:
    began = time.perf_counter()
    client.expect_answer(daemon, "GET", path, 200)
    return 1000 * (time.perf_counter() - began)
