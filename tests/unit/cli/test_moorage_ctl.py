"""``moorage-ctl`` as its own process, with a systemd that only writes down what it is asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.migrations import wait_for

SYSTEMCTL = """\
#!/bin/sh
echo "systemctl $*" >>"$CALLS"
case "$*" in *is-active*) test -e "$RUNS" ;; *) test ! -e "$FAILS" ;; esac
"""
COLLECTOR = """\
#!/bin/sh
echo "$(basename "$0") $*" >>"$CALLS"
[ -z "$REGISTRY_SAID" ] || echo "with $REGISTRY_SAID" >>"$CALLS"
[ -e "$HANGS" ] || exit 0
trap 'echo interrupted >>"$CALLS"; exit 7' INT TERM
echo waiting >>"$CALLS"
while :; do sleep 0.1; done
"""


class Site:
    """A folder of a site, programs of its own, and what was called."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.etc = folder, folder / "etc"
        self.etc.mkdir()
        (self.etc / "config.yml").write_text("version: 0.1\n")
        programs = folder / "bin"
        programs.mkdir()
        for name, text in (("systemctl", SYSTEMCTL), ("moorage", COLLECTOR), ("registry", COLLECTOR)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (programs / "moorage-ctl").write_text("from moorage.cli.moorage_ctl import main\nmain()\n")
        names = {name: str(folder / name.lower()) for name in ("CALLS", "RUNS", "FAILS", "HANGS")}
        path = f"{programs}:{os.environ['PATH']}"
        self.environ = {**os.environ, **names, "PATH": path, "MOORAGE_SITE": str(self.etc)}
        self.command = [sys.executable, str(programs / "moorage-ctl")]
        self.runs()

    def runs(self) -> None:
        (self.folder / "runs").touch()

    @property
    def calls(self) -> list[str]:
        found = self.folder / "calls"
        return found.read_text().splitlines() if found.exists() else []

    def __call__(self, *words: str) -> "subprocess.CompletedProcess[str]":
        found = subprocess.run(
            [*self.command, *words], env=self.environ, capture_output=True, text=True, check=False, timeout=60
        )
        assert "Traceback" not in found.stderr
        return found


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_registry_stands_still_while_it_is_collected(site: Site) -> None:
    found = site("registry-garbage-collect", "-m")
    assert found.returncode == 0
    assert "Executing command:" in found.stdout
    assert site.calls == [
        "systemctl --quiet is-active moorage.service",
        "systemctl stop moorage.service",
        f"moorage garbage-collect -m {site.etc}/config.yml",
        "systemctl start moorage.service",
    ]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("REGISTRY_SAID=bucket", "bucket"),
        ("  REGISTRY_SAID = 'two words' ", "two words"),
        ("REGISTRY_SAID=two  words # kept", "two  words # kept"),
        ('REGISTRY_SAID="a \\"quoted\\" word"', 'a "quoted" word'),
        ("REGISTRY_SAID='it'\"'\"'s'", "it's"),
        ("# REGISTRY_SAID=no\n;REGISTRY_SAID=no\nREGISTRY_SAID=a=b", "a=b"),
        ("REGISTRY_SAID=one\\\nline", "oneline"),
    ],
)
@pytest.mark.parametrize("words", [("registry-garbage-collect",), ("registry-database", "migrate", "status")])
def test_the_variables_of_the_service_count(site: Site, words: tuple[str, ...], line: str, value: str) -> None:
    """They may say where the images are."""
    (site.etc / "registry.env").write_text(f"{line}\n")
    assert site(*words).returncode == 0
    assert f"with {value}" in site.calls


def test_a_variable_of_whoever_calls_comes_before_the_services(site: Site) -> None:
    (site.etc / "registry.env").write_text("REGISTRY_SAID=service\n")
    site.environ["REGISTRY_SAID"] = "caller"
    assert site("registry-database", "migrate", "status").returncode == 0
    assert "with caller" in site.calls


def test_where_the_variables_cannot_be_read_nothing_is_done(site: Site) -> None:
    (site.etc / "registry.env").write_text("REGISTRY_SAID='no end\n")
    found = site("registry-garbage-collect")
    assert found.returncode == 1
    assert "registry.env: No closing quotation; nothing was done" in found.stderr
    assert site.calls == []


@pytest.mark.parametrize("option", ["--delete-manifests", "--delete-untagged=true"])
def test_gitlab_s_other_options_are_taken(site: Site, option: str) -> None:
    assert site("registry-garbage-collect", option, "-d", str(site.etc / "config.yml")).returncode == 0
    assert f"moorage garbage-collect -m --dry-run {site.etc}/config.yml" in site.calls


