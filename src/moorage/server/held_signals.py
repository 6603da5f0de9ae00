"""Signals that daemons are sent and that mean no end by it, from the first moment of a start.

A program that knows nothing of them yet ends by them: a reload that comes while it starts would stop it, and systemd
takes an end by SIGHUP for one that was wanted. It imports nothing of ours, as a start begins with it.
"""

import signal

OTHERS = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}
"""Administrators and log rotation send them to daemons, and mean no end by it."""


def hold_signals() -> None:
    """Have them wait until the supervisor, which a start ends in, looks after them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, OTHERS)
