"""The registry's word about what it is, in the settings of the instance."""

import json
from pathlib import Path

from django.test import Client
from structlog.testing import capture_logs

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.registry_facts import RegistryFacts
from moorage.control.instance.changes import change_settings
from moorage.control.registry.client import ControlRegistry
from moorage.control.registry.connection import talking_to
from moorage.control.registry.transport import RegistryTransport
from moorage.control.tokens.minting import mint_internal_token
from support.components import need
from support.control_api import call
from support.control_registry import MovedClock, registry_at
from support.control_rows import new_token, new_user
from support.daemon import Daemon
from support.peer import Peer
from support.ports import free_port
from support.tokens import Issuer

FACTS = ("vendor", "version", "features", "db_enabled")


def facts(client: Client, token: str) -> dict[str, object]:
    shown = json.loads(call(client, "GET", "/application/settings", token=token).content)
    return {name: shown[f"container_registry_{name}"] for name in FACTS}


def test_the_settings_say_which_registry_it_is_and_what_it_can(
    client: Client, shared_daemon: Daemon, tmp_path: Path
) -> None:
    need("docker-registry")
    token, clock, worker = new_token(new_user(is_admin=True)).secret, MovedClock(), RegistryFacts()
    change_settings(by=COMMAND_LINE, container_registry_token_expire_delay=7)
    with registry_at(shared_daemon.url) as registry:
        worker.step(clock.turn)
        known = registry.info()
    moorage = {"vendor": "gitlab", "version": known.version, "features": list(known.features), "db_enabled": True}
    assert facts(client, token) == moorage
    assert "tag_delete" in known.features
    with Peer(tmp_path, tmp_path / "data") as peer, registry_at(peer.url):
        worker.step(clock.turn)
        assert facts(client, token) == moorage, "it is asked every five minutes"
        clock.move(minutes=5)
        worker.step(clock.turn)
    other = {"vendor": "other", "version": "", "features": [], "db_enabled": False}
    assert facts(client, token) == other
    clock.move(minutes=5)
    with registry_at(f"http://127.0.0.1:{free_port()}"):
        worker.step(clock.turn)
    assert facts(client, token) == other
    assert (
        json.loads(call(client, "GET", "/application/settings", token=token).content)[
            "container_registry_token_expire_delay"
        ]
        == 7
    )


def test_a_registry_that_trusts_another_key_is_told_of_in_the_log(tmp_path: Path) -> None:
    other = Issuer(tmp_path)
    storage = f"storage: {{filesystem: {{rootdirectory: '{tmp_path / 'data'}'}}}}"
    config = f"version: 0.1\n{storage}\n{other.section}\n"
    with Daemon(tmp_path / "registry", config=config) as daemon:
        transport = RegistryTransport(daemon.url, mint_internal_token)
        with talking_to(ControlRegistry(transport)), capture_logs() as logged:
            RegistryFacts().step(MovedClock().turn)
        transport.close()
    [said] = logged
    assert said["log_level"] == "error"
    assert "rootcertbundle" in said["event"]
    assert "untrusted key" in said["reason"]
