"""Paths of namespaces and projects: which are possible, by GitLab's rules and by those of image names. No I/O."""

import re

PATH_LENGTH_LIMIT = 255
DEPTH_LIMIT = 20
"""Groups within groups."""

RESERVED_AT_TOP = frozenset(
    """
    - .well-known 404.html 422.html 500.html 502.html 503.html admin api apple-touch-icon.png assets dashboard
    deploy.html explore favicon.ico favicon.png files groups health_check help import invites jwt login oauth
    profile projects public robots.txt s search sitemap sitemap.xml sitemap.xml.gz slash-command-logo.png snippets
    unsubscribes uploads users v2 gitlab
    """.split()  # noqa: SIM905 - a list of words reads better than fifty strings
)
"""First parts of paths that are not a user's or a group's. Source: GitLab ``lib/gitlab/path_regex.rb``."""

RESERVED_BELOW = frozenset({"-"})

_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_ENDINGS = (".git", ".atom")


def path_problem(path: str, *, is_top: bool) -> str:
    """Return what is wrong with one part of a path, in words that follow its name; empty if nothing is.

    Case does not matter in names of images: what differs by it only is the same.
    """
    text = path.lower()
    if not path:
        return "can't be blank"
    if len(path) > PATH_LENGTH_LIMIT:
        return f"is too long (maximum is {PATH_LENGTH_LIMIT} characters)"
    if _PATH.fullmatch(text) is None:
        return (
            "must be letters and digits, joined by '.', '_', '__' or '-': it must not start or end with a special "
            "character and must not contain consecutive special characters"
        )
    if text.endswith(_ENDINGS):
        return "must not end with .git or .atom"
    if text in (RESERVED_AT_TOP if is_top else RESERVED_BELOW):
        return f"{path} is a reserved name"
    return ""


def joined(*parts: str) -> str:
    """Return the path of *parts*, leaving out those that are empty."""
    return "/".join(part for part in parts if part)


def path_of_name(name: str) -> str:
    """Return a path made of a name that people gave, such as ``My Group``; it may still be refused."""
    return re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9._-]+", "-", name.lower())).strip("-._")
