"""What holds if nothing is said: CFP-015, CFL, CFH, CFS, CFD, CFX, DRV."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from moorage.config import FilesystemSection, InmemoryDriver, defaults, describe
from unit.config.reading import read

MIB = 1 << 20

AS_DOCUMENTED: dict[str, str] = {
    "log.level": "info",
    "log.output": "stdout",
    "log.formatter": "json",
    "log.accesslog.disabled": "false",
    "log.accesslog.formatter": "json",
    "reporting.sentry.enabled": "false",
    "http.net": "tcp",
    "http.prefix": "",
    "http.secret": "",
    "http.host": "",
    "http.relativeurls": "false",
    "http.draintimeout": "0s",
    "http.tls.clientcas": "",
    "http.http2.disabled": "false",
    "http.debug.addr": "",
    "http.debug.prometheus.enabled": "false",
    "http.debug.prometheus.path": "/metrics",
    "http.debug.pprof.enabled": "false",
    "storage.maintenance.uploadpurging.enabled": "true",
    "storage.maintenance.uploadpurging.age": "168h",
    "storage.maintenance.uploadpurging.interval": "24h",
    "storage.maintenance.uploadpurging.dryrun": "false",
    "storage.maintenance.readonly.enabled": "false",
    "storage.delete.enabled": "false",
    "storage.redirect.disable": "false",
    "storage.redirect.expirydelay": "20m",
    "storage.redirect.exceptions": "",
    "storage.cache.blobdescriptor": "",
    "database.enabled": "false",
    "database.connecttimeout": "0s",
    "database.draintimeout": "0s",
    "database.preparedstatements": "false",
    "database.pool.maxidle": "0",
    "database.pool.maxopen": "0",
    "database.pool.maxlifetime": "0s",
    "database.pool.maxidletime": "0s",
    "database.backgroundmigrations.enabled": "false",
    "database.backgroundmigrations.maxjobretries": "0",
    "database.backgroundmigrations.jobinterval": "1m",
    "database.loadbalancing.enabled": "false",
    "database.loadbalancing.nameserver": "localhost",
    "database.loadbalancing.port": "8600",
    "database.loadbalancing.replicacheckinterval": "1m",
    "database.metrics.enabled": "false",
    "database.metrics.interval": "10s",
    "database.metrics.leaseduration": "30s",
    "auth.token.autoredirect": "false",
    "redis.pool.size": "10",
    "redis.db": "0",
    "redis.tls.enabled": "false",
    "health.storagedriver.enabled": "false",
    "health.storagedriver.interval": "10s",
    "health.storagedriver.threshold": "0",
    "health.database.enabled": "false",
    "health.database.interval": "10s",
    "health.database.timeout": "5s",
    "health.database.threshold": "0",
    "health.http[].statuscode": "200",
    "validation.disabled": "false",
    "validation.manifests.referencelimit": "0",
    "validation.manifests.payloadsizelimit": "0",
    "validation.manifests.indexes.platforms": "all",
    "gc.disabled": "false",
    "gc.noidlebackoff": "false",
    "gc.maxbackoff": "24h",
    "gc.errorcooldownperiod": "0s",
    "gc.transactiontimeout": "10s",
    "gc.reviewafter": "24h",
    "gc.blobs.disabled": "false",
    "gc.blobs.interval": "5s",
    "gc.blobs.storagetimeout": "5s",
    "gc.manifests.disabled": "false",
    "gc.manifests.interval": "5s",
    "notifications.fanouttimeout": "15s",
    "notifications.events.includereferences": "false",
    "notifications.endpoints[].timeout": "1s",
    "notifications.endpoints[].maxretries": "10",
    "notifications.endpoints[].backoff": "1s",
    "notifications.endpoints[].queuepurgetimeout": "5s",
    "notifications.endpoints[].queuesizelimit": "3000",
    "rate_limiter.enabled": "false",
    "catalog.maxentries": "1000",
    "tags.maxtags": "1000",
    "proxy.ttl": "168h",
    "storage.filesystem.rootdirectory": "/var/lib/registry",
    "storage.filesystem.maxthreads": "100",
    "storage.s3.encrypt": "false",
    "storage.s3.secure": "true",
    "storage.s3.skipverify": "false",
    "storage.s3.v4auth": "true",
    "storage.s3.chunksize": str(10 * MIB),
    "storage.s3.multipartcopychunksize": str(32 * MIB),
    "storage.s3.multipartcopymaxconcurrency": "100",
    "storage.s3.multipartcopythresholdsize": str(32 * MIB),
    "storage.s3.rootdirectory": "",
    "storage.s3.storageclass": "STANDARD",
    "storage.s3.objectacl": "private",
    "storage.s3.objectownership": "false",
    "storage.s3.maxrequestspersecond": "350",
    "storage.s3.maxretries": "5",
    "storage.s3.parallelwalk": "false",
    "storage.s3.loglevel": "logoff",
    "storage.s3_v2.checksum_disabled": "false",
    "storage.s3_v2.checksum_algorithm": "CRC64NVME",
    "storage.gcs.chunksize": "5242880",
    "storage.gcs.maxconcurrency": "50",
    "storage.gcs.parallelwalk": "false",
    "storage.gcs.debug_log": "false",
    "storage.azure_v2.credentials_type": "shared_key",
    "storage.azure_v2.realm": "core.windows.net",
    "storage.azure_v2.max_retries": "3",
    "storage.azure_v2.retry_try_timeout": "0s",
    "storage.azure_v2.retry_delay": "4s",
    "storage.azure_v2.max_retry_delay": "1m",
    "storage.azure_v2.api_pool_initial_interval": "100ms",
    "storage.azure_v2.api_pool_max_interval": "1s",
    "storage.azure_v2.api_pool_max_elapsed_time": "5s",
    "storage.azure_v2.debug_log": "false",
}


@pytest.mark.parametrize(("path", "default"), AS_DOCUMENTED.items())
def test_a_default_is_that_of_the_other_registries(path: str, default: str) -> None:
    (found,) = [key.default for key in describe() if key.path == path]
    assert found == default


def test_the_least_configuration_has_the_defaults() -> None:
    config = read().config
    # Requirement S-063: who does not say where to listen is not reached from elsewhere.
    assert config.http.addr == "127.0.0.1:5000"
    assert config.log.level == "info"
    assert config.auth is None
    assert config.storage.driver == InmemoryDriver()
    assert config.storage.maintenance.uploadpurging.age == timedelta(days=7)
    assert not config.storage.delete.enabled


def test_without_a_file_newcomers_get_text_and_may_delete() -> None:
    config = defaults("/data", "127.0.0.1:5000")
    assert config.storage.driver == FilesystemSection(rootdirectory="/data")
    assert config.storage.name == "filesystem"
    assert config.storage.delete.enabled
    assert (config.log.formatter, config.log.accesslog.formatter) == ("text", "text")
    assert config.http.addr == "127.0.0.1:5000"
    assert config.http.draintimeout == timedelta(seconds=5)


def test_without_a_file_there_is_a_database_beside_the_data_unless_there_are_link_files() -> None:
    database = defaults("/data", "127.0.0.1:5000").database
    assert (database.enabled, database.sqlite) == ("prefer", "/data/moorage.db")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("", "info"),
        ("loglevel: debug", "debug"),
        ("loglevel: DEBUG", "debug"),
        ("loglevel: debug\nlog: {level: warn}", "warn"),
        ("loglevel: debug\nlog: {level: }", "debug"),
        ("loglevel: debug\nlog: ", "debug"),
        ("loglevel: debug\nlog: {formatter: text}", "debug"),
        ("log: {level: error}", "error"),
    ],
)
def test_loglevel_counts_if_there_is_no_log_level(text: str, level: str) -> None:
    assert read(text).config.log.level == level


def test_loglevel_leaves_the_rest_of_the_log_alone() -> None:
    assert read("loglevel: debug\nlog: {formatter: text}").config.log.formatter == "text"


def test_a_negative_review_delay_stays_negative() -> None:
    assert read("gc: {reviewafter: -1}").config.gc.reviewafter < timedelta(0)


@pytest.mark.parametrize(
    ("given", "expected"), [("true", True), ("false", False), ("'true'", True), ("prefer", "prefer")]
)
def test_the_database_is_on_off_or_preferred(given: str, expected: object) -> None:
    assert read(f"database: {{enabled: {given}, sqlite: m.db}}").config.database.enabled == expected


def test_a_configuration_does_not_change() -> None:
    config: Any = read().config
    with pytest.raises(ValidationError, match="frozen"):
        config.loglevel = "debug"
    with pytest.raises(ValidationError, match="frozen"):
        config.http.addr = ":1"
