"""``profiling``: profiles."""

from moorage.config.section import Flag, Section, Text, unused


class Stackdriver(Section):
    """``profiling.stackdriver``"""

    enabled: Flag = unused(False, "Go's own, without function here; `py-spy` does it from outside.")
    service: Text = unused("", "Name of the service there.")
    serviceversion: Text = unused("", "Its version.")
    projectid: Text = unused("", "The project.")
    keyfile: Text = unused("", "JSON file of the service account's key.")


class Profiling(Section):
    """``profiling``"""

    why_unused = "Profiles are Go's; `py-spy` looks at a running process from outside."

    stackdriver: Stackdriver = unused(Stackdriver, "Google's profiler.")
