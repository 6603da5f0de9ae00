"""A process that has loaded the ``moorage`` commands, and makes a copy of itself for each that it is asked for.

It is started by path, by :mod:`support.commands`, with the number of its end of a socket as its only word.
"""

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys

LONGEST_REQUEST = 1 << 20
LOADED = (
    "moorage.cli.checking",
    "moorage.cli.config_command",
    "moorage.cli.control",
    "moorage.cli.database",
    "moorage.cli.garbage_collecting",
    "moorage.cli.storage",
    "moorage.starting.check_start",
    "moorage.starting.copy_start",
    "moorage.starting.export_start",
    "moorage.starting.import_start",
)
"""What commands that tests run load as they begin; what a command needs besides it loads itself, as ever."""


def take_place(request: bytes, files: list[int]) -> None:
    """Be the process that was asked for: its words, variables, folder and three files."""
    asked = json.loads(request)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        mode, errors = ("r", "strict") if number == 0 else ("w", "backslashreplace" if number == 2 else "strict")
        setattr(sys, name, open(number, mode, errors=errors, closefd=False))  # noqa: SIM115 - as Python does it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = ["moorage", *asked["words"]]


def serve(asking: socket.socket) -> bool:
    """Answer each request with a process id, and then with its status; return True in the process that was made."""
    while True:
        request, files, _, _ = socket.recv_fds(asking, LONGEST_REQUEST, 3)
        if not request:
            return False
        pid = os.fork()
        if pid == 0:
            asking.close()
            take_place(request, files)
            return True
        for file in files:
            os.close(file)
        asking.send(str(pid).encode())
        asking.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The tests' own end is this one's.
    for module in LOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # A copy has pages of its own for what its collector looks at.
    if serve(socket.socket(fileno=int(sys.argv[1]))):
        runpy.run_module("moorage", run_name="__main__", alter_sys=True)
