"""Rules of a bucket of Google's: versioning, lifecycle, retention, out of its metadata.

Source: the reference of the Cloud Storage JSON API, v1: the resource Bucket.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from moorage.storage.remote.bucket_rules import BucketRules, LifecycleRule

FIELDS = "versioning,lifecycle,retentionPolicy"
_OF_VERSIONS = frozenset({"daysSinceNoncurrentTime", "noncurrentTimeBefore", "numNewerVersions"})
"""Conditions that only older versions meet."""
_DAY_S = 86_400


def rules_of(about: Mapping[str, Any], *, prefix: str) -> BucketRules:
    """Read the rules about keys that begin with *prefix* from what is known of a bucket."""
    told = about.get("lifecycle", {}).get("rule", [])
    deletions = [rule for rule in told if rule.get("action", {}).get("type") == "Delete"]
    ours = [rule for rule in deletions if _is_about(rule.get("condition", {}), prefix)]
    retention_s = int(about.get("retentionPolicy", {}).get("retentionPeriod", 0))
    return BucketRules(
        has_versions=bool(about.get("versioning", {}).get("enabled")),
        ends_versions=any(_is_of_versions(rule.get("condition", {})) for rule in ours),
        expiries=tuple(_expiries(ours)),
        retention=f"{retention_s / _DAY_S:g} days" if retention_s else "",
    )


def _is_about(condition: Mapping[str, Any], prefix: str) -> bool:
    prefixes = condition.get("matchesPrefix", [""])
    return any(told.startswith(prefix) or prefix.startswith(told) for told in prefixes)


def _is_of_versions(condition: Mapping[str, Any]) -> bool:
    return condition.get("isLive") is False or not _OF_VERSIONS.isdisjoint(condition)


def _expiries(rules: list[Mapping[str, Any]]) -> Iterator[LifecycleRule]:
    for rule in rules:
        condition = rule.get("condition", {})
        if not _is_of_versions(condition):
            age = condition.get("age")
            prefixes = ", ".join(condition.get("matchesPrefix", []))
            yield LifecycleRule(name="", days=None if age is None else int(age), prefix=prefixes)
