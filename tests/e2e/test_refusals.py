"""What must not start: where a key that is not implemented yet would let somebody in or hide what is there."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest


def serve(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    path = folder / "config.yml"
    path.write_text(config)
    command = [
        sys.executable,
        "-m",
        "moorage",
        "serve",
        str(path),
        "--addr",
        "127.0.0.1:0",
        "--data",
        str(folder / "data"),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


BASE = "version: 0.1\nstorage: filesystem\n"


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            BASE + "http: {tls: {certificate: c.pem, key: k.pem, clientcas: [ca.pem]}}\n",
            "http.tls.clientcas[0]: cannot",
        ),
        (BASE + "http: {tls: {letsencrypt: {hosts: [a.example]}}}\n", "http.tls.letsencrypt.cachefile"),
        (
            BASE + "http: {tls: {letsencrypt: {cachefile: /proc/no, hosts: [a.example]}}}\n",
            "cachefile: /proc/no cannot",
        ),
        ("version: 0.1\nstorage: {s3: {region: r, bucket: b, keyid: k}}\n", "storage.s3: keyid needs encrypt"),
        (BASE + "http: {addr: nonsense, draintimeout: soon}\n", "http.draintimeout"),
        (BASE + "http: {tls: {certificate: absent.pem, key: absent.pem}}\n", "http.tls.certificate"),
        ("", "version"),
    ],
)
def test_a_configuration_that_cannot_be_kept_to_stops_the_start(tmp_path: Path, config: str, says: str) -> None:
    ended = serve(tmp_path, config)
    assert ended.returncode == 1
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_a_folder_whose_metadata_is_in_a_database_is_not_served_as_if_it_were_empty(tmp_path: Path) -> None:
    lock = tmp_path / "data/docker/registry/lockfiles/database-in-use"
    lock.parent.mkdir(parents=True)
    lock.write_text('{"version":1}')
    ended = serve(tmp_path, BASE)
    assert ended.returncode == 1
    assert "database" in ended.stderr


def test_an_address_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "config.yml"
        config.write_text(BASE)
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "moorage", "serve", str(config), "--addr", address, "--data", str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert address in ended.stderr
    assert ended.stderr.count("\n") <= 1
