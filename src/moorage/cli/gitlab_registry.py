"""``registry``: the command of GitLab's registry, for scripts that call it; the work is done by ``moorage``.

Words, options and statuses are GitLab's. Source: GitLab's registry 4.32, registry/root.go, and cobra and pflag, which
it reads its command line with.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from moorage import __version__
from moorage.cli.any_text import print_any_text
from moorage.cli.gitlab_flags import CommandFlag, FlagMistake, ParsedFlags, parse_flags, usage_of
from moorage.cli.standard_streams import run_with_streams

_HELP = CommandFlag("help", "h", "say what the command does")
_VERSION = CommandFlag("version", "v", "print the version and end")
_DRY_RUN = CommandFlag("dry-run", "d", "say what would be done, and do nothing")
_LIMIT = CommandFlag("limit", "n", "apply so many migrations at most; 0 is all", kind="int")
_POST_LIMIT = CommandFlag("post-deploy-limit", "p", "the same for post-deployment migrations", kind="int")
_SKIP_POST = CommandFlag("skip-post-deployment", "s", "leave post-deployment migrations out")
_DEBUG = CommandFlag("debug-server", "s", "accepted, and does nothing", kind="string")
_RETRY = CommandFlag("max-job-retry", "r", "attempts at a job that fails, from 1 to 10", kind="int")


@dataclass(frozen=True, slots=True)
class GitLabCommand:
    """A command, or a group of them."""

    name: str
    about: str
    flags: Sequence[CommandFlag] = ()
    commands: Sequence["GitLabCommand"] = ()


_MIGRATE = GitLabCommand(
    "migrate",
    "Manage the migrations of the schema",
    commands=(
        GitLabCommand(
            "down", "Undo migrations", (_DRY_RUN, CommandFlag("force", "f", "do not ask"), _LIMIT, _POST_LIMIT)
        ),
        GitLabCommand(
            "status",
            "Print which migrations are applied",
            (_SKIP_POST, CommandFlag("up-to-date", "u", "print only whether all of them are")),
        ),
        GitLabCommand("up", "Apply migrations", (_DRY_RUN, _LIMIT, _POST_LIMIT, _SKIP_POST)),
        GitLabCommand("version", "Print the last migration of each kind"),
    ),
)
_IMPORT = GitLabCommand(
    "import",
    "Take over images from link files into the database",
    (
        CommandFlag("common-blobs", "B", "have garbage collection look at bytes that nothing refers to"),
        _DEBUG,
        _DRY_RUN,
        CommandFlag("dynamic-media-types", "m", "accepted, and does nothing"),
        CommandFlag("import-statistics", "i", "record when each step was; =false: do not"),
        CommandFlag("log-directory", "", "the folder of the log file", kind="string"),
        CommandFlag("log-to-stdout", "l", "write the log there instead of bars and a file"),
        CommandFlag("pre-import", "p", "take over blobs and manifests"),
        CommandFlag("pre-import-skip-recent", "", "go on with a step one that began less than this ago", kind="string"),
        CommandFlag("row-count", "c", "print the numbers of rows at the end"),
        CommandFlag("all-repositories", "r", "take over tags and all that is missing"),
        CommandFlag("step-one", "1", "the same as pre-import"),
        CommandFlag("step-three", "3", "the same as common-blobs"),
        CommandFlag("step-two", "2", "the same as all-repositories"),
        CommandFlag("tag-concurrency", "t", "accepted, and does nothing", kind="int"),
    ),
)
ROOT = GitLabCommand(
    "registry",
    "Moorage, under the name and with the commands of GitLab's registry",
    (_VERSION,),
    (
        GitLabCommand(
            "background-migrate",
            "Manage batched background migrations",
            commands=(
                GitLabCommand("pause", "Pause those at work"),
                GitLabCommand("resume", "Go on with those that are paused"),
                GitLabCommand("run", "Run all to their end, now", (_RETRY,)),
                GitLabCommand("status", "Print how they are"),
            ),
        ),
        GitLabCommand("database", "Manage the metadata database", commands=(_IMPORT, _MIGRATE)),
        GitLabCommand(
            "garbage-collect",
            "Delete layers that no manifest refers to",
            (CommandFlag("delete-untagged", "m", "delete manifests without a tag, too"), _DEBUG, _DRY_RUN),
        ),
        GitLabCommand("help", "Say what a command does"),
        GitLabCommand("serve", "Start the registry"),
    ),
)
"""The tree. GitLab's has ``completion`` as well, for GitLab's own binary."""


@dataclass(slots=True)
class _Found:
    path: list[GitLabCommand]
    words: list[str] = field(default_factory=list)
    """Words that are left for the command itself."""

    @property
    def command(self) -> GitLabCommand:
        return self.path[-1]

    @property
    def name(self) -> str:
        return " ".join(command.name for command in self.path)


def main() -> None:
    """Run ``registry``."""
    run_with_streams(_answer)


def _answer() -> None:
    print_any_text()
    sys.exit(_run(sys.argv[1:]))


def _run(words: Sequence[str]) -> int:
    found = _find(words)
    try:
        parsed = parse_flags(found.words, (*found.command.flags, _HELP))
    except FlagMistake as exc:
        print(f"{exc}\n\n{_usage(found)}", file=sys.stderr)
        return 1
    if parsed.values.get("help") == "true":
        print(f"{found.command.about}\n\n{_usage(found)}")
        return 0
    if found.command.name == "help":
        return _help(parsed.rest)
    return _about(found, parsed) if found.command.commands else _do(found, parsed)


def _about(found: _Found, parsed: ParsedFlags) -> int:
    """A group without a command: its usage is no mistake, but for the root's with a word that is no command."""
    if found.command is ROOT and parsed.rest:
        print(f'unknown command "{parsed.rest[0]}" for "registry"', file=sys.stderr)
        return 1
    if parsed.values.get("version") == "true":
        print(f"{sys.argv[0]} moorage v{__version__}")
        return 0
    print(_usage(found), file=sys.stderr)
    return 0


