"""Output of a check: bars while it runs, and then its findings."""

import json
import time
from collections.abc import Callable

from moorage.cli.amounts import counted, shown_bytes
from moorage.cli.bars import Bars
from moorage.cli.noted_output import print_noted
from moorage.cli.tables import print_table
from moorage.client.reading import printable
from moorage.integrity.findings import Count, Finding, Tally
from moorage.integrity.progress import State, as_json

_SHOWN = 20
"""Differences that people are shown one by one."""
_JSON_SHOWN = 1000


class CheckBars(Bars):
    """Bars of a check, one for each of its phases. A :class:`~.progress.Watcher`."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock=clock)
        self._hashed_before_bytes: dict[str, int] = {}

    def watch(self, phase: str, share: float, tally: Tally) -> None:
        """See :class:`~moorage.integrity.progress.Watcher`."""
        differences = sum(count.number for count in tally.differences.values())
        done = f"{counted(tally.blobs, 'blob')}, {shown_bytes(tally.stored_bytes)}"
        hashed_bytes = tally.hashed_bytes - self._hashed_before_bytes.setdefault(phase, tally.hashed_bytes)
        elapsed_s = self.elapsed_s(phase)
        if hashed_bytes and elapsed_s:
            done += f", {shown_bytes(hashed_bytes / elapsed_s)}/s"
        if tally.manifests:
            done += f", {counted(tally.manifests, 'manifest')}"
        if differences:
            done += f", {counted(differences, 'difference')}"
        self.moved(phase, share, said=done)


def print_json(state: State, *, seconds: float, repairs: bool) -> None:
    """Print what was found, for scripts."""
    tally = state.tally
    found = {
        "ok": not tally.differences,
        "store": state.store,
        "verified_digests": state.verifies,
        "repaired": repairs,
        "started_at": state.started_at.isoformat(),
        "seconds": round(seconds, 3),
        "blobs": tally.blobs,
        "bytes": tally.stored_bytes,
        "hashed_bytes": tally.hashed_bytes,
        "manifests": tally.manifests,
        "differences": {
            kind.value: {"count": count.number, "bytes": count.size_bytes, "repaired": count.repaired}
            for kind, count in tally.differences.items()
        },
        "notes": {
            note.value: {"count": count.number, "bytes": count.size_bytes} for note, count in tally.notes.items()
        },
        "first": [as_json(finding) for finding in tally.noted.first[:_JSON_SHOWN]],
    }
    print(json.dumps(found, indent=2))


def print_people(state: State, *, seconds: float, repairs: bool) -> None:
    """Print what was found."""
    tally = state.tally
    hashed = f", hashed {shown_bytes(tally.hashed_bytes)}" if state.verifies else ""
    blobs, manifests = counted(tally.blobs, "blob"), counted(tally.manifests, "manifest")
    looked = f"{blobs} ({shown_bytes(tally.stored_bytes)}) and {manifests}"
    print(f"looked at {looked}{hashed} in {seconds:.1f} s")
    for note, count in tally.notes.items():
        print(f"{count.number:,} ({shown_bytes(count.size_bytes)}): {note.meaning}")
    if not tally.differences:
        print("no differences")
        return
    rows = [(kind.value, *_counted(count), kind.meaning) for kind, count in tally.differences.items()]
    print_table(("Difference", "Count", "Bytes", "Repaired", "What it is"), rows)
    print_noted(tally.noted, _line, limit=_SHOWN, rest="--report FILE writes all of them")
    if not repairs:
        print("nothing was changed: --repair repairs what can be repaired without losing anything")


def _counted(count: Count) -> tuple[str, str, str]:
    return f"{count.number:,}", shown_bytes(count.size_bytes), f"{count.repaired:,}"


def _line(finding: Finding) -> str:
    where = f" in {finding.repository}" if finding.repository else ""
    detail = f": {finding.detail}" if finding.detail else ""
    repair = f" -> {finding.repair}" if finding.repair else ""
    line = f"{finding.kind.value}: {finding.subject}{where} ({shown_bytes(finding.size_bytes)}){detail}{repair}"
    # Names come from folders: what is no text would end the command, and a control character would steer the terminal.
    return printable(line)
