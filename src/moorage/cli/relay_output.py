"""Output of ``moorage copy`` and ``moorage sync``: what became of each reference, and the sums."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from moorage.cli.amounts import counted, shown_bytes
from moorage.cli.bars import Bars
from moorage.cli.standard_streams import INTERRUPTED
from moorage.client.reading import printable
from moorage.errors import MoorageError
from moorage.relaying.relay_outcome import BlobWay, RelayedReference, RelayOutcome, RelayResult

DONE, FAILED, NOT_DONE = 0, 1, 1
"""Statuses."""
_WORDS = {
    RelayResult.COPIED: "copied",
    RelayResult.TO_COPY: "to copy",
    RelayResult.PRESENT: "there already",
    RelayResult.KEPT: "kept as they were",
    RelayResult.SKIPPED: "skipped",
    RelayResult.DELETED: "deleted",
    RelayResult.TO_DELETE: "to delete",
    RelayResult.FAILED: "failed",
}
_QUIET = frozenset({RelayResult.PRESENT})


def run_shown(
    work: Callable[[RelayOutcome, Bars], Coroutine[Any, Any, object]], *, dry_run: bool, as_json: bool
) -> int:
    """Run copies with bars, print what became of them, and return the status."""
    began_at = time.monotonic()
    outcome = RelayOutcome()
    try:
        with Bars(is_transient=True) as bars:
            asyncio.run(work(outcome, bars))
    except MoorageError as exc:
        _print_refusal(str(exc))
        return NOT_DONE
    except (KeyboardInterrupt, asyncio.CancelledError):
        _print_refusal("ended before it was done: what was copied stays, and the same command goes on")
        return INTERRUPTED
    _ended(outcome, seconds=time.monotonic() - began_at, dry_run=dry_run, as_json=as_json)
    return _status_of(outcome)


def _ended(outcome: RelayOutcome, *, seconds: float, dry_run: bool, as_json: bool) -> None:
    """Print what became of copies."""
    if as_json:
        print(json.dumps(_as_json(outcome, seconds=seconds, dry_run=dry_run), indent=2))
        return
    for reference in outcome.references:
        if reference.result not in _QUIET:
            _print_reference(reference)
    for note in outcome.notes.first:
        print(f"note: {printable(note)}", file=sys.stderr)
    counts = outcome.counts
    parts = [f"{counts[result]:,} {words}" for result, words in _WORDS.items() if counts[result]]
    print(", ".join(parts) or "nothing to copy")
    print(f"{_blobs(outcome)}; {counted(outcome.manifests, 'manifest')}, {_attached(outcome)}; {seconds:.1f} s")


def _status_of(outcome: RelayOutcome) -> int:
    """Return the status that the command ends with."""
    return FAILED if outcome.has_failed else DONE


def _print_refusal(text: str) -> None:
    """Say on standard error what was wrong."""
    print(f"error: {printable(text)}", file=sys.stderr)


def _as_json(outcome: RelayOutcome, *, seconds: float, dry_run: bool) -> Mapping[str, object]:
    return {
        "ok": not outcome.has_failed,
        "dry_run": dry_run,
        "seconds": round(seconds, 3),
        "references": [reference.to_json() for reference in outcome.references],
        "blobs": {
            way.value: {"count": outcome.blobs[way], "bytes": outcome.blob_bytes[way]}
            for way in BlobWay
            if (way is BlobWay.TO_COPY) == dry_run or way is BlobWay.PRESENT
        },
        "manifests": outcome.manifests,
        "referrers": outcome.referrers,
        "notes": outcome.notes.first,
    }


def _print_reference(reference: RelayedReference) -> None:
    arrow = f"{reference.source} -> {reference.target}" if reference.source else reference.target
    why = f": {reference.why}" if reference.why else ""
    digest = f"  {reference.digest}" if reference.digest and not why else ""
    if reference.result is RelayResult.FAILED:
        _print_refusal(f"{arrow}{why}")
    else:
        print(printable(f"{reference.result.value.replace('-', ' ')}  {arrow}{digest}{why}"))


def _blobs(outcome: RelayOutcome) -> str:
    words = {
        BlobWay.COPIED: "copied",
        BlobWay.TO_COPY: "to copy",
        BlobWay.MOUNTED: "mounted",
        BlobWay.PRESENT: "there already",
    }
    parts = [
        f"{counted(outcome.blobs[way], 'blob')} {said} ({shown_bytes(outcome.blob_bytes[way])})"
        for way, said in words.items()
        if outcome.blobs[way]
    ]
    return ", ".join(parts) or "no blobs"


def _attached(outcome: RelayOutcome) -> str:
    return counted(outcome.referrers, "referrer")
