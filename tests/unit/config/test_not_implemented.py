"""What was asked for and does not exist yet is named, and nothing else."""

import pytest

from moorage.config import describe, load
from unit.config.reading import read, written

S3 = "storage: {s3: {region: r, bucket: b}}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", ()),
        ("database: {enabled: false, host: db, password: p}", ()),
        ("database: {enabled: 'false'}", ()),
        ("database: {host: db}", ()),
        ("database: {enabled: true, host: db, dbname: r}", ()),
        ("database: {enabled: true, sqlite: /data/moorage.db}", ()),
        (
            "database: {enabled: prefer, host: a, dbname: b, backgroundmigrations: {enabled: true}}",
            (),
        ),
        ("database: {enabled: true, sqlite: m.db, metrics: {enabled: true}}", ()),
        (
            "database: {enabled: true, sqlite: m.db, metrics: {enabled: true, leaseduration: 1m}}",
            ("database.metrics.leaseduration",),
        ),
        ("database: {enabled: true, sqlite: m.db, metrics: {interval: 1s}}", ()),
        ("database: {enabled: false, metrics: {enabled: true}}", ()),
        ("redis: {}", ()),
        ("redis: {addr: ''}", ()),
        ("redis: {addr: 'localhost:6379'}", ()),
        ("redis: {addrs: ['localhost:6379']}", ()),
        ("redis: {cache: {enabled: false, addr: 'localhost:6379'}}", ()),
        ("redis: {cache: {enabled: true, addr: 'localhost:6379'}}", ()),
        ("redis: {ratelimiter: {enabled: true, addr: 'localhost:6379'}}", ()),
        ("redis: {loadbalancing: {enabled: true, addr: 'localhost:6379', tls: {enabled: true}, pool: {size: 5}}}", ()),
        ("redis: {addr: a, password: p, pool: {size: 5}, tls: {enabled: true}, maxretries: 9}", ("redis.maxretries",)),
        ("redis: {tls: {enabled: false}, pool: {size: 10}}", ()),
        ("gc: {disabled: true, maxbackoff: 1h}", ()),
        ("gc: {disabled: false, maxbackoff: 24h, reviewafter: 1440m}", ()),
        ("gc: {maxbackoff: 1h}", ()),
        ("gc: {blobs: {disabled: true, interval: 1h}}", ()),
        ("gc: {blobs: {interval: 1h}}", ()),
        ("health: {storagedriver: {enabled: false, interval: 1s, threshold: 3}}", ()),
        ("health: {storagedriver: {interval: 1s}}", ()),
        ("health: {storagedriver: {enabled: true}}", ()),
        ("health: {file: [], http: [], tcp: []}", ()),
        ("health: {file: [{file: /down}]}", ()),
        ("notifications: {endpoints: []}", ()),
        ("notifications: {events: {includereferences: true}}", ()),
        ("notifications: {endpoints: [{disabled: true, url: 'http://a'}]}", ()),
        ("notifications: {endpoints: [{disabled: true}, {url: 'http://a'}]}", ()),
        ("rate_limiter: {enabled: false, limiters: [{name: a}]}", ()),
        ("middleware: {storage: []}", ()),
        ("middleware: {storage: [{name: cloudfront, disabled: true}]}", ()),
        ("middleware: {storage: [{name: redirect, options: {baseurl: 'https://a'}}]}", ()),
        ("reporting: {sentry: {enabled: false, dsn: 'https://a@b/1'}}", ()),
        ("reporting: {sentry: {enabled: true}}", ()),
        ("reporting: {bugsnag: {apikey: k}}", ("reporting.bugsnag",)),
        ("profiling: {stackdriver: {enabled: true}}", ("profiling",)),
        ("policy: {repository: {classes: [image]}}", ("policy",)),
        ("proxy: {ttl: 1h}", ()),
        ("proxy: {remoteurl: 'https://registry-1.docker.io'}", ("proxy",)),
        ("catalog: {maxentries: 1000}", ()),
        ("catalog: {maxentries: 5}", ()),
        ("compatibility: {schema1: {enabled: false, signingkeyfile: /k}}", ()),
        ("compatibility: {schema1: {enabled: true}}", ("compatibility",)),
        ("http: {tls: {certificate: /c, key: /k, minimumtls: tls1.3}}", ()),
        ("http: {tls: {clientcas: []}}", ()),
        ("http: {tls: {certificate: /c, key: /k, clientcas: [/ca]}}", ()),
        ("http: {tls: {letsencrypt: {cachefile: '', hosts: []}}}", ()),
        ("http: {tls: {letsencrypt: {cachefile: /c, hosts: [a.example.com]}}}", ()),
        ("http: {debug: {addr: ':1'}}", ()),
        ("http: {debug: {prometheus: {enabled: false, path: /m}}}", ()),
        (
            "http: {debug: {prometheus: {enabled: true}, pprof: {enabled: true}}}",
            ("http.debug.pprof",),
        ),
        ("http: {http2: {disabled: true}}", ()),
        ("http: {http2: {disabled: false}}", ()),
        ("http: {h2c: {enabled: true}}", ("http.h2c",)),
        ("log: {hooks: [{type: mail, disabled: true}]}", ()),
        ("log: {hooks: [{type: mail}]}", ("log.hooks",)),
        ("log: {reportcaller: true}", ()),
        ("auth: none", ()),
        ("auth: {silly: {realm: r, service: s}}", ()),
        ("auth: {token: {realm: r, service: s, issuer: i, rootcertbundle: b}}", ()),
        ("auth: {htpasswd: {realm: r, path: p}}", ()),
        (S3, ()),
        ("storage: {gcs: {bucket: b, parallelwalk: true, debug_log: true}}", ("storage.gcs.parallelwalk",)),
        ("storage: {s3: {region: r, bucket: b, parallelwalk: 'false'}}", ()),
        ("storage: {filesystem: {maxthreads: 100}}", ()),
        ("storage: {filesystem: {maxthreads: '100'}}", ()),
        ("storage: {filesystem: {maxthreads: 50}}", ("storage.filesystem.maxthreads",)),
        ("redis: {addr: a, pool: {idletimeout: 5m, maxlifetime: 0s}}", ("redis.pool.idletimeout",)),
        ("storage: {azure_v2: {accountname: abc, accountkey: a2V5, container: abc}}", ()),
        ("storage: {inmemory: , cache: {blobdescriptor: inmemory}}", ()),
        ("storage: {inmemory: , tag: {concurrencylimit: 8}}", ("storage.tag.concurrencylimit",)),
        ("storage: {inmemory: , redirect: {disable: true, expirydelay: 5m}}", ()),
        ("storage: {inmemory: , redirect: {exceptions: ['^a$']}}", ()),
        ("validation: {disabled: true, manifests: {referencelimit: 5}}", ()),
    ],
)
def test_what_is_asked_for_and_missing_is_named(text: str, named: tuple[str, ...]) -> None:
    assert read(text).not_implemented == named


def test_variables_ask_too() -> None:
    assert read("", REGISTRY_REDIS_MAXRETRIES="5").not_implemented == ("redis.maxretries",)
    assert read("redis: {maxretries: 5}", REGISTRY_REDIS_MAXRETRIES="0").not_implemented == ()


def test_defaults_written_out_ask_for_nothing() -> None:
    plain = ("true or false", "whole number", "duration", "text")
    for key in describe():
        if key.is_implemented or not key.default or key.type not in plain or key.path.startswith("storage."):
            continue
        loaded = load(written(key.path, None), {key.variable: key.default})
        assert [name for name in loaded.not_implemented if not name.startswith("auth.")] == [], key.path
