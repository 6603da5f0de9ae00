"""Runs of ``moorage storage``, and the output."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from moorage.cli.amounts import shown_bytes
from moorage.cli.bars import Bars
from moorage.cli.standard_streams import INTERRUPTED
from moorage.cli.tables import print_table
from moorage.client.reading import printable
from moorage.copying.kinds import COPIED, ObjectKind
from moorage.copying.objects import KindCounts
from moorage.copying.outcome import CopyFinding, CopyOutcome
from moorage.errors import ConfigurationError, MoorageError
from moorage.starting.copy_start import CopyPlaces, CopyWish, read_places, run_copy

SAME, DIFFERENT, NOT_DONE = 0, 1, 2
"""Statuses."""
_SHOWN = 20


def copy(source: Path, target: Path, wish: CopyWish, *, as_json: bool, compares: bool = False) -> int:
    """Copy, or compare, print what was found, and return the status."""
    began_at = time.monotonic()
    outcome = CopyOutcome()
    try:
        places = read_places(source, target)
        with Bars() as bars:
            asyncio.run(run_copy(places, wish, outcome, bars))
    except ConfigurationError as exc:
        for mistake in exc.mistakes:
            print(f"error: {mistake}", file=sys.stderr)
        return NOT_DONE
    except (MoorageError, OSError) as exc:
        print(f"error: {exc}; what was copied stays, and the same command goes on", file=sys.stderr)
        return NOT_DONE
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("ended before it was done: what was copied stays, and the same command goes on", file=sys.stderr)
        return INTERRUPTED
    is_same = not (outcome.differing or outcome.has_failed) and not (
        compares and (outcome.copied.total() or outcome.deleted.total())
    )
    seconds = time.monotonic() - began_at
    if as_json:
        print(json.dumps(_as_json(outcome, wish, is_same=is_same, seconds=seconds), indent=2))
    else:
        _print(outcome, places, wish, seconds=seconds)
        print(
            "both sides have the same" if is_same and wish.counts else "", end="\n" if wish.counts and is_same else ""
        )
    return SAME if is_same else DIFFERENT


def _as_json(outcome: CopyOutcome, wish: CopyWish, *, is_same: bool, seconds: float) -> Mapping[str, object]:
    return {
        "ok": is_same,
        "dry_run": wish.dry_run,
        "seconds": round(seconds, 3),
        "rounds": outcome.rounds,
        "last_round_seconds": round(outcome.last_round_s, 3),
        "copied": _by_kind(outcome.copied, outcome.copied_bytes),
        "deleted": {_name(kind): outcome.deleted[kind] for kind in COPIED if outcome.deleted[kind]},
        "findings": {finding.value: count for finding, count in outcome.findings.items()},
        "first": [{"kind": kind.value, "path": path, "why": why} for kind, path, why in outcome.noted.first],
        "source": _side(outcome.source),
        "target": _side(outcome.target),
    }


def _side(counts: KindCounts) -> Mapping[str, object]:
    return {**_by_kind(counts.objects, counts.size_bytes), "empty_links": counts.empty_links}


def _by_kind(objects: Counter[ObjectKind], size_bytes: Counter[ObjectKind]) -> Mapping[str, object]:
    return {_name(kind): {"objects": objects[kind], "bytes": size_bytes[kind]} for kind in COPIED}


def _name(kind: ObjectKind) -> str:
    return kind.value.replace(" ", "_")


def _print(outcome: CopyOutcome, places: CopyPlaces, wish: CopyWish, *, seconds: float) -> None:
    copied, deleted = ("to copy", "to remove") if wish.dry_run else ("copied", "removed")
    print(f"source  {places.source_in_words}\ntarget  {places.target_in_words}")
    heads = ["Kind", copied.capitalize(), "Bytes", deleted.capitalize()]
    rows = [
        [kind.value, f"{outcome.copied[kind]:,}", shown_bytes(outcome.copied_bytes[kind]), f"{outcome.deleted[kind]:,}"]
        for kind in COPIED
    ]
    if wish.counts:
        heads += ["In the source", "In the target", "Bytes there"]
        for row, kind in zip(rows, COPIED, strict=True):
            mark = " !" if kind in outcome.differing else ""
            row += [f"{outcome.source.objects[kind]:,}", f"{outcome.target.objects[kind]:,}{mark}"]
            row += [shown_bytes(outcome.target.size_bytes[kind])]
    print_table(tuple(heads), [tuple(row) for row in rows])
    _print_findings(outcome)
    moved = outcome.copied_bytes.total()
    rate = f", {shown_bytes(moved / seconds)}/s" if moved and seconds and not wish.dry_run else ""
    print(f"{outcome.rounds} round{'s' if outcome.rounds != 1 else ''}, {seconds:.1f} s{rate}")
    if wish.counts and outcome.differing:
        kinds = ", ".join(kind.value for kind in outcome.differing)
        print(
            f"the two sides differ in {kinds}: while the source is written to they do; copy again when it is read-only"
        )


def _print_findings(outcome: CopyOutcome) -> None:
    for finding, count in outcome.findings.items():
        print(f"{finding.value}: {count:,}: {finding.meaning}")
    for finding, path, why in outcome.noted.first[:_SHOWN]:
        if finding is not CopyFinding.VANISHED:
            text = f"{finding.value}: {path}{f': {why}' if why else ''}"
            print(printable(text))
