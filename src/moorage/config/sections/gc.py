"""``gc``: online garbage collection."""

from datetime import timedelta

from moorage.config.section import Duration, Flag, Section, SignedDuration, now


class GCBlobs(Section):
    """``gc.blobs``"""

    disabled: Flag = now(False, "True: blobs are not collected.")
    interval: Duration = now(timedelta(seconds=5), "Pause after a round of reviews that left nothing waiting.")
    storagetimeout: Duration = now(
        timedelta(seconds=5), "After so long the removal of a round's blobs from storage counts as slow, in the log."
    )


class GCManifests(Section):
    """``gc.manifests``"""

    disabled: Flag = now(False, "True: manifests are not collected: then those without a tag stay, too.")
    interval: Duration = now(timedelta(seconds=5), "Pause after a round of reviews that left nothing waiting.")


class GC(Section):
    """``gc``: online garbage collection, with a metadata database."""

    disabled: Flag = now(False, "True: this node does not collect.")
    noidlebackoff: Flag = now(False, "Look as often when there is nothing to do.")
    maxbackoff: Duration = now(timedelta(hours=24), "The longest pause while there is nothing to do.")
    errorcooldownperiod: Duration = now(
        timedelta(0), "For so long after an error, pauses are not made short again when there is work."
    )
    transactiontimeout: Duration = now(timedelta(seconds=10), "Deadline of each step in the database.")
    reviewafter: SignedDuration = now(
        timedelta(hours=24),
        "How long something stays after it was last needed, on all nodes: the time for an undo, and for a slow push; "
        "-1: no delay.",
    )
    blobs: GCBlobs = now(GCBlobs, "Blobs.")
    manifests: GCManifests = now(GCManifests, "Manifests.")
