"""``moorage garbage-collect`` and the daemon: who keeps whom out, read-only mode, kill -9, output and exit status."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from e2e.checks import assert_everything_listed_is_whole
from e2e.images import build_image, build_index
from e2e.settings import config_for
from e2e.wire import Wire
from moorage.cli.amounts import shown_bytes
from support.collecting import blobs_below, collected, command, run
from support.daemon import Daemon
from support.processes import signal_each

READ_ONLY = {"readonly": {"enabled": True}}
LOCK_FILES = "docker/registry/lockfiles"


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    """Not started; its configuration is on the disk."""
    made = Daemon(tmp_path, config=config_for(tmp_path), workers=2)
    (tmp_path / "config.yml").write_text(config_for(tmp_path))
    return made


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yml"


def fill(daemon: Daemon) -> None:
    """Images with and without tags, an index, a signature, orphans."""
    wire = Wire(daemon.address)
    for number in range(4):
        wire.push_image("group/app", "moving", build_image(f"moving {number}"))
    index = build_index("index")
    for image in index.images:
        wire.push_image("group/app", image.manifest.digest, image)
    assert wire.put_manifest("group/app", "all", index.manifest).status == 201
    signature = build_image("signature", layers=1, subject=index.manifest)
    wire.push_image("group/app", signature.manifest.digest, signature)
    wire.push_blob("other/app", b"orphan")


def test_what_is_garbage_goes_and_everything_listed_can_be_pulled(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
        before = assert_everything_listed_is_whole(Wire(daemon.address))
    count = len(blobs_below(daemon.data))
    said = collected(config, "-m")
    assert said["blobs"] == count
    assert said["manifests_deleted"] == said["manifests_to_delete"] == 3
    assert said["blobs_deleted"] == said["blobs_to_delete"] == count - len(blobs_below(daemon.data)) > 0
    assert said["freed_bytes"] == said["storage_use_estimate_bytes"] > 0
    assert said["dry_run"] is False
    with daemon:
        assert assert_everything_listed_is_whole(Wire(daemon.address)) == before


def test_a_dry_run_says_what_would_go(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    before = blobs_below(daemon.data)
    said = collected(config, "--delete-untagged", "--dry-run")
    assert blobs_below(daemon.data) == before
    assert (said["dry_run"], said["blobs_deleted"], said["manifests_deleted"]) == (True, 0, 0)
    assert said["blobs_to_delete"] > 0
    assert said["manifests_to_delete"] == 3


def test_a_person_gets_a_summary_on_standard_output_and_the_log_beside_it(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    ended = run(config, "-m")
    assert ended.returncode == 0
    assert "of which deleted: 3" in ended.stdout
    room = re.search(r"^room +(.+) freed \((\d+) bytes\)$", ended.stdout, re.MULTILINE)
    assert room is not None
    assert room[1] == shown_bytes(int(room[2])), "in the units of the other commands"
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    mark = next(event for event in events if event["msg"] == "mark stage complete")
    assert {
        "blobs_marked",
        "blobs_to_delete",
        "manifests_to_delete",
        "storage_use_estimate_bytes",
        "duration_s",
    } <= set(mark)
    assert (mark["stage"], mark["driver"], mark["dry_run"]) == ("mark", "filesystem", False)
    assert "would be freed" in run(config, "-m", "-d").stdout


def test_on_a_terminal_a_bar_shows_how_far_it_is(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command(config, "-m"), stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # So ends a terminal that nobody has open any more.
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.wait() == 0
    for text in ("mark: repositories", "mark: folders of blobs", "sweep: repositories", "sweep: blobs", "/s", "0:00"):
        assert text.encode() in shown


def test_a_registry_that_takes_pushes_keeps_a_collection_out_until_it_ends_or_is_killed(
    daemon: Daemon, config: Path
) -> None:
    with daemon:
        fill(daemon)
        before = blobs_below(daemon.data)
        ended = run(config, "-m")
        assert ended.returncode == 1
        assert ended.stdout == ""
        assert "storage.maintenance.readonly.enabled: true" in ended.stderr
        assert f"process {daemon.pid}" in ended.stderr
        assert blobs_below(daemon.data) == before
        assert run(config, "-m", "--dry-run").returncode == 0
        daemon.kill()
        assert list((daemon.data / LOCK_FILES).glob("writing-*"))
        assert collected(config, "-m")["manifests_deleted"] == 3
        assert [path.name for path in (daemon.data / LOCK_FILES).iterdir()] == ["filesystem-in-use"]


def test_a_registry_that_ends_leaves_no_file_behind(daemon: Daemon) -> None:
    with daemon:
        assert len(list((daemon.data / LOCK_FILES).glob("writing-*"))) == 1
    assert not list((daemon.data / LOCK_FILES).glob("writing-*"))


def test_workers_that_outlive_their_supervisor_still_keep_a_collection_out(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
        wire = Wire(daemon.address)
        workers = daemon.worker_pids
        signal_each(workers, signal.SIGSTOP)  # So that they do not see at once that they are alone.
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
        assert run(config, "-m").returncode == 1
        signal_each(workers, signal.SIGKILL)
        del wire
        wait_until_gone(workers)
        assert run(config, "-m").returncode == 0


def wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/fd").exists() and _has_files(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _has_files(pid: int) -> bool:
    try:
        return any(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def test_beside_a_read_only_registry_pulls_go_on_and_what_goes_answers_404(tmp_path: Path, config: Path) -> None:
    writer = Daemon(tmp_path, config=config_for(tmp_path))
    with writer:
        fill(writer)
        wire = Wire(writer.address)
        gone = build_image("moving 0")
        before = assert_everything_listed_is_whole(wire)
    reader = Daemon(tmp_path, config=config_for(tmp_path, maintenance=READ_ONLY), workers=2)
    with reader:
        wire = Wire(reader.address)
        for _ in range(8):  # Every worker has it in memory.
            assert wire.manifest("group/app", gone.manifest.digest).status == 200
        assert collected(config, "-m")["manifests_deleted"] == 3
        for _ in range(8):
            assert wire.manifest("group/app", gone.manifest.digest).status == 404
        assert wire.blob("group/app", gone.layers[0].digest).status == 404
        assert assert_everything_listed_is_whole(wire) == before


def test_read_only_mode_by_the_variable_of_gitlabs_guide_lets_a_collection_in_and_pushes_come_back_after_it(
    daemon: Daemon, config: Path
) -> None:
    with daemon:
        fill(daemon)
        before = assert_everything_listed_is_whole(Wire(daemon.address))
    daemon.env["REGISTRY_STORAGE_MAINTENANCE_READONLY"] = '{"enabled":true}'
    with daemon:
        assert Wire(daemon.address).request("POST", "/v2/group/app/blobs/uploads/").status == 405
        assert run(config, "-m").returncode == 0
    daemon.env["REGISTRY_STORAGE_MAINTENANCE_READONLY"] = '{"enabled":false}'
    with daemon:
        wire = Wire(daemon.address)
        assert assert_everything_listed_is_whole(wire) == before
        wire.push_image("group/app", "after", build_image("after"))
        assert "after" in wire.tags("group/app")


def test_a_registry_does_not_begin_to_take_pushes_during_a_collection(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    process = paused(config)
    try:
        with pytest.raises(RuntimeError, match="garbage is being collected in this storage"):
            daemon.start()
        second = run(config)
        assert (second.returncode, "another garbage collection" in second.stderr) == (1, True)
    finally:
        process.kill()
        process.wait()
    with daemon:
        assert assert_everything_listed_is_whole(Wire(daemon.address))


def paused(config: Path) -> "subprocess.Popen[bytes]":
    """A collection that is stopped after it has announced itself."""
    process = subprocess.Popen(command(config, "-m"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_announcement(config, process)
    process.send_signal(signal.SIGSTOP)
    assert announcements(config), "the collection was over before it could be stopped"
    return process


def announcements(config: Path) -> list[Path]:
    folder = Path(yaml.safe_load(config.read_text())["storage"]["filesystem"]["rootdirectory"]) / LOCK_FILES
    return list(folder.glob("collecting-*"))


def wait_for_announcement(config: Path, process: "subprocess.Popen[bytes] | subprocess.Popen[str]") -> None:
    # A command's start takes 0.3 s on an idle machine, and a busy one may give it a tenth of a core.
    deadline = time.monotonic() + 60
    while not announcements(config):
        assert process.poll() is None, f"the collection ended with {process.returncode} before it had begun"
        assert time.monotonic() < deadline, "the collection has not announced itself within a minute"
        time.sleep(0.005)


def test_a_collection_that_is_killed_loses_nothing_and_the_next_one_finishes(tmp_path: Path, config: Path) -> None:
    daemon = Daemon(tmp_path, config=config_for(tmp_path))
    with daemon:
        wire = Wire(daemon.address)
        for number in range(60):
            wire.push_image(f"group/app{number % 6}", "moving", build_image(f"{number}", layers=1, layer_bytes=100))
        before = assert_everything_listed_is_whole(wire)
    count = len(blobs_below(daemon.data))
    kills = 0
    for attempt in range(12):
        others = set(announcements(config))
        process = subprocess.Popen(command(config, "-m"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and others.issuperset(announcements(config)):
            time.sleep(0.005)
        try:
            process.wait(attempt * 0.02)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        if process.returncode == 0:
            break
    assert kills
    collected(config, "-m")
    assert len(blobs_below(daemon.data)) == count - 54 * 3
    assert collected(config, "-m")["blobs_to_delete"] == 0
    with daemon:
        assert assert_everything_listed_is_whole(Wire(daemon.address)) == before


def test_ctrl_c_ends_it_with_a_word_and_a_status(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    # Its first line does not fit into the pipe, so it cannot be over before the signal comes.
    reading, writing = os.pipe()
    before = fill_pipe(writing)
    process = subprocess.Popen(command(config, "-m"), stdout=subprocess.PIPE, stderr=writing, text=True)
    wait_for_announcement(config, process)
    process.send_signal(signal.SIGINT)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        stderr = pipe.read()[before:].decode()
    stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "interrupted: what was deleted stays deleted, and the next run finishes the work"
    assert "Traceback" not in stderr


def fill_pipe(writing: int) -> int:
    """Write into a pipe until nothing more fits; return how many bytes those were."""
    count = 0
    os.set_blocking(writing, False)
    for piece in (b"x" * 4096, b"x"):
        with contextlib.suppress(BlockingIOError):
            while True:
                count += os.write(writing, piece)
    os.set_blocking(writing, True)
    return count


def test_with_force_it_runs_beside_a_registry_and_spares_what_is_young(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
        before = blobs_below(daemon.data)
        assert collected(config, "-m", "--force")["blobs_to_delete"] == 0
        assert blobs_below(daemon.data) == before
        said = collected(config, "-m", "--force", "--grace", "1ns")
        assert said["manifests_deleted"] == 3
        assert assert_everything_listed_is_whole(Wire(daemon.address))


@pytest.mark.parametrize("enabled", [True, "true"])
def test_with_a_database_it_refuses_in_gitlabs_words(enabled: object, tmp_path: Path) -> None:
    tree = yaml.safe_load(config_for(tmp_path))
    tree["database"] = {"enabled": enabled, "sqlite": str(tmp_path / "moorage.db")}
    path = tmp_path / "config.yml"
    path.write_text(yaml.safe_dump(tree))
    ended = run(path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the garbage-collect command is not compatible with database metadata" in ended.stderr


def test_the_lock_of_a_database_keeps_it_out(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    lock = daemon.data / LOCK_FILES / "database-in-use"
    lock.write_text('{"version":1}')
    before = blobs_below(daemon.data)
    ended = run(config, "-m", "--force", env={"REGISTRY_FF_ENFORCE_LOCKFILES": "false"})
    assert ended.returncode == 1
    assert '"lock_path": "/docker/registry/lockfiles/database-in-use"' in ended.stderr
    assert "error: database managed filesystem, cannot continue" in ended.stderr
    assert blobs_below(daemon.data) == before


def test_a_folder_that_is_not_there_is_a_warning_and_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text(config_for(tmp_path))
    ended = run(path)
    assert ended.returncode == 0
    assert "skipping garbage collection" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_what_gitlabs_scripts_may_say_is_understood(daemon: Daemon, config: Path) -> None:
    with daemon:
        fill(daemon)
    ended = run(config, "-d", "-m", "-s", "localhost:5001")
    assert ended.returncode == 0
    assert "--debug-server does nothing" in ended.stderr


@pytest.mark.parametrize("options", [["--grace", "soon"], ["--no-such-option"]])
def test_a_command_line_that_makes_no_sense_is_refused(options: list[str], config: Path, daemon: Daemon) -> None:
    assert run(config, *options).returncode == 2


def test_without_a_configuration_it_says_what_is_missing(tmp_path: Path) -> None:
    ended = run(tmp_path / "absent.yml")
    assert ended.returncode == 1
    assert "cannot read" in ended.stderr
