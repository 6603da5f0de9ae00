"""Table of the commands: their order and groups in the help, a line and an example each, and the module of one.

A command is imported when it is called: ``moorage tag list`` need not wait for what a server needs.
"""

from typing import NamedTuple


class CommandRow(NamedTuple):
    """One command, or one group of commands, of ``moorage`` itself."""

    name: str
    module: str
    """Below ``moorage.cli``."""
    attribute: str
    line: str
    """For the list of commands: whole on a terminal of 80 columns."""
    takes_go_flags: bool = False
    """True if scripts written for GitLab's registry call it: with ``--dry-run=true``."""


class CommandNote(NamedTuple):
    """One command of any depth: its line in the list that it stands in, and an example of its use."""

    line: str
    example: str


COMMANDS = {
    "Run a registry": (
        CommandRow("up", "up", "up", "Start a registry with accounts, on one machine."),
        CommandRow("serve", "serve", "serve", "Start the registry."),
        CommandRow("control", "control", "control_app", "The control plane: accounts, projects, tokens."),
        CommandRow("console", "control_console", "console", "Python's prompt with the control plane loaded."),
        CommandRow("config", "config_command", "config_app", "Check a configuration file, or write one from GitLab's."),
        CommandRow("doctor", "doctor", "doctor", "Check that a node has all that it needs."),
        CommandRow("user", "user", "user_app", "Users in a file of passwords."),
        CommandRow("token", "token", "token_app", "A small token server."),
        CommandRow("database", "database", "database_app", "The metadata database and its schema."),
        CommandRow("background-migrate", "background", "background_app", "Migrations that run while serving."),
    ),
    "Look into a registry and change it": (
        CommandRow("login", "login", "login", "Keep credentials for a registry, as docker does."),
        CommandRow("logout", "login", "logout", "Forget the credentials for a registry."),
        CommandRow("repo", "listing", "repo_app", "Repositories: list."),
        CommandRow("tag", "tag", "tag_app", "Tags: list, history, undo, delete."),
        CommandRow("image", "listing", "image_app", "Images: what one consists of."),
        CommandRow("du", "listing", "du", "Sizes of repositories, and what they share."),
        CommandRow("copy", "copy", "copy", "Copy images from one registry to another."),
        CommandRow("sync", "sync", "sync", "Copy all that a file lists, and only what is new of it."),
        CommandRow("undo", "history", "undo_request", "Take back all that one request did."),
    ),
    "Keep it in order": (
        CommandRow("gc", "gc", "gc_app", "Garbage collection while serving: status, run, explain."),
        CommandRow(
            "garbage-collect",
            "garbage_collect",
            "garbage_collect",
            "Collect garbage offline, without a database.",
            takes_go_flags=True,
        ),
        CommandRow("check", "check", "check", "Compare storage with metadata, and repair."),
        CommandRow("storage", "storage", "storage_app", "Storage: copy to another one, compare."),
        CommandRow("backup", "backup", "backup_app", "Back everything up, and try a backup out."),
        CommandRow("restore", "restore", "restore", "Bring a backup back onto empty places."),
        CommandRow("notifications", "notifications", "notifications_app", "Events that other servers are told of."),
    ),
    "Other": (CommandRow("version", "version", "version", "Print the version."),),
}
"""By the heading of the help under which they stand."""

