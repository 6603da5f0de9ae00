"""Files as the other registries are given them are used as they are."""

from datetime import timedelta

from moorage.config import FilesystemSection, TokenAuth, load

GITLAB_PACKAGE = """
version: 0.1
log:
  level: info
  formatter: text
  fields:
    service: registry
    environment: production
storage: {"filesystem":{"rootdirectory":"/var/opt/gitlab/gitlab-rails/shared/registry"},"cache":{"blobdescriptor":"inmemory"},"delete":{"enabled":true},"maintenance":{"uploadpurging":{"enabled":true,"age":"72h","interval":"24h","dryrun":false},"readonly":{"enabled":false}},"redirect":{"disable":true}}
http:
  addr: 127.0.0.1:5000
  secret: "5f1c0d6e"
  headers:
    X-Content-Type-Options: [nosniff]
  debug:
    addr: 127.0.0.1:5001
    prometheus:
      enabled: true
      path: /metrics
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
auth:
  token:
    realm: https://gitlab.example.com/jwt/auth
    service: container_registry
    issuer: omnibus-gitlab-issuer
    rootcertbundle: /var/opt/gitlab/registry/gitlab-registry.crt
    autoredirect: false
validation:
  disabled: true
notifications:
  endpoints: [{"name":"geo_event","url":"https://gitlab.example.com/api/v4/container_registry_event/events","timeout":"500ms","threshold":5,"maxretries":5,"backoff":"1s","headers":{"Authorization":["token"]}}]
database: {"enabled":false,"user":"registry","dbname":"registry","port":5432,"sslmode":"prefer"}
gc: {"disabled":false,"maxbackoff":"24h","reviewafter":"24h"}
"""  # noqa: E501 - the package writes sections as one line of JSON

DISTRIBUTION = """
version: 0.1
log:
  accesslog: {disabled: true}
  level: debug
  formatter: text
  reportcaller: true
  fields: {service: registry, environment: staging}
  hooks:
    - type: mail
      disabled: true
      levels: [panic]
      options:
        smtp: {addr: "mail.example.com:25", username: user, password: pass, insecure: true}
        from: sender@example.com
        to: [errors@example.com]
loglevel: debug
storage:
  filesystem: {rootdirectory: /var/lib/registry, maxthreads: 100}
  tag: {concurrencylimit: 8}
  delete: {enabled: false}
  redirect: {disable: false}
  cache: {blobdescriptor: redis, blobdescriptorsize: 10000}
  maintenance:
    uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: false}
    readonly: {enabled: false}
auth:
  htpasswd: {realm: basic-realm, path: /path/to/htpasswd}
middleware:
  registry: [{name: one, options: {foo: bar}}]
  repository: [{name: two, options: {foo: bar}}]
  storage: [{name: redirect, options: {baseurl: "https://example.com/"}}]
catalog: {maxentries: 1000}
tags: {maxtags: 1000}
http:
  addr: localhost:5000
  prefix: /my/nested/registry/
  host: https://registry.example.com:5000
  secret: asecret
  relativeurls: false
  draintimeout: 60s
  tls:
    certificate: /path/to/x509/public
    key: /path/to/x509/private
    clientcas: [/path/to/ca.pem]
    clientauth: require-and-verify-client-cert
    letsencrypt: {email: someone@example.com, hosts: [registry.example.com], directoryurl: "https://acme.example.com"}
  debug: {addr: "localhost:5001", prometheus: {enabled: true, path: /metrics}}
  headers: {X-Content-Type-Options: [nosniff]}
  http2: {disabled: false}
  h2c: {enabled: false}
notifications:
  events: {includereferences: true}
  endpoints:
    - name: listener
      disabled: false
      url: https://listener.example.com/event
      headers: {Authorization: [Bearer x]}
      timeout: 1s
      threshold: 10
      backoff: 1s
      ignoredmediatypes: [application/octet-stream]
      ignore: {mediatypes: [application/octet-stream], actions: [pull]}
redis:
  addrs: ["localhost:6379"]
  password: asecret
  db: 0
  dialtimeout: 10ms
  readtimeout: 10ms
  writetimeout: 10ms
  maxidleconns: 16
  poolsize: 64
  connmaxidletime: 300s
  tls: {enabled: false, certificate: /c, key: /k, rootcas: [/ca]}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
  file: [{file: /path/to/checked/file, interval: 10s}]
  http: [{uri: "http://example.com/", headers: {Authorization: [Basic x]}, statuscode: 200, timeout: 3s}]
  tcp: [{addr: "redis.example.com:6379", timeout: 3s, interval: 10s, threshold: 3}]
proxy:
  remoteurl: https://registry-1.docker.io
  username: user
  password: pass
  exec: {command: docker-credential-helper, lifetime: 1h}
  ttl: 168h
validation:
  manifests:
    urls: {allow: ['^https?://([^/]+\\.)*example\\.com/'], deny: ['^https?://www\\.example\\.com/']}
    indexes: {platforms: list, platformlist: [{architecture: amd64, os: linux}]}
"""

DISTRIBUTION_2 = """
version: 0.1
storage:
  filesystem:
  maintenance: {uploadpurging: {enabled: false}}
reporting:
  bugsnag: {apikey: k, releasestage: r, endpoint: e}
  newrelic: {licensekey: k, name: n, verbose: true}
redis: {addr: "localhost:6379", password: p, db: 0, pool: {maxidle: 16, maxactive: 64, idletimeout: 300s}}
compatibility: {schema1: {signingkeyfile: /etc/registry/key.json, enabled: true}}
"""


def test_the_file_of_the_gitlab_package_is_used_as_it_is() -> None:
    loaded = load(GITLAB_PACKAGE, {"REGISTRY_HTTP_RELATIVEURLS": "true"})
    assert (loaded.unknown, loaded.warnings, loaded.not_implemented) == ((), (), ())
    config = loaded.config
    assert config.http.relativeurls
    assert config.storage.driver == FilesystemSection(rootdirectory="/var/opt/gitlab/gitlab-rails/shared/registry")
    assert config.storage.maintenance.uploadpurging.age == timedelta(hours=72)
    assert isinstance(config.auth, TokenAuth)
    assert config.notifications.endpoints[0].timeout == timedelta(milliseconds=500)


def test_every_option_of_distribution_3_is_known() -> None:
    loaded = load(DISTRIBUTION, {})
    (old,) = loaded.warnings
    assert old.startswith("notifications.endpoints[0].threshold: old")
    assert loaded.unknown == ()
    assert loaded.config.http.tls.clientauth == "require-and-verify-client-cert"
    assert loaded.config.validation.manifests.indexes.platformlist[0].os == "linux"
    assert set(loaded.not_implemented) == {
        "proxy",
        "redis.maxidleconns",
        "redis.connmaxidletime",
        "storage.tag.concurrencylimit",
    }


def test_the_options_that_only_distribution_2_has_are_known() -> None:
    loaded = load(DISTRIBUTION_2, {})
    assert (loaded.unknown, loaded.warnings) == ((), ())
    assert set(loaded.not_implemented) == {
        "reporting.bugsnag",
        "reporting.newrelic",
        "compatibility",
        "redis.pool.idletimeout",
        "redis.pool.maxidle",
    }
