"""Runs of the doctor, and what is looked for in their reports."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from moorage.doctor.clocks import machine_time
from moorage.doctor.diagnosis import Diagnosis, Report
from moorage.doctor.examination import DoctorWish, run_doctor

SECRET = "a secret that all nodes have, and nobody else"


def configuration(folder: Path, **sections: object) -> Path:
    """A file for a registry with its images below *folder*; *sections* go over its own."""
    tree: dict[str, object] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": "127.0.0.1:5000", "secret": SECRET},
    }
    (folder / "data").mkdir(exist_ok=True)
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump({**tree, **sections}))
    return path


def examined(path: Path, *, wrong_by: timedelta = timedelta(0), **wish: str) -> Report:
    """What the doctor finds; *wrong_by*: so much the clock of this machine is ahead."""

    def now() -> datetime:
        return machine_time() + wrong_by

    report = Report()
    run_doctor(path, None, DoctorWish(**wish), report, now=now)
    return report


def by_check(report: Report) -> Mapping[str, Diagnosis]:
    """The lines by what was looked at; of two lines of one check the last."""
    return {line.check: line for line in report.lines}


def failures(report: Report) -> set[str]:
    """What has failed."""
    return {line.check for line in report.lines if line.grade.value == "failed"}


def whole(report: Report) -> str:
    """All that is said."""
    return "\n".join(f"{line.check}: {line.said}; {line.remedy}" for line in report.lines)
