"""Rules of a bucket: versioning, lifecycle, object lock. What the credentials may not ask, or nobody can, is not known.

Source: the reference of the Amazon S3 API: GetBucketVersioning, GetBucketLifecycleConfiguration,
GetObjectLockConfiguration.
"""

from collections.abc import Iterator
from http import HTTPStatus
from xml.etree.ElementTree import Element

from moorage.storage.remote.bucket_rules import BucketRules, LifecycleRule
from moorage.storage.s3.answers import root_named, text_of
from moorage.storage.s3.asking import BucketLine


async def bucket_rules(line: BucketLine, *, prefix: str) -> BucketRules:
    """Ask for the rules of a bucket that are about keys that begin with *prefix*.

    Raises:
        StorageUnavailable: the service does not answer.
    """
    versioning = await _asked(line, "GetBucketVersioning", "versioning", "VersioningConfiguration")
    lifecycle = await _asked(line, "GetBucketLifecycleConfiguration", "lifecycle", "LifecycleConfiguration")
    lock = await _asked(line, "GetObjectLockConfiguration", "object-lock", "ObjectLockConfiguration")
    rules = [] if lifecycle is None else [rule for rule in lifecycle.iterfind("{*}Rule") if _is_about(rule, prefix)]
    return BucketRules(
        has_versions=versioning is not None and text_of(versioning, "Status") == "Enabled",
        ends_versions=any(rule.find("{*}NoncurrentVersionExpiration") is not None for rule in rules),
        expiries=tuple(_ending(rules, "Expiration", "Days")),
        aborts=tuple(_ending(rules, "AbortIncompleteMultipartUpload", "DaysAfterInitiation")),
        retention=_retention(lock),
    )


async def _asked(line: BucketLine, kind: str, what: str, name: str) -> Element | None:
    """The configuration that is asked for; None: there is none, or it is not said."""
    _call, answer = await line.ask(kind, "GET", query={what: ""})
    # Services that do not know the question may answer it as another one: with a list of the bucket, or with a page.
    return root_named(answer, name) if answer.status == HTTPStatus.OK else None


def _is_about(rule: Element, prefix: str) -> bool:
    if text_of(rule, "Status") != "Enabled" or rule.find("{*}Filter//{*}Tag") is not None:  # No object here has a tag.
        return False
    told = _prefix(rule)
    return told.startswith(prefix) or prefix.startswith(told)


def _prefix(rule: Element) -> str:
    found = (rule.find(path) for path in ("{*}Prefix", "{*}Filter/{*}Prefix", "{*}Filter/{*}And/{*}Prefix"))
    return next((one.text for one in found if one is not None and one.text), "")


def _ending(rules: list[Element], action: str, days: str) -> Iterator[LifecycleRule]:
    for rule in rules:
        found = rule.find(f"{{*}}{action}")
        if found is None:
            continue
        number, date = text_of(found, days), text_of(found, "Date")
        if number.isdecimal() or date:  # Else it removes no object, but marks of deleted ones.
            told = int(number) if number.isdecimal() else None
            yield LifecycleRule(name=text_of(rule, "ID"), days=told, prefix=_prefix(rule))


def _retention(lock: Element | None) -> str:
    found = None if lock is None else lock.find("{*}Rule/{*}DefaultRetention")
    if found is None:
        return ""
    days, years = text_of(found, "Days"), text_of(found, "Years")
    return f"{days} days" if days else f"{years} years"
