"""``moorage-ctl``: the services of an installed site, in the words of ``gitlab-ctl``.

It calls systemd and the commands of ``moorage``. Source: GitLab's Rails facts CMD-006, CMD-007, CMD-010.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moorage.cli.any_text import print_any_text
from moorage.cli.gitlab_flags import CommandFlag, FlagMistake, parse_flags
from moorage.cli.standard_streams import run_with_streams
from moorage.errors import ConfigurationError

SITE = Path(os.environ.get("MOORAGE_SITE", "/etc/moorage"))
"""Folder of the site's files."""
SERVICES: Mapping[str, str] = {"registry": "moorage.service", "control": "moorage-control.service"}
SETTINGS = (SITE / "gitlab.rb", Path("/etc/gitlab/gitlab.rb"))
"""The settings that ``reconfigure`` reads: the first that is there."""
USER = "moorage"
UNKNOWN_COMMAND = 128
"""gitlab-ctl's status for a word that is no command."""

_KEY = "gitlab-registry.key"
_READ_BY = {
    "registry": ("config.yml", "registry.env", "gitlab-registry.crt"),
    "control": ("control.yml", "control.secret", "notification.secret", _KEY),
}
_ENDING = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
_COLLECT_FLAGS = (
    CommandFlag("delete-untagged", "m", "delete manifests without a tag, too"),
    CommandFlag("delete-manifests", "", "the same"),
    CommandFlag("dry-run", "d", "say what would be done, and do nothing"),
)
_SETTINGS_FLAG = (CommandFlag("settings", "s", "the file of settings", kind="string"),)


@dataclass(frozen=True, slots=True)
class CtlCommand:
    """A word of ``moorage-ctl``."""

    takes: str
    about: str
    run: Callable[[Sequence[str]], int]


def main() -> None:
    """Run ``moorage-ctl``."""
    run_with_streams(_answer)


def _answer() -> None:
    print_any_text()
    words = sys.argv[1:]
    command = _COMMANDS.get(words[0]) if words else None
    if command is None:
        is_help = not words or words[0] in ("help", "-h", "--help")
        if not is_help:
            print(f"unknown command {words[0]!r} for moorage-ctl", file=sys.stderr)
        print(_usage())
        sys.exit(0 if is_help else UNKNOWN_COMMAND)
    if words[0] != "registry-database" and not {"-h", "--help"}.isdisjoint(words):
        print(f"Usage: moorage-ctl {words[0]} {command.takes}\n\n{command.about[0].upper()}{command.about[1:]}.")
        sys.exit(0)
    try:
        sys.exit(command.run(words[1:]))
    except FlagMistake as exc:
        print(f"error: {exc}", file=sys.stderr)
        sys.exit(1)
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        sys.exit(1)


def _usage() -> str:
    lines = [f"  {name + ' ' + one.takes:44} {one.about}" for name, one in _COMMANDS.items()]
    head, foot = "Usage: moorage-ctl COMMAND [ARGUMENTS]", "SERVICE is registry or control; else both."
    return "\n".join([head, "", *lines, "", foot])


def _of_systemd(action: str) -> Callable[[Sequence[str]], int]:
    def run(words: Sequence[str]) -> int:
        units = _units(words)
        return _call(["systemctl", "--no-pager", action, *units]) if units else 1

    return run


def _tail(words: Sequence[str]) -> int:
    units = _units(words)
    return _call(["journalctl", "--follow", *(f"--unit={unit}" for unit in units)]) if units else 1


def _units(words: Sequence[str]) -> Sequence[str]:
    """The units of the services that are named, or of all; none if there is no such service, which is said."""
    if unknown := [word for word in words if word not in SERVICES]:
        print(f"error: there is no service {unknown[0]}; there are {', '.join(SERVICES)}", file=sys.stderr)
        return ()
    return [unit for name, unit in SERVICES.items() if not words or name in words]


def _collect(words: Sequence[str]) -> int:
    """Stop the registry, collect, and start it again however that ends (S-084, S-096)."""
    parsed = parse_flags(words, _COLLECT_FLAGS)
    config = Path(parsed.rest[0]) if parsed.rest else SITE / "config.yml"
    if not config.exists():
        print(f"error: there is no {config}: name the registry's configuration", file=sys.stderr)
        return 1
    is_asked = {name for name, value in parsed.values.items() if value == "true"}
    options = ["-m"] if is_asked & {"delete-untagged", "delete-manifests"} else []
    options += ["--dry-run"] if "dry-run" in is_asked else []
    environ = _service_environ()
    with _standing_still(SERVICES["registry"]):
        return _executed(["moorage", "garbage-collect", *options, str(config)], environ)


def _database(words: Sequence[str]) -> int:
    """Run ``registry database …`` with the site's configuration. Of migrations ``-l`` is gitlab-ctl's ``-n``."""
    if not {"-h", "--help"}.isdisjoint(words):
        return _call([_program("registry"), "database", *words])
    if words[:1] == ["migrate"]:
        words = [f"-n{word[2:]}" if word.startswith("-l") else word for word in words]
    config = SITE / "config.yml"
    if not config.exists():
        print(f"error: there is no {config}", file=sys.stderr)
        return 1
    return _executed(["registry", "database", *words, str(config)], _service_environ())