def _find(words: Sequence[str]) -> _Found:
    """Walk down the tree along the words that are no options, as far as they name commands."""
    found = _Found([ROOT], list(words))
    while found.command.commands:
        index = next((index for index, word in enumerate(found.words) if not word.startswith("-")), None)
        if index is None:
            break
        child = next((child for child in found.command.commands if child.name == found.words[index]), None)
        if child is None:
            break
        found.path.append(child)
        del found.words[index]
    return found


def _help(words: Sequence[str]) -> int:
    found = _find(words)
    if found.command is ROOT and words:
        print(f"Unknown help topic {' '.join(words)}\n{_usage(found)}", file=sys.stderr)
    else:
        print(f"{found.command.about}\n\n{_usage(found)}")
    return 0


def _usage(found: _Found) -> str:
    command = found.command
    commands = [(child.name, child.about) for child in command.commands]
    return usage_of(found.name, commands, (*command.flags, _HELP))


def _do(found: _Found, parsed: ParsedFlags) -> int:
    if not parsed.rest and not os.environ.get("REGISTRY_CONFIGURATION_PATH"):
        print("configuration error: configuration path unspecified", file=sys.stderr)
        return 1
    options = [f"--{name}={value}" for name, value in parsed.values.items() if name != "help"]
    config = ["--", parsed.rest[0]] if parsed.rest else []
    try:
        _become_moorage([*(command.name for command in found.path[1:]), *options, *config])
    except SystemExit as exc:
        # GitLab's knows 0 and 1 only.
        return int(bool(exc.code))


def _become_moorage(words: Sequence[str]) -> NoReturn:
    from moorage.cli import main as moorage  # noqa: PLC0415 - help and version need not wait for it

    sys.argv[1:] = words
    moorage()
    sys.exit(0)
