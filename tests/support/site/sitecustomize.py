"""Brings the watchdog of the tests into a daemon that has this folder in its PYTHONPATH."""

from support.loop_watch import watch_workers

watch_workers()