def _reconfigure(words: Sequence[str]) -> int:
    """Write the site's files from its settings, and restart what reads a file that has changed."""
    from moorage.starting.gitlab_site_start import SiteRequest, write_gitlab_site  # noqa: PLC0415 - of all commands, it alone needs it

    parsed = parse_flags(words, _SETTINGS_FLAG)
    given = parsed.values.get("settings")
    settings = Path(given) if given else next((path for path in SETTINGS if path.exists()), SETTINGS[0])
    report = write_gitlab_site(SiteRequest(file=settings, folder=SITE))
    for remark in report.remarks:
        print(f"warning: {remark}", file=sys.stderr)
    written = [Path(path) for path, change in report.files.items() if change != "unchanged"]
    # Only the key can be elsewhere: where registry_key_path says.
    changed = {path.name if path.parent == SITE else _KEY for path in written}
    _give_to_service([*{*written, *(path for path in map(Path, report.files) if path.parent == SITE)}, SITE / "keys"])
    for path, change in report.files.items():
        print(f"{change:9}  {path}")
    restarted = [unit for name, unit in SERVICES.items() if changed & set(_READ_BY[name])]
    if "nginx.conf" in changed:
        print(f"next: include {SITE / 'nginx.conf'} from nginx's http block, if it is not yet; then nginx -s reload")
    if not restarted:
        print("nothing that a service reads has changed")
        return 0
    print(f"restarting {', '.join(restarted)}")
    return _call(["systemctl", "--no-pager", "restart", *restarted])


def _give_to_service(paths: Sequence[Path]) -> None:
    """Let the service's user read what root has written."""
    if os.geteuid() != 0 or not _has_user():
        return
    group = pwd.getpwnam(USER).pw_gid
    for path in (found for one in paths for found in ([one, *one.iterdir()] if one.is_dir() else [one])):
        if path.parent.name == "keys" or path.name == "keys":
            shutil.chown(path, USER, group)
        else:
            shutil.chown(path, "root", group)
            path.chmod(0o640)


@contextmanager
def _standing_still(unit: str) -> Iterator[None]:
    """Stop a service until the block ends, by whatever; one that did not run is not started."""
    ran = _call(["systemctl", "--quiet", "is-active", unit]) == 0
    if ran and _call(["systemctl", "stop", unit]) != 0:
        print(f"error: {unit} could not be stopped; nothing was done", file=sys.stderr)
        sys.exit(1)
    try:
        yield
    finally:
        if ran:
            _call(["systemctl", "start", unit])


def _executed(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command of ours as the service's user, so that what it writes is the service's.

    A signal goes to the command, and this program goes on when that has ended.
    """
    whole = [_program(command[0]), *command[1:]]
    if os.geteuid() == 0 and _has_user():
        whole = ["runuser", "-u", USER, "--", *whole]
    print(f"Executing command:\n{' '.join(whole)}", flush=True)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    process = subprocess.Popen(whole, env=environ, preexec_fn=_heed_signals)  # noqa: PLW1509, S603 - no threads here, and no shell
    for number in before:
        signal.signal(number, lambda got, _frame: process.send_signal(got))
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return status if status >= 0 else UNKNOWN_COMMAND - status


def _service_environ() -> Mapping[str, str]:
    """The service's variables, which may say where the images are; those of whoever has called come before them."""
    from moorage.gitlab_site.environment_file import read_environment  # noqa: PLC0415 - most words need it not

    file = SITE / "registry.env"
    try:
        return {**read_environment(file), **os.environ}
    except (OSError, ValueError) as exc:
        print(
            f"error: {file}: {exc}; nothing was done, as the variables of the service count here too", file=sys.stderr
        )
        sys.exit(1)


def _program(name: str) -> str:
    """The program of that name that lies beside this one; else whichever is on ``PATH``."""
    program = Path(sys.argv[0]).resolve().parent / name
    return str(program) if program.exists() else name


def _heed_signals() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_DFL)


def _has_user() -> bool:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def _call(command: Sequence[str]) -> int:
    try:
        return subprocess.run(command, check=False).returncode  # noqa: S603 - no shell
    except FileNotFoundError:
        print(f"error: {command[0]} is not here: moorage-ctl is for a machine with systemd", file=sys.stderr)
        return 1


_COMMANDS: Mapping[str, CtlCommand] = {
    "status": CtlCommand("[SERVICE]", "say how the services are", _of_systemd("status")),
    "start": CtlCommand("[SERVICE]", "start them", _of_systemd("start")),
    "stop": CtlCommand("[SERVICE]", "stop them", _of_systemd("stop")),
    "restart": CtlCommand("[SERVICE]", "stop and start them", _of_systemd("restart")),
    "tail": CtlCommand("[SERVICE]", "follow their logs", _tail),
    "reconfigure": CtlCommand("[--settings FILE]", "write the site from gitlab.rb, restart what changed", _reconfigure),
    "registry-garbage-collect": CtlCommand("[-m] [-d] [CONFIG]", "stop the registry, collect, start it", _collect),
    "registry-database": CtlCommand("COMMAND …", "migrate, import, export: see registry database", _database),
}
