"""The doctor and what a bucket does to objects by itself: real rules of a real service, and services that tell none."""

import base64
import hashlib
from pathlib import Path

import pytest

from moorage.doctor.diagnosis import Report
from support.s3_client import S3Client
from support.s3_stores import seaweed, section_of, versitygw
from unit.doctor.running import configuration, examined, failures, whole

ROOT = "team/images"
NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
CHECKS = {"storage: lifecycle", "storage: object lock", "storage: versioning"}


class _RuledBucket:
    """A bucket of its own in SeaweedFS."""

    def __init__(self, name: str, *, is_locked: bool) -> None:
        server = seaweed()
        self.access_key, self.secret_key, self.url, self.bucket = server.access_key, server.secret_key, server.url, name
        self._client = S3Client(self)
        headers = {"x-amz-bucket-object-lock-enabled": "true"} if is_locked else {}
        assert self._client.request("PUT", headers=headers)[0] == 200

    def put(self, what: str, body: str) -> None:
        """Give it a configuration."""
        digest = base64.b64encode(hashlib.md5(body.encode(), usedforsecurity=False).digest()).decode()
        headers = {"Content-MD5": digest, "Content-Type": "application/xml"}
        status, said = self._client.request("PUT", query=f"{what}=", body=body.encode(), headers=headers)
        assert status == 200, said

    def rules(self, *rules: str) -> None:
        """Give it these lifecycle rules, and no others."""
        told = "".join(f"<Rule><ID>rule-{number}</ID>{rule}</Rule>" for number, rule in enumerate(rules))
        self.put("lifecycle", f"<LifecycleConfiguration {NAMESPACE}>{told}</LifecycleConfiguration>")


@pytest.fixture(scope="module")
def ruled() -> _RuledBucket:
    return _RuledBucket("ruled", is_locked=False)


def looked_at(folder: Path, bucket: str, **more: object) -> Report:
    section = section_of(seaweed(), bucket=bucket, rootdirectory=ROOT).model_dump(mode="json", exclude_defaults=True)
    return examined(configuration(folder, storage={"s3": section, **more}), node="one")


def said(report: Report) -> list[str]:
    return [f"{line.grade.value} {line.check}: {line.said}" for line in report.lines if line.check in CHECKS]


def rule(prefix: str, *actions: str, status: str = "Enabled") -> str:
    return f"<Filter><Prefix>{prefix}</Prefix></Filter><Status>{status}</Status>{''.join(actions)}"


EXPIRY = "<Expiration><Days>30</Days></Expiration>"


def aborts(days: int) -> str:
    name = "AbortIncompleteMultipartUpload"
    return f"<{name}><DaysAfterInitiation>{days}</DaysAfterInitiation></{name}>"


def test_a_rule_that_removes_objects_of_the_registry_is_a_failure_with_its_name(
    tmp_path: Path, ruled: _RuledBucket
) -> None:
    off, others = rule("team/", EXPIRY, status="Disabled"), rule("logs/", EXPIRY)
    ruled.rules(rule("", EXPIRY), off, others, rule("team/i", EXPIRY))
    report = looked_at(tmp_path, ruled.bucket)
    assert failures(report) == {"storage: lifecycle"}
    does = "removes objects 30 days after they were made: images lose layers that nobody has deleted"
    assert said(report) == [
        f"failed storage: lifecycle: the bucket's rule rule-0 {does}",
        f"failed storage: lifecycle: the bucket's rule rule-3 for keys that begin with team/i {does}",
    ]


def test_a_rule_that_ends_uploads_before_the_registry_does_is_a_warning(tmp_path: Path, ruled: _RuledBucket) -> None:
    ruled.rules(rule("", aborts(3)), rule(f"{ROOT}/", aborts(7)))
    report = looked_at(tmp_path, ruled.bucket)
    assert report.is_good, whole(report)
    does = "ends uploads 3 days after they were made, where one that is not finished is kept for 7 days here"
    assert said(report) == [f"warning storage: lifecycle: the bucket's rule rule-0 {does}"]
    purging = {"enabled": True, "age": "72h", "interval": "24h", "dryrun": False}
    assert said(looked_at(tmp_path, ruled.bucket, maintenance={"uploadpurging": purging})) == []


def test_versions_that_no_rule_ends_and_a_lock_are_warnings(tmp_path: Path) -> None:
    bucket = _RuledBucket("locked", is_locked=True)
    retention = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>7</Days></DefaultRetention></Rule>"
    lock = f"<ObjectLockEnabled>Enabled</ObjectLockEnabled>{retention}"
    bucket.put("object-lock", f"<ObjectLockConfiguration {NAMESPACE}>{lock}</ObjectLockConfiguration>")
    report = looked_at(tmp_path, bucket.bucket)
    versions = "versioning is on, and no rule ends older versions: what garbage collection deletes stays as one"
    locked = "each object is locked for 7 days: until then garbage collection frees no space"
    assert said(report)[-2:] == [f"warning storage: object lock: {locked}", f"warning storage: versioning: {versions}"]
    ends = "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>"
    bucket.rules(rule("", ends))
    assert said(looked_at(tmp_path, bucket.bucket)) == [f"warning storage: object lock: {locked}"]


def test_of_a_bucket_without_rules_and_of_a_service_that_knows_none_nothing_is_said(tmp_path: Path) -> None:
    for server in (seaweed(), versitygw()):
        section = section_of(server).model_dump(mode="json", exclude_defaults=True)
        report = examined(configuration(tmp_path, storage={"s3": section}), node="one")
        assert report.is_good, whole(report)
        assert said(report) == []
