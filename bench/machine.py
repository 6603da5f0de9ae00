"""What the machine is, as far as figures depend on it. No names of hosts, users or folders."""

import os
import platform
from pathlib import Path

from figures import Machine


def describe(folder: Path) -> Machine:
    """Describe this machine, and the file system that *folder* is on."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu_model=_field("/proc/cpuinfo", "model name") or platform.machine(),
        memory_gib=int(_field("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20),
        kernel=platform.release(),
        python=platform.python_version(),
        file_system=_file_system(folder.resolve()),
    )


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _file_system(folder: Path) -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    # The longest mount point above the folder holds it; of two on the same place the later one does.
    holding = [(len(mount[1]), number, mount[2]) for number, mount in enumerate(mounts) if _holds(mount[1], folder)]
    return max(holding)[2]


def _holds(mount_point: str, folder: Path) -> bool:
    return folder.is_relative_to(mount_point)
