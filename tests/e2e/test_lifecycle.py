"""Stopping, draining, restarts, purging of old uploads, and read-only operation."""

import os
import random
import signal
import socket
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from e2e.checks import upload_folders
from e2e.images import build_image
from e2e.settings import config_for
from e2e.wire import Wire, connect, eventually, head, sha256, status_of, with_query
from support.daemon import Daemon

MIB = 1 << 20
STOP_S = 60.0


def refuses_connections(address: str) -> bool:
    """Whether a new connection gets nothing: it is refused, or closed before an answer."""
    try:
        with connect(address, 2) as sock:
            sock.sendall(head("GET", "/v2/"))
            return not sock.recv(100)
    except (ConnectionError, TimeoutError):
        return True


def exit_status(daemon: Daemon) -> int:
    assert daemon.process is not None
    return daemon.process.wait(STOP_S)


def begin_put(address: str, repository: str, content: bytes, *, stack: ExitStack) -> socket.socket:
    """Start a monolithic PUT and leave it in the middle."""
    target = with_query(Wire(address).start_upload(repository), digest=sha256(content))
    sock = stack.enter_context(connect(address, 30))
    options = {"content_length": str(len(content)), "content_type": "application/octet-stream"}
    sock.sendall(head("PUT", target, **options) + content[: len(content) // 2])
    return sock


def test_sigterm_drains_uploads_in_flight_finish_and_nobody_new_comes_in(tmp_path: Path) -> None:
    contents = [random.Random(f"drain {n}").randbytes(2 * MIB) for n in range(4)]
    config = config_for(tmp_path, http={"draintimeout": "10s"})
    with Daemon(tmp_path, config=config, workers=2) as daemon, ExitStack() as stack:
        # Several, so that each worker has some.
        slow = [begin_put(daemon.address, "t/drained", content, stack=stack) for content in contents]
        idle = [stack.enter_context(connect(daemon.address, 5)) for _ in range(4)]
        time.sleep(0.3)
        os.kill(daemon.pid, signal.SIGTERM)
        eventually("new connections are refused", lambda: refuses_connections(daemon.address))
        for sock, content in zip(slow, contents, strict=True):
            sock.sendall(content[MIB:])
            assert status_of(sock) == 201
        assert exit_status(daemon) == 0
        assert all(sock.recv(1) == b"" for sock in idle)
        daemon.start()
        for content in contents:
            assert Wire(daemon.address).blob("t/drained", sha256(content)).body == content


@pytest.mark.parametrize(("number", "drain"), [(signal.SIGINT, "600s"), (signal.SIGTERM, "0s")])
def test_without_patience_uploads_in_flight_are_cut_and_can_be_resumed(
    number: signal.Signals, drain: str, tmp_path: Path
) -> None:
    content = random.Random("cut").randbytes(2 * MIB)
    with Daemon(tmp_path, config=config_for(tmp_path, http={"draintimeout": drain}), workers=2) as daemon:
        wire = Wire(daemon.address)
        location = wire.start_upload("t/cut")
        with connect(daemon.address) as sock:
            options = {"content_length": str(len(content)), "content_type": "application/octet-stream"}
            sock.sendall(head("PATCH", location, **options) + content[:MIB])
            time.sleep(0.3)
            os.kill(daemon.pid, number)
            assert exit_status(daemon) == 0
        daemon.start()
        status = wire.request("GET", location)
        assert status.status == 204
        answer = wire.patch(status.location, content[status.offset :], status.offset)
        assert answer.status == 202, (answer.status, answer.body)
        assert wire.finish(answer.location, sha256(content)).status == 201


def test_draining_ends_at_its_time_limit(tmp_path: Path) -> None:
    content = random.Random("too slow").randbytes(2 * MIB)
    config = config_for(tmp_path, http={"draintimeout": "1s"})
    with Daemon(tmp_path, config=config, workers=2) as daemon, ExitStack() as stack:
        begin_put(daemon.address, "t/cut", content, stack=stack)
        time.sleep(0.3)
        started = time.monotonic()
        os.kill(daemon.pid, signal.SIGTERM)
        exit_status(daemon)
        assert time.monotonic() - started >= 0.8
        daemon.start()
        assert Wire(daemon.address).blob("t/cut", sha256(content)).status == 404


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_an_idle_daemon_at_once(number: signal.Signals, tmp_path: Path) -> None:
    config = config_for(tmp_path, http={"draintimeout": "600s"})
    with Daemon(tmp_path, config=config, workers=2) as daemon, Wire(daemon.address, keep=True) as wire:
        workers = daemon.worker_pids
        assert wire.request("GET", "/v2/").status == 200
        # The connection above is kept alive, and no reason to wait.
        os.kill(daemon.pid, number)
        assert exit_status(daemon) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert refuses_connections(daemon.address)


def has_two_workers_without(daemon: Daemon, gone: int) -> bool:
    return gone not in daemon.worker_pids and len(daemon.worker_pids) == 2


def test_a_killed_worker_is_replaced_and_service_goes_on(tmp_path: Path) -> None:
    image = build_image("replaced")
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("t/replaced", "v1", image)
        for _ in range(3):
            before = set(daemon.worker_pids)
            assert len(before) == 2
            killed = min(before)
            os.kill(killed, signal.SIGKILL)
            eventually("there are two workers again", partial(has_two_workers_without, daemon, killed))
            daemon.wait_ready()
            for _ in range(20):
                assert wire.manifest("t/replaced", "v1").status == 200
        wire.push_image("t/replaced", "v2", build_image("after"))


def test_workers_whose_supervisor_is_killed_go_too_and_another_daemon_may_take_over(tmp_path: Path) -> None:
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        digest = Wire(daemon.address).push_blob("t/orphans", b"kept")
        workers = daemon.worker_pids
        eventually("the supervisor rests", lambda: daemon.rests)
        os.kill(daemon.pid, signal.SIGKILL)
        exit_status(daemon)
        eventually("the workers are gone", lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
        daemon.start()
        assert Wire(daemon.address).blob("t/orphans", digest).body == b"kept"


def test_a_daemon_whose_port_is_taken_says_so_and_ends(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, config=config_for(tmp_path), workers=2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", daemon.port))
        taken.listen()
        daemon.start(wait=False)
        assert exit_status(daemon) != 0
    assert str(daemon.port) in daemon.log
    assert "Traceback" not in daemon.log


def test_uploads_survive_a_restart(tmp_path: Path) -> None:
    content = random.Random("restart").randbytes(3 * MIB)
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        answer = wire.patch(wire.start_upload("t/restart"), content[:MIB], 0)
        assert answer.status == 202
        daemon.stop()
        daemon.start()
        status = wire.request("GET", answer.location)
        assert (status.status, status.offset) == (204, MIB)
        answer = wire.patch(answer.location, content[MIB:], MIB)
        assert answer.status == 202, (answer.status, answer.body)
        assert wire.finish(answer.location, sha256(content)).status == 201
        assert wire.blob("t/restart", sha256(content)).body == content


def purging(*, dryrun: bool, age: str = "1s") -> dict[str, object]:
    return {"uploadpurging": {"enabled": True, "age": age, "interval": "1s", "dryrun": dryrun}}


def test_old_uploads_are_purged_and_new_ones_are_not(tmp_path: Path) -> None:
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        blob = wire.push_blob("t/purged", b"a finished blob")
        old = [wire.patch(wire.start_upload("t/purged"), b"never finished").location for _ in range(3)]
    time.sleep(4)
    with Daemon(
        tmp_path, config=config_for(tmp_path, maintenance=purging(dryrun=False, age="4s")), workers=2
    ) as daemon:
        wire = Wire(daemon.address)
        young = wire.patch(wire.start_upload("t/purged"), b"still being written").location
        eventually("old uploads are gone", lambda: len(upload_folders(daemon.data, "t/purged")) <= 1)
        assert wire.request("GET", young).status == 204
        for location in old:
            answer = wire.request("GET", location)
            assert (answer.status, answer.codes) == (404, ["BLOB_UPLOAD_UNKNOWN"])
        assert wire.blob("t/purged", blob).body == b"a finished blob"
        eventually("the young one is gone in its turn", lambda: not upload_folders(daemon.data, "t/purged"))


def test_a_dry_run_of_purging_only_tells_what_it_would_do(tmp_path: Path) -> None:
    with Daemon(tmp_path, config=config_for(tmp_path, maintenance=purging(dryrun=True)), workers=2) as daemon:
        wire = Wire(daemon.address)
        location = wire.patch(wire.start_upload("t/dry"), b"never finished").location
        session = upload_folders(daemon.data, "t/dry")[0].name

        def told() -> bool:
            return any(session in line and "purg" in line.lower() for line in daemon.log.splitlines())

        eventually("the log names the upload", told)
        time.sleep(2)
        assert wire.request("GET", location).status == 204


def test_read_only_refuses_every_write_and_serves_pulls(tmp_path: Path) -> None:
    image = build_image("readonly")
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        wire = Wire(daemon.address)
        wire.push_image("t/ro", "v1", image)
        upload = wire.start_upload("t/ro")
    with Daemon(
        tmp_path, config=config_for(tmp_path, maintenance={"readonly": {"enabled": True}}), workers=2
    ) as daemon:
        wire = Wire(daemon.address)
        assert wire.request("POST", "/v2/t/ro/blobs/uploads/").status == 405
        assert wire.patch(upload, b"more").status == 405
        assert wire.finish(upload, sha256(b""), b"").status == 405
        assert wire.request("DELETE", upload).status == 405
        assert wire.put_manifest("t/ro", "v2", image.manifest).status == 405
        assert wire.delete("t/ro", "manifests", "v1").status == 405
        assert wire.delete("t/ro", "manifests", image.manifest.digest).status == 405
        assert wire.delete("t/ro", "blobs", image.layers[0].digest).status == 405
        assert wire.manifest("t/ro", "v1").body == image.manifest.content
        assert wire.blob("t/ro", image.layers[0].digest).body == image.layers[0].content
        assert wire.tags("t/ro") == ["v1"]
        assert wire.catalogue() == ["t/ro"]


def test_a_process_of_its_own_keeps_house_and_is_replaced_when_it_is_killed(tmp_path: Path) -> None:
    with Daemon(tmp_path, config=config_for(tmp_path), workers=2) as daemon:
        eventually("somebody keeps house", lambda: len(daemon.keeper_pids) == 1)
        (killed,) = daemon.keeper_pids
        assert killed not in daemon.worker_pids
        usual = os.getpriority(os.PRIO_PROCESS, daemon.worker_pids[0])
        # It has its name before its work, and steps back when that begins.
        eventually("it is nicer", lambda: os.getpriority(os.PRIO_PROCESS, killed) > usual)
        os.kill(killed, signal.SIGKILL)
        eventually("somebody else does", lambda: daemon.keeper_pids not in ([], [killed]))
        (keeper,) = daemon.keeper_pids
        os.kill(daemon.pid, signal.SIGTERM)
        assert exit_status(daemon) == 0
        assert not Path(f"/proc/{keeper}").exists()


def test_a_stop_at_any_moment_of_the_start_leaves_one_database_file(tmp_path: Path) -> None:
    for pause_s in (0.0, 0.05, 0.1, 0.2, 0.4):
        with Daemon(tmp_path, workers=2) as daemon:
            time.sleep(pause_s)  # The keeper is at some point of its own start.
        # Room that is kept for a full disk is no part of the database.
        left = {path.name for path in daemon.data.glob("moorage.db*")} - {"moorage.db-reserve"}
        assert left == {"moorage.db"}, pause_s


def own_kib(pid: int) -> int:
    """The memory that a process has for itself."""
    rows = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(rows["Private_Dirty"].split()[0]) + int(rows["Private_Clean"].split()[0])


def test_a_supervisor_at_rest_is_small_and_a_worker_that_it_replaces_knows_what_the_start_has_read(
    tmp_path: Path,
) -> None:
    content = random.Random("rest").randbytes(2 * MIB)
    config = config_for(tmp_path, http={"debug": {"addr": "127.0.0.1:0", "prometheus": {"enabled": True}}})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Daemon(tmp_path, config=config, workers=2, env={"TMPDIR": str(temporary)}) as daemon:
        wire = Wire(daemon.address)
        begun = wire.patch(wire.start_upload("t/rest"), content[:MIB], 0)
        eventually("the supervisor rests", lambda: daemon.rests)
        assert own_kib(daemon.pid) < 5 * 1024
        assert len(list(temporary.glob("moorage-metrics-*"))) == 1
        assert b"\0moorage\0serve\0" in Path(f"/proc/{daemon.pid}/cmdline").read_bytes(), "as one looks for it"
        (daemon.folder / "config.yml").write_text("not: [to be read")
        for killed in daemon.worker_pids:
            os.kill(killed, signal.SIGKILL)
        eventually("there are two others", lambda: len(daemon.worker_pids) == 2 and killed not in daemon.worker_pids)
        # Its state was signed by a process that is gone, with a secret that is in no file.
        answer = wire.patch(begun.location, content[MIB:], MIB)
        assert answer.status == 202, (answer.status, answer.body)
        assert wire.finish(answer.location, sha256(content)).status == 201
        os.kill(daemon.pid, signal.SIGHUP)
        eventually("the mistake is told", lambda: "the configuration cannot be read again" in daemon.log)
        eventually("the supervisor rests again", lambda: daemon.rests)
        os.kill(daemon.pid, signal.SIGTERM)
        assert exit_status(daemon) == 0
        assert not list((daemon.data / "docker/registry/lockfiles").glob("writing-*"))
        assert list(temporary.iterdir()) == []
        assert "Traceback" not in daemon.log
