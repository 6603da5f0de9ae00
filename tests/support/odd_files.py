"""What can lie in a folder and is neither a file nor a folder, as a slip or a broken copy leaves it."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # The address of a socket is short.
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


ODD_FILES: Mapping[str, Callable[[Path], None]] = {
    "loop": lambda path: path.symlink_to(path.name),
    "link-to-nowhere": lambda path: path.symlink_to("not-there"),
    "pipe": os.mkfifo,
    "socket": _socket,
}
"""Each makes one at a path at which nothing is."""


def put_odd_file(kind: str, path: Path) -> None:
    """Put one in the place of a file."""
    path.unlink()
    ODD_FILES[kind](path)
