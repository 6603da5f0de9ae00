"""The keys of the two registries' files, read off the structs that they parse into, and their drivers' parameters.

Source: GitLab 4.32 ``configuration/configuration.go``, Distribution v2.8.3 and v3 ``configuration/configuration.go``.
Not here: ``database.preferfallback``, which is a state of GitLab's that happens to lie in the struct.
"""

from collections.abc import Iterator

_GITLAB = """
-: version loglevel
log.accesslog: disabled formatter
log: level formatter output fields
database: enabled host port user password dbname sslmode sslcert sslkey sslrootcert connecttimeout
  draintimeout preparedstatements primary
database.pool: maxidle maxopen maxlifetime maxidletime
database.backgroundmigrations: enabled maxjobretries jobinterval
database.loadbalancing: enabled hosts nameserver port record replicacheckinterval
database.metrics: enabled interval leaseduration
middleware.storage[]: name disabled options
reporting.sentry: enabled dsn environment
profiling.stackdriver: enabled service serviceversion projectid keyfile
http: addr net host prefix secret relativeurls draintimeout headers
http.tls: certificate key clientcas minimumtls ciphersuites
http.tls.letsencrypt: cachefile email hosts
http.debug: addr
http.debug.tls: enabled certificate key clientcas minimumtls
http.debug.prometheus: enabled path
http.debug.pprof: enabled
http.http2: disabled
notifications: fanouttimeout
notifications.events: includereferences
notifications.endpoints[]: name disabled url headers timeout threshold maxretries backoff ignoredmediatypes
  queuepurgetimeout queuesizelimit
notifications.endpoints[].ignore: mediatypes actions
redis: enabled addr mainname username password db dialtimeout readtimeout writetimeout sentinelusername
  sentinelpassword
redis.tls: enabled insecure
redis.pool: size maxlifetime idletimeout
redis.cache: enabled addr mainname username password db dialtimeout readtimeout writetimeout sentinelusername
  sentinelpassword
redis.cache.tls: enabled insecure
redis.cache.pool: size maxlifetime idletimeout
redis.ratelimiter: enabled addr mainname username password db dialtimeout readtimeout writetimeout
  sentinelusername sentinelpassword
redis.ratelimiter.tls: enabled insecure
redis.ratelimiter.pool: size maxlifetime idletimeout
redis.loadbalancing: enabled addr mainname username password db dialtimeout readtimeout writetimeout
  sentinelusername sentinelpassword
redis.loadbalancing.tls: enabled insecure
redis.loadbalancing.pool: size maxlifetime idletimeout
health.file[]: interval file threshold
health.http[]: timeout statuscode interval uri headers threshold
health.tcp[]: timeout interval addr threshold
health.storagedriver: enabled interval threshold
health.database: enabled interval threshold timeout
validation: enabled disabled
validation.manifests: referencelimit payloadsizelimit
validation.manifests.urls: allow deny
policy.repository: classes
gc: disabled noidlebackoff maxbackoff errorcooldownperiod transactiontimeout reviewafter
gc.blobs: disabled interval storagetimeout
gc.manifests: disabled interval
rate_limiter: enabled
rate_limiter.limiters[]: name description log_only precedence
rate_limiter.limiters[].match: type
rate_limiter.limiters[].limit: rate period burst
rate_limiter.limiters[].action: warn_threshold warn_action hard_action
"""

