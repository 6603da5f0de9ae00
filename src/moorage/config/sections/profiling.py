"""``profiling``: profiles."""

from moorage.config.section import (
    Flag,
    Section,
    Text,
    later,
)


class Stackdriver(Section):
    """``profiling.stackdriver``"""

    enabled: Flag = later(False, "Go's own, without function here; `py-spy` does it from outside.")
    service: Text = later("", "Name of the service there.")
    serviceversion: Text = later("", "Its version.")
    projectid: Text = later("", "The project.")
    keyfile: Text = later("", "JSON file of the service account's key.")


class Profiling(Section):
    """``profiling``"""

    stackdriver: Stackdriver = later(Stackdriver, "Google's profiler.")