def test_a_collection_that_fails_has_its_status_and_the_registry_starts(site: Site) -> None:
    program = site.folder / "bin" / "moorage"
    program.write_text(program.read_text().replace("exit 0", "exit 3"))
    assert site("registry-garbage-collect").returncode == 3
    assert site.calls[-1] == "systemctl start moorage.service"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_collection_that_is_interrupted_leaves_the_registry_running(site: Site, number: signal.Signals) -> None:
    (site.folder / "hangs").touch()
    with subprocess.Popen([*site.command, "registry-garbage-collect"], env=site.environ) as process:
        wait_for(lambda: "waiting" in site.calls)
        process.send_signal(number)
        assert process.wait(timeout=60) == 7
    assert site.calls[-2:] == ["interrupted", "systemctl start moorage.service"]


def test_a_registry_that_was_stopped_stays_so(site: Site) -> None:
    (site.folder / "runs").unlink()
    assert site("registry-garbage-collect").returncode == 0
    assert not [call for call in site.calls if " start " in call or " stop " in call]


def test_nothing_is_collected_if_the_registry_cannot_be_stopped(site: Site) -> None:
    (site.folder / "fails").touch()
    found = site("registry-garbage-collect")
    assert found.returncode == 1
    assert "could not be stopped" in found.stderr
    assert not [call for call in site.calls if "garbage" in call]


def test_a_missing_configuration_is_said(site: Site) -> None:
    found = site("registry-garbage-collect", "/nowhere/config.yml")
    assert (found.returncode, found.stderr) == (
        1,
        "error: there is no /nowhere/config.yml: name the registry's configuration\n",
    )
    assert site.calls == []


def test_the_database_s_commands_get_the_configuration_of_the_site(site: Site) -> None:
    assert site("registry-database", "migrate", "status", "-u").returncode == 0
    assert site.calls == [f"registry database migrate status -u {site.etc}/config.yml"]


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (("migrate", "up", "-l", "1"), "migrate up -n 1"),
        (("migrate", "down", "-f", "-l2"), "migrate down -f -n2"),
        (("import", "-1", "-l"), "import -1 -l"),
    ],
)
def test_gitlab_ctl_s_limit_of_migrations_is_passed_on_under_its_own_name(
    site: Site, given: tuple[str, ...], passed: str
) -> None:
    assert site("registry-database", *given).returncode == 0
    assert site.calls == [f"registry database {passed} {site.etc}/config.yml"]


@pytest.mark.parametrize("command", ["stop", "tail", "reconfigure", "registry-garbage-collect"])
def test_who_asks_for_help_is_helped_and_nothing_is_done(site: Site, command: str) -> None:
    found = site(command, "--help")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith(f"Usage: moorage-ctl {command} ")
    assert site.calls == []


def test_help_about_the_database_s_commands_needs_no_configuration(site: Site) -> None:
    (site.etc / "config.yml").unlink()
    assert site("registry-database", "migrate", "up", "--help").returncode == 0
    assert site.calls == ["registry database migrate up --help"]


def test_the_log_of_a_service_that_there_is_not_is_not_that_of_the_whole_machine(site: Site) -> None:
    found = site("tail", "sidekiq")
    assert (found.returncode, found.stderr) == (
        1,
        "error: there is no service sidekiq; there are registry, control\n",
    )


@pytest.mark.parametrize("action", ["status", "start", "stop", "restart"])
def test_services_are_named_in_short_words(site: Site, action: str) -> None:
    assert site(action).returncode == 0
    assert site(action, "registry").returncode == 0
    assert site.calls == [
        f"systemctl --no-pager {action} moorage.service moorage-control.service",
        f"systemctl --no-pager {action} moorage.service",
    ]
    found = site(action, "sidekiq")
    assert (found.returncode, "there is no service sidekiq" in found.stderr) == (1, True)


def test_reconfigure_restarts_what_reads_a_file_that_has_changed(site: Site) -> None:
    (site.etc / "config.yml").unlink()
    settings = site.etc / "gitlab.rb"
    text = "external_url 'https://gitlab.example.com'\nregistry_external_url 'https://gitlab.example.com:5050'\n"
    settings.write_text(text)
    assert site("reconfigure").returncode == 0
    assert site.calls == ["systemctl --no-pager restart moorage.service moorage-control.service"]
    found = site("reconfigure")
    assert "nothing that a service reads has changed" in found.stdout
    assert len(site.calls) == 1
    settings.write_text(f"{text}registry['log_level'] = 'debug'\n")
    assert site("reconfigure").returncode == 0
    assert site.calls[1:] == ["systemctl --no-pager restart moorage.service"]


def test_settings_that_cannot_be_used_change_nothing(site: Site) -> None:
    (site.etc / "gitlab.rb").write_text("registry_external_url 'gitlab.example.com'\n")
    found = site("reconfigure")
    assert found.returncode == 1
    assert "must include a scheme" in found.stderr
    assert site.calls == []


def test_an_unknown_command_has_gitlab_ctl_s_status(site: Site) -> None:
    found = site("registry-garbage")
    assert found.returncode == 128
    assert "unknown command 'registry-garbage' for moorage-ctl" in found.stderr
    assert "registry-garbage-collect" in found.stdout
    assert site().returncode == 0