_DISTRIBUTION = """
-: version loglevel
log.accesslog: disabled
log: level formatter fields reportcaller
log.hooks[]: disabled type levels
log.hooks[].options.smtp: addr username password insecure
log.hooks[].options: from to
middleware.storage[]: name disabled options
http: addr net host prefix secret relativeurls draintimeout headers
http.tls: certificate key clientcas clientauth minimumtls ciphersuites
http.tls.letsencrypt: cachefile email hosts directoryurl
http.debug: addr
http.debug.prometheus: enabled path
http.http2: disabled
http.h2c: enabled
notifications.events: includereferences
notifications.endpoints[]: name disabled url headers timeout threshold backoff ignoredmediatypes
notifications.endpoints[].ignore: mediatypes actions
redis: addrs clientname db protocol username password sentinelusername sentinelpassword maxretries
  minretrybackoff maxretrybackoff dialtimeout readtimeout writetimeout contexttimeoutenabled poolfifo poolsize
  pooltimeout minidleconns maxidleconns maxactiveconns connmaxidletime connmaxlifetime maxredirects readonly
  routebylatency routerandomly mastername disableidentity identitysuffix unstableresp3 addr
redis.tls: certificate key rootcas
health.file[]: interval file threshold
health.http[]: timeout statuscode interval uri headers threshold
health.tcp[]: timeout interval addr threshold
health.storagedriver: enabled interval threshold
catalog: maxentries
tags: maxtags
proxy: remoteurl username password ttl cachewritetimeout
proxy.exec: command lifetime
validation: enabled disabled
validation.manifests.urls: allow deny
validation.manifests.indexes: platforms
validation.manifests.indexes.platformlist[]: architecture os
policy.repository: classes
reporting.bugsnag: apikey releasestage endpoint
reporting.newrelic: licensekey name verbose
redis.pool: maxidle maxactive idletimeout
compatibility.schema1: signingkeyfile enabled
"""

_DRIVERS = """
filesystem: rootdirectory maxthreads
inmemory:
s3: region bucket accesskey secretkey sessiontoken regionendpoint pathstyle encrypt keyid secure skipverify v4auth
  chunksize multipartcopychunksize multipartcopymaxconcurrency multipartcopythresholdsize rootdirectory storageclass
  objectacl objectownership maxrequestspersecond maxretries parallelwalk loglevel
  useragent forcepathstyle accelerate usedualstack usefipsendpoint redirectendpoint
s3aws: region bucket accesskey secretkey
s3_v2: region bucket checksum_disabled checksum_algorithm
gcs: bucket keyfile credentials rootdirectory chunksize maxconcurrency parallelwalk useragent debug_log
azure: accountname accountkey container realm rootdirectory trimlegacyrootprefix legacyrootprefix
  connectionstring credentials serviceurl max_retries retry_delay skipverify
azure_v2: accountname accountkey container credentials_type tenant_id client_id secret realm serviceurl rootdirectory
  max_retries retry_try_timeout retry_delay max_retry_delay api_pool_initial_interval api_pool_max_interval
  api_pool_max_elapsed_time debug_log debug_log_events
"""

_COMMON_STORAGE = """
storage.maintenance.uploadpurging: enabled age interval dryrun
storage.maintenance.readonly: enabled
storage.cache: blobdescriptor layerinfo blobdescriptorsize
storage.delete: enabled
storage.redirect: disable expirydelay exceptions
storage.tag: concurrencylimit
auth.silly: realm service
auth.token: realm service issuer rootcertbundle autoredirect autoredirectpath signingalgorithms jwks server
auth.htpasswd: realm path
"""

GO_NAMES = {
    "notifications.events": "EVENTCONFIG",
    "health.file[]": "FILECHECKERS",
    "health.http[]": "HTTPCHECKERS",
    "health.tcp[]": "TCPCHECKERS",
    "log.hooks[].options": "MAILOPTIONS",
    "compatibility.schema1.signingkeyfile": "TRUSTKEY",
}
"""Where variables go by the name of a struct's field and the file by another one."""


def _read(table: str) -> Iterator[tuple[str, str]]:
    for row in table.strip().replace("\n ", "").splitlines():
        section, _, names = row.partition(":")
        for name in names.split():
            yield ("" if section == "-" else section), name


def _paths(table: str) -> list[str]:
    return [f"{section}.{name}".lstrip(".") for section, name in _read(table)]


GITLAB = _paths(_GITLAB)
DISTRIBUTION = _paths(_DISTRIBUTION)
DRIVERS = [f"storage.{driver}.{name}" for driver, name in _read(_DRIVERS)]
COMMON_STORAGE = _paths(_COMMON_STORAGE)
ALL = list(dict.fromkeys([*GITLAB, *DISTRIBUTION, *DRIVERS, *COMMON_STORAGE]))
