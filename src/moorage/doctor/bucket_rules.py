"""Rules of a bucket that take images away, or keep the space of those that are deleted."""

from datetime import timedelta

from moorage.config import Config
from moorage.doctor.diagnosis import Report
from moorage.storage.remote.bucket_rules import LifecycleRule
from moorage.storage.remote.remote_driver import RemoteDriver

_DAY = timedelta(days=1)


async def check_bucket_rules(config: Config, storage: RemoteDriver, report: Report) -> None:
    """Say what the service itself does to objects, where it tells; where it does not, nothing is said.

    Raises:
        BackendError: it does not answer.
    """
    rules, check = await storage.rules(), "storage: lifecycle"
    for rule in rules.expiries:
        said = f"{_named(rule)} removes objects {_when(rule)}: images lose layers that nobody has deleted"
        report.fail(check, said, "take the rule away, or let it be about keys of others; what is gone has to be pushed")
    purging = config.storage.maintenance.uploadpurging
    patience = purging.age if purging.enabled else None
    for rule in rules.aborts:
        if rule.days is not None and (patience is None or rule.days * _DAY < patience):
            kept = "has no end here" if patience is None else f"is kept for {_days(patience)} here"
            said = f"{_named(rule)} ends uploads {_when(rule)}, where one that is not finished {kept}"
            remedy = "let the rule wait longer, or set storage.maintenance.uploadpurging.age to less than it waits"
            report.warn(check, said, remedy)
    if rules.retention:
        said = f"each object is locked for {rules.retention}: until then garbage collection frees no space"
        report.warn("storage: object lock", said, "use a bucket without a default retention")
    if rules.has_versions and not rules.ends_versions:
        said = "versioning is on, and no rule ends older versions: what garbage collection deletes stays as one"
        remedy = "suspend versioning, or add a lifecycle rule that removes noncurrent versions after some days"
        report.warn("storage: versioning", said, remedy)


def _named(rule: LifecycleRule) -> str:
    where = f" for keys that begin with {rule.prefix}" if rule.prefix else ""
    return f"the bucket's rule {rule.name}{where}" if rule.name else f"a rule of the bucket{where}"


def _when(rule: LifecycleRule) -> str:
    return "at a date" if rule.days is None else f"{_days(rule.days * _DAY)} after they were made"


def _days(length: timedelta) -> str:
    days = length / _DAY
    return "1 day" if days == 1 else f"{days:g} days"
