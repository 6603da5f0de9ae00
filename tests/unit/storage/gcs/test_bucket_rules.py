"""Rules of a bucket as Google's metadata has them: from the strict fake, and from a server of somebody else."""

import json
import urllib.request

from moorage.config import GCSSection
from moorage.storage.gcs.opening import open_bucket
from moorage.storage.remote.bucket_rules import BucketRules, LifecycleRule
from support.gcs_emulators import running
from support.gcs_fake import GCSFake


async def rules_at(url: str, bucket: str, credentials: dict[str, str] | None = None) -> BucketRules:
    section = GCSSection(bucket=bucket, credentials=dict(credentials or {}), rootdirectory="root")
    driver = open_bucket(section, endpoint=url)
    try:
        return await driver.rules()
    finally:
        await driver.close()


async def test_rules_about_objects_of_the_registry_are_told_and_those_about_others_not(fake: GCSFake) -> None:
    delete = {"type": "Delete"}
    bucket = fake.make("ruled")
    bucket.about = {
        "versioning": {"enabled": True},
        "retentionPolicy": {"retentionPeriod": "604800", "effectiveTime": "2026-11-01T00:00:00Z"},
        "lifecycle": {
            "rule": [
                {"action": delete, "condition": {"age": 30}},
                {"action": delete, "condition": {"age": 1, "matchesPrefix": ["logs/"]}},
                {"action": delete, "condition": {"createdBefore": "2026-01-01", "matchesPrefix": ["root/docker/"]}},
                {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 9}},
            ]
        },
    }
    found = await rules_at(fake.url, "ruled", fake.key())
    assert found == BucketRules(
        has_versions=True,
        expiries=(
            LifecycleRule(name="", days=30, prefix=""),
            LifecycleRule(name="", days=None, prefix="root/docker/"),
        ),
        retention="7 days",
    )
    bucket.about["lifecycle"] = {"rule": [{"action": delete, "condition": {"numNewerVersions": 1}}]}
    found = await rules_at(fake.url, "ruled", fake.key())
    assert (found.has_versions, found.ends_versions, found.expiries) == (True, True, ())


async def test_an_account_that_may_not_ask_for_the_bucket_is_told_of_no_rules(fake: GCSFake) -> None:
    fake.make("ruled").about = {"versioning": {"enabled": True}}
    fake.denied = {"storage.buckets.get"}
    try:
        assert await rules_at(fake.url, "ruled", fake.key()) == BucketRules()
    finally:
        fake.denied = set()


async def test_versioning_is_told_by_another_server() -> None:
    url = running("fake-gcs-server").url
    for name, about in (("plain-rules", {}), ("versioned-rules", {"versioning": {"enabled": True}})):
        _make(url, {"name": name, **about})
        assert await rules_at(url, name) == BucketRules(has_versions=bool(about))


def _make(url: str, about: dict[str, object]) -> None:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/storage/v1/b?project=p", json.dumps(about).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
