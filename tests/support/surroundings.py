"""Surroundings of a test run: nothing that others left on this machine changes a result, nothing of ours stays there.

Two things of a machine reach into its programs without being asked for: the environment, and folders that a program
looks for by itself. The first is put in order once, for the test process and so for all that it starts; the folders of
the container clients that no variable moves are replaced in a mount namespace of their own, where root runs them.
"""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, MutableMapping, Sequence
from pathlib import Path

KEPT = ("MOORAGE_ADOPTION_", "MOORAGE_BENCH_", "MOORAGE_GC_", "MOORAGE_LAYOUT_", "MOORAGE_TEST_")
"""Variables of this project that are meant for its tests."""

_FOREIGN = (
    "REGISTRY_",
    "MOORAGE_",
    "XDG_",
    "DOCKER_",
    "BUILDAH_",
    "CONTAINERS_",
    "STORAGE_",
    "SSL_CERT_",
    "SKIP_POST",
    "AWS_",
    "GOOGLE_",
    "GCE_",
    "CLOUDSDK_",
    "AZURE_",
    "OTEL_",
    "SENTRY_",
    "LDAP",
    "GIT_",  # A hook's commands are told its repository by these: git in a folder of a test would write there.
    "LC_",
    "LANGUAGE",
    "COLUMNS",
    "LINES",
    "PYTHON",  # With PYTHONDONTWRITEBYTECODE, every process that a test starts compiles all of the package again.
    "SSLKEYLOGFILE",
    "SOURCE_DATE_EPOCH",
    "CDPATH",
)
_LOCALE = "C.UTF-8"
UMASK = 0o022
"""The usual one: tests of another one set it."""
_FOREIGN_ANYWHERE = ("_PROXY", "_proxy")
_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


def isolate(environ: MutableMapping[str, str], folder: Path) -> None:
    """Take out of *environ* what would change a program's behaviour, and point home and XDG folders below *folder*.

    The time zone stays as it is: no result may depend on it.
    """
    for name in list(environ):
        if name.startswith(KEPT):
            continue
        # PostgreSQL's clients read PGHOST and its like: two letters and a word.
        if name.startswith(_FOREIGN) or name.endswith(_FOREIGN_ANYWHERE) or (name.startswith("PG") and name.isupper()):
            del environ[name]
    environ["LANG"] = _LOCALE
    places = {
        "HOME": "home",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "share",
        "XDG_CACHE_HOME": "cache",
        "XDG_STATE_HOME": "state",
        "XDG_RUNTIME_DIR": "runtime",
        "DOCKER_CONFIG": "docker",
    }
    for name, place in places.items():
        (folder / place).mkdir(mode=0o700, parents=True, exist_ok=True)
        environ[name] = str(folder / place)
    # podman and buildah refuse a folder that is named and has no such file.
    (folder / "docker" / "config.json").write_text("{}")


def hear_signals() -> None:
    """Let programs that this process starts end by the usual signals.

    A shell starts what runs in the background deaf to SIGINT, and nohup makes deaf to SIGHUP; both are handed on.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def new_folder() -> Path:
    """Make the folder for :func:`isolate`; the path is short, as sockets (107 bytes at most) lie below it."""
    return Path(tempfile.mkdtemp(prefix="moorage-home-"))


@contextlib.contextmanager
def folder_on_disk() -> Iterator[Path]:
    """A scratch folder for what must not be in memory, wherever the others are."""
    folder = Path(tempfile.mkdtemp(prefix="moorage-", dir="/var/tmp"))
    try:
        yield folder
    finally:
        remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove what :func:`new_folder` made with all that programs have put there."""
    shutil.rmtree(folder, ignore_errors=True)


def alone(folder: Path) -> Sequence[str]:
    """Return what to put before the command of skopeo, buildah or podman so that it has folders of its own.

    Root's clients keep which registry has which blob in ``/var/lib/containers`` and read ``/etc/containers``, whatever
    the environment says. Others follow the XDG variables, so that nothing is needed for them.
    """
    if os.geteuid() != 0:
        return ()
    binds = []
    for place in ("/var/lib/containers", "/etc/containers"):
        Path(place).mkdir(parents=True, exist_ok=True)
        ours = folder / place.strip("/").replace("/", "-")
        ours.mkdir(parents=True, exist_ok=True)
        binds.append(f"mount --bind '{ours}' {place}")
    (folder / "etc-containers" / "policy.json").write_text(_POLICY)
    script = " && ".join([*binds, 'exec "$@"'])
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")
