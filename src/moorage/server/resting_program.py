"""The small program that a supervisor is while nothing happens: it waits for a signal, and imports nothing before.

It is run by its path, without what Python usually imports by itself. See ``resting.py``, which it calls with what it
has waited for: everything else that a supervisor does is there.
"""

import _signal  # type: ignore[import-not-found]  # of ``signal``, which costs a third of what this program takes
import marshal
import posix
import sys


def main() -> None:
    """Wait for what is to be done, and do it as a supervisor that has everything."""
    fileno = int(sys.argv[-1])  # The words before it are for whoever reads the list of processes.
    pids = _begin(fileno)
    caught = _wait(pids)
    handed = _read(fileno)
    if caught in {_signal.SIGTERM, _signal.SIGINT}:
        _tell(caught, handed)
    posix.close(fileno)
    sys.path[:] = handed["path"]
    from moorage.left_out import import_lightly  # noqa: PLC0415 - what this program exists to be without

    import_lightly()
    from moorage.server.resting import go_on  # noqa: PLC0415 - as above, and what is left out has to be said before

    sys.exit(go_on(handed, caught))


def _begin(fileno: int) -> set[int]:
    handed = _read(fileno)
    try:
        comm = posix.open("/proc/self/comm", posix.O_WRONLY)
        posix.write(comm, handed["name"])
        posix.close(comm)
    except OSError:
        pass  # It is called after the interpreter then.
    return set(handed["pids"])


def _read(fileno: int) -> dict:  # type: ignore[type-arg]  # what is in it is known to resting.py
    found: dict = marshal.loads(posix.pread(fileno, posix.fstat(fileno).st_size, 0))  # type: ignore[type-arg]  # noqa: S302 - our own process has written it
    return found


def _wait(pids: set[int]) -> int:
    """Return the number of the first signal that asks for something. All are blocked, and so none gets lost."""
    signals = {
        _signal.SIGTERM,
        _signal.SIGINT,
        _signal.SIGCHLD,
        _signal.SIGHUP,
        _signal.SIGUSR1,
        _signal.SIGUSR2,
    }
    while True:
        caught: int = _signal.sigwaitinfo(signals).si_signo
        if caught != _signal.SIGCHLD or _has_ended(pids):
            return caught


def _tell(caught: int, handed: dict) -> None:  # type: ignore[type-arg]  # as above
    """Have the workers begin to end at once: what is imported for the rest of it takes longer than they may need."""
    for listener in handed["listeners"]:
        posix.close(listener)
    for pid in handed["pids"]:
        try:
            posix.kill(pid, caught)
        except ProcessLookupError:
            continue  # It has just ended.


def _has_ended(pids: set[int]) -> bool:
    """Return whether one of *pids* has ended; bury others, whose parent the first process of a container has become."""
    while True:
        try:
            found = posix.waitid(posix.P_ALL, 0, posix.WEXITED | posix.WNOHANG | posix.WNOWAIT)
        except ChildProcessError:
            return False
        if found is None:
            return False
        if found.si_pid in pids:
            return True
        posix.waitpid(found.si_pid, 0)


if __name__ == "__main__":
    main()