NOTES = {
    "sync": CommandNote("", "moorage sync mirror.yml --dry-run"),
    "copy": CommandNote("", "moorage copy registry.example/group/app:1.4 localhost:5000/group/app"),
    "serve": CommandNote("", "moorage serve /etc/moorage/config.yml"),
    "up": CommandNote("", "moorage up data"),
    "console": CommandNote("", "moorage console --config data/control.yml"),
    "control serve": CommandNote("Start the control plane.", "moorage control serve /etc/moorage/control.yml"),
    "control check": CommandNote(
        "Say every mistake in a control.yml.", "moorage control check /etc/moorage/control.yml"
    ),
    "control migrate": CommandNote(
        "Bring the tables up to date.", "moorage control migrate --config /etc/moorage/control.yml"
    ),
    "control reset-password": CommandNote(
        "Give a user a new password.", "moorage control reset-password root --config data/control.yml"
    ),
    "control user list": CommandNote("List the users.", "moorage control user list --json"),
    "control user create": CommandNote("Make a user.", "moorage control user create ada --email ada@example.com"),
    "control user block": CommandNote("Keep a user out.", "moorage control user block ada"),
    "control user unblock": CommandNote("Let a user in again.", "moorage control user unblock ada"),
    "control user disable-two-factor": CommandNote(
        "Take away second factors that a user has lost.", "moorage control user disable-two-factor ada"
    ),
    "control user delete": CommandNote("Delete a user.", "moorage control user delete ada"),
    "control token list": CommandNote("List the tokens of a user.", "moorage control token list ada"),
    "control token create": CommandNote(
        "Make a token, and print it once.",
        "moorage control token create root --name ci --scope api --config data/control.yml --json",
    ),
    "control token revoke": CommandNote("Take a token back.", "moorage control token revoke 7"),
    "control token rotate": CommandNote(
        "Put a new token in the place of one.", "moorage control token rotate 7 --json"
    ),
    "control ldap check": CommandNote("Try sign-in by LDAP.", "moorage control ldap check 20 --config control.yml"),
    "control group list": CommandNote("List the groups.", "moorage control group list"),
    "control group create": CommandNote("Make a group.", "moorage control group create acme/tools --owner ada"),
    "control group move": CommandNote(
        "Give a group another path, with all images.", "moorage control group move acme/tools acme/kit"
    ),
    "control group delete": CommandNote(
        "Delete a group, empty or with all that is in it.", "moorage control group delete acme/tools"
    ),
    "control group member": CommandNote(
        "Give a user a role in a group.", "moorage control group member acme ada --role 30"
    ),
    "control project list": CommandNote("List the projects.", "moorage control project list"),
    "control project create": CommandNote(
        "Make a project.", "moorage control project create acme/app --visibility public"
    ),
    "control project take-in": CommandNote(
        "Make the projects that repositories need.", "moorage control project take-in --dry-run"
    ),
    "control project move": CommandNote(
        "Give a project another path, with its images.", "moorage control project move acme/app acme/tools/app"
    ),
    "control project delete": CommandNote(
        "Delete a project with all its images.", "moorage control project delete acme/app"
    ),
    "control project change": CommandNote(
        "Change who sees a project.", "moorage control project change acme/app --registry private"
    ),
    "control project member": CommandNote(
        "Give a user a role in a project.", "moorage control project member acme/app ada --role 20"
    ),
    "control repository list": CommandNote(
        "List the repositories.", "moorage control repository list --project acme/app"
    ),
    "control repository tags": CommandNote(
        "List the tags of a repository.", "moorage control repository tags acme/app/web"
    ),
    "control repository delete": CommandNote(
        "Have a repository deleted.", "moorage control repository delete acme/app/web"
    ),
    "control policy list": CommandNote(
        "List projects that have images, with their policies.", "moorage control policy list --disabled"
    ),
    "control policy show": CommandNote("Print a project's policy.", "moorage control policy show acme/app"),
    "control policy set": CommandNote(
        "Change a project's policy.", "moorage control policy set acme/app --enabled --keep-n 10 --older-than 30d"
    ),
    "control usage report": CommandNote("Print who takes room.", "moorage control usage report --csv"),
    "control usage show": CommandNote("Print the size of a place.", "moorage control usage show acme/app"),
    "control usage days": CommandNote("List the size of each day.", "moorage control usage days acme"),
    "control usage quota": CommandNote("Change quotas.", "moorage control usage quota acme --hard 100GiB"),
    "control usage refresh": CommandNote("Have a place measured.", "moorage control usage refresh acme"),
    "control audit list": CommandNote("List the last changes.", "moorage control audit list --limit 50"),
    "control audit export": CommandNote("Print every change.", "moorage control audit export --since 2026-11-01"),
    "control policy preview": CommandNote("Print what a policy would do.", "moorage control policy preview acme/app"),
    "control policy run": CommandNote("Have a policy run now.", "moorage control policy run acme/app"),
    "control policy runs": CommandNote("List the reports of runs.", "moorage control policy runs acme/app --json"),
    "control policy undo": CommandNote("Bring back what a run deleted.", "moorage control policy undo 7"),
    "control protection list": CommandNote("List a project's rules.", "moorage control protection list acme/app"),
    "control protection stale": CommandNote(
        "List rules that protect nothing, or mend them.", "moorage control protection stale --move"
    ),
    "control protection add": CommandNote(
        "Protect repositories or tags.",
        "moorage control protection add acme/app tag '^v' --push maintainer --delete owner",
    ),
    "control protection remove": CommandNote("Take a rule away.", "moorage control protection remove acme/app tag 3"),
    "control settings show": CommandNote("Print the settings.", "moorage control settings show --json"),
    "control settings change": CommandNote(
        "Change one setting.", "moorage control settings change container_registry_token_expire_delay 15"
    ),
    "config new": CommandNote(
        "Write the files of a new site.", "moorage config new /etc/moorage --data /var/lib/moorage"
    ),
    "config from-gitlab-rb": CommandNote(
        "Write the files of a site from GitLab's.",
        "moorage config from-gitlab-rb /etc/gitlab/gitlab.rb --to /etc/moorage",
    ),
    "config check": CommandNote(
        "Say every mistake in a configuration.", "moorage config check /etc/moorage/config.yml"
    ),
    "doctor": CommandNote("", "moorage doctor /etc/moorage/config.yml --url https://registry.example.com"),
    "user add": CommandNote("Add a user, or change a password.", "moorage user add /etc/moorage/htpasswd ada"),
    "user list": CommandNote("List the users.", "moorage user list /etc/moorage/htpasswd"),
    "user remove": CommandNote("Remove a user.", "moorage user remove /etc/moorage/htpasswd ada"),
    "token serve": CommandNote("Start the token server.", "moorage token serve /etc/moorage/tokens.yml"),
    "token rotate": CommandNote("Make a new key.", "moorage token rotate /etc/moorage/tokens.yml --after 1h"),
    "token explain": CommandNote(
        "Say what allows or denies an action.",
        "moorage token explain data/control.yml ada repository:group/app:pull,push",
    ),
    "database import": CommandNote(
        "Take over images from link files.", "moorage database import /etc/moorage/config.yml"
    ),
    "database export": CommandNote(
        "Write link files of all images.", "moorage database export --verify /etc/moorage/config.yml"
    ),
    "database adopt": CommandNote("Look after an adoption of link files.", ""),
    "database adopt status": CommandNote(
        "Print how far an adoption is.", "moorage database adopt status /etc/moorage/config.yml"
    ),
    "database adopt accept": CommandNote(
        "Agree to what an adoption left out.", "moorage database adopt accept /etc/moorage/config.yml"
    ),
    "database migrate": CommandNote("Apply, undo and list migrations.", ""),
    "database migrate up": CommandNote("Apply what is pending.", "moorage database migrate up /etc/moorage/config.yml"),
    "database migrate down": CommandNote(
        "Undo migrations.", "moorage database migrate down --limit 1 /etc/moorage/config.yml"
    ),
    "database migrate status": CommandNote(
        "Print which migrations were applied, and when.", "moorage database migrate status /etc/moorage/config.yml"
    ),
    "database migrate version": CommandNote(
        "Print the last migration that was applied.", "moorage database migrate version /etc/moorage/config.yml"
    ),
    "background-migrate status": CommandNote(
        "Print how each migration is.", "moorage background-migrate status /etc/moorage/config.yml"
    ),
    "background-migrate pause": CommandNote(
        "Pause all that run.", "moorage background-migrate pause /etc/moorage/config.yml"
    ),
    "background-migrate resume": CommandNote(
        "Go on with all that are paused.", "moorage background-migrate resume /etc/moorage/config.yml"
    ),
    "background-migrate run": CommandNote(
        "Run all to their end, now.", "moorage background-migrate run /etc/moorage/config.yml"
    ),
    "login": CommandNote("", "moorage login registry.example.com -u ada"),
    "logout": CommandNote("", "moorage logout registry.example.com"),
    "repo list": CommandNote("List the repositories.", "moorage repo list registry.example.com"),
    "tag list": CommandNote("List the tags of a repository.", "moorage tag list registry.example.com/group/app"),
    "tag history": CommandNote(
        "Show what was done to tags, newest first.", "moorage tag history group/app:1 --since 2d"
    ),
    "tag undo": CommandNote("Take a tag back to what it was.", "moorage tag undo group/app:1 --dry-run"),
    "tag delete": CommandNote(
        "Delete tags, by name or by pattern.",
        "moorage tag delete group/app --matching 'nightly-.*' --keep-newest 5",
    ),
    "image show": CommandNote("Show what an image consists of.", "moorage image show group/app:1"),
    "du": CommandNote("", "moorage du registry.example.com/group/app"),
    "undo": CommandNote("", "moorage undo 3f9a6c1e --repository group/app"),
    "gc status": CommandNote("Show what waits, and how fast it goes.", "moorage gc status"),
    "gc run": CommandNote("Collect what is due now.", "moorage gc run"),
    "gc explain": CommandNote("Say why something stays, or when it goes.", "moorage gc explain group/app:1"),
    "notifications status": CommandNote("Show how many events wait and have failed.", "moorage notifications status"),
    "notifications show": CommandNote(
        "List failed events, or show one.", "moorage notifications show --endpoint gitlab"
    ),
    "notifications retry": CommandNote("Send failed events again.", "moorage notifications retry --endpoint gitlab"),
    "notifications drop": CommandNote("Forget events.", "moorage notifications drop 12 13"),
    "backup make": CommandNote("Make a backup.", "moorage backup make /srv/backups --config /etc/moorage/config.yml"),
    "backup verify": CommandNote("Try a backup out.", "moorage backup verify /srv/backups --sample 50"),
    "restore": CommandNote("", "moorage restore /srv/backups --into data"),
    "check": CommandNote("", "moorage check /etc/moorage/config.yml"),
    "storage copy": CommandNote(
        "Copy all images to another storage.", "moorage storage copy /etc/moorage/config.yml bucket.yml --delete"
    ),
    "storage compare": CommandNote(
        "Count what two storages have, and say what differs.",
        "moorage storage compare /etc/moorage/config.yml bucket.yml",
    ),
    "garbage-collect": CommandNote("", "moorage garbage-collect --dry-run /etc/moorage/config.yml"),
    "version": CommandNote("", "moorage version --json"),
}
"""By the words that call the command."""

TAG_COMMANDS = tuple(
    CommandRow(name, module, attribute, NOTES[f"tag {name}"].line)
    for name, module, attribute in (
        ("history", "history", "history"),
        ("undo", "history", "undo"),
        ("delete", "history", "delete"),
        ("list", "listing", "list_tags"),
    )
)
"""Those of ``moorage tag``."""
