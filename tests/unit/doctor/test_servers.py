"""The doctor and the servers around a node: databases, Redis, buckets. Each fault is a real one."""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from moorage.doctor.diagnosis import Grade, Report
from moorage.storage.s3.answers import RIGHTS
from support.fault_proxy import Fault, FaultProxy
from support.postgres import Postgres, migrated
from support.redis import Redis
from support.rude_server import RudeServer, Said
from support.s3_stores import seaweed, section_of
from unit.doctor.running import SECRET, by_check, configuration, examined, failures, whole

PASSWORD = "the password of a Redis"


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis(password=PASSWORD) as server:
        yield server


def database_section(postgres: Postgres, dbname: str) -> dict[str, Any]:
    section: dict[str, Any] = yaml.safe_load(postgres.config_section(dbname))["database"]
    return section


def test_a_database_is_looked_at_for_its_schema_and_for_the_storage_that_it_belongs_to(
    tmp_path: Path, postgres: Postgres
) -> None:
    dbname = migrated(postgres)
    section = database_section(postgres, dbname)
    report = examined(configuration(tmp_path, database=section))
    assert report.is_good, whole(report)
    assert {"database", "schema", "clock: database", "database and storage"} <= set(by_check(report))
    other = tmp_path / "data/docker/registry/moorage/identity.json"
    other.write_text('{"version":1,"database":"00000000-0000-0000-0000-000000000000"}')
    report = examined(configuration(tmp_path, database=section))
    assert failures(report) == {"database and storage"}
    assert "names another database" in whole(report)
    wrong = {**section, "password": "not this one, of course"}
    report = examined(configuration(tmp_path, database=wrong))
    assert failures(report) == {"database"}
    assert "database.user" in whole(report)
    assert wrong["password"] not in whole(report)


def test_a_schema_that_is_too_old_fails_with_the_command_to_type(tmp_path: Path, postgres: Postgres) -> None:
    dbname = postgres.create_database()
    path = configuration(tmp_path, database=database_section(postgres, dbname))
    report = examined(path)
    assert failures(report) == {"schema"}
    assert "moorage database migrate up" in by_check(report)["schema"].remedy


def test_a_database_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    section = {"enabled": True, "host": "127.0.0.1", "port": 1, "dbname": "registry", "user": "registry"}
    report = examined(configuration(tmp_path, database=section))
    assert failures(report) == {"database"}
    assert "no connection to PostgreSQL" in whole(report)


def test_an_sqlite_file_is_looked_at_and_not_made(tmp_path: Path) -> None:
    section = {"enabled": True, "sqlite": str(tmp_path / "moorage.db")}
    report = examined(configuration(tmp_path, database=section))
    assert report.is_good
    assert by_check(report)["database"].grade is Grade.WARNING
    lock = tmp_path / "data/docker/registry/lockfiles/database-in-use"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("a registry has used it")
    assert failures(examined(configuration(tmp_path, database=section))) == {"database"}
    assert not (tmp_path / "moorage.db").exists()


def test_a_redis_is_tried_and_the_wrong_password_is_named_and_not_shown(tmp_path: Path, redis: Redis) -> None:
    section = {"addr": redis.address, "password": PASSWORD}
    report = examined(configuration(tmp_path, redis=section))
    assert report.is_good, whole(report)
    assert by_check(report)["clock: redis"].grade is Grade.GOOD
    assert redis.cli("keys", "*") == ""
    wrong = "not the password of a Redis"
    report = examined(configuration(tmp_path, redis={"cache": {**section, "enabled": True, "password": wrong}}))
    assert failures(report) == {"redis.cache"}
    assert "redis.cache.password" in by_check(report)["redis.cache"].remedy
    assert wrong not in whole(report)


def test_a_redis_that_takes_no_writes_fails(tmp_path: Path, redis: Redis) -> None:
    redis.cli("acl", "setuser", "reader", "on", ">reader's password", "~*", "+get", "+time", "+client")
    section = {"addr": redis.address, "username": "reader", "password": "reader's password"}
    report = examined(configuration(tmp_path, redis=section))
    assert failures(report) == {"redis"}
    assert "may use" in by_check(report)["redis"].remedy


def test_a_wrong_clock_is_found_by_each_that_has_one(tmp_path: Path, postgres: Postgres, redis: Redis) -> None:
    dbname = migrated(postgres)
    section = {"addr": redis.address, "password": PASSWORD}
    path = configuration(tmp_path, redis=section, database=database_section(postgres, dbname))
    for wrong_by, words in ((timedelta(minutes=10), "600 s ahead of it"), (timedelta(minutes=-10), "600 s behind")):
        report = examined(path, wrong_by=wrong_by)
        assert failures(report) == {"clock: storage", "clock: database", "clock: redis"}
        assert words in by_check(report)["clock: redis"].said


def bucket(**more: object) -> Mapping[str, object]:
    """A configuration's storage in the bucket of SeaweedFS."""
    return {"s3": section_of(seaweed(), **more).model_dump(mode="json", exclude_defaults=True)}


def _in_bucket(folder: Path, storage: Mapping[str, object]) -> Report:
    return examined(configuration(folder, storage=storage), node="one")


def test_a_good_bucket_has_every_right_and_its_urls_work(tmp_path: Path) -> None:
    report = _in_bucket(tmp_path, bucket())
    assert report.is_good, whole(report)
    grades = {check: line.grade for check, line in by_check(report).items()}
    assert grades["storage"] is grades["storage: redirect"] is grades["clock: storage"] is Grade.GOOD
    assert seaweed().secret_key not in whole(report)


def test_a_bucket_that_is_not_there_fails_with_its_name(tmp_path: Path) -> None:
    report = _in_bucket(tmp_path, bucket(bucket="another"))
    assert failures(report) == {"storage"}
    assert "storage.s3.bucket" in whole(report)


DENIED = Said(
    status=403,
    headers={"Content-Type": "application/xml"},
    body=b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
)


async def test_a_right_that_is_missing_is_named(tmp_path: Path) -> None:
    async with RudeServer([DENIED]) as server:
        report = await asyncio.to_thread(_in_bucket, tmp_path, bucket(regionendpoint=server.url))
    assert failures(report) == {"storage"}
    assert "s3:ListBucket" in whole(report)


@pytest.mark.parametrize("kind", ["PutObject", "CopyObject", "CreateMultipartUpload", "DeleteObject"])
async def test_each_right_that_is_missing_is_named(tmp_path: Path, kind: str) -> None:
    async with FaultProxy(seaweed().address) as proxy:
        proxy.fail(kind, Fault.DENIED, times=1000)
        report = await asyncio.to_thread(_in_bucket, tmp_path, bucket(regionendpoint=proxy.url))
    assert failures(report) == {"storage"}
    assert RIGHTS[kind].partition(" ")[0] in whole(report)


def test_no_secret_of_a_configuration_is_shown_whatever_fails(tmp_path: Path) -> None:
    words = [f"{word} that must not be shown" for word in ("key", "password", "login", "sentinel's")]
    storage = {
        "s3": {"bucket": "b", "regionendpoint": "http://127.0.0.1:1", "accesskey": "AKIA", "secretkey": words[0]}
    }
    redis = {"addr": "127.0.0.1:1", "password": words[2], "sentinelpassword": words[3]}
    database = {"enabled": True, "host": "127.0.0.1", "port": 1, "dbname": "d", "user": "u", "password": words[1]}
    report = examined(configuration(tmp_path, storage=storage, redis=redis, database=database))
    assert {"storage", "redis", "database"} <= failures(report)
    said = whole(report)
    assert [word for word in (*words, SECRET) if word in said] == []
