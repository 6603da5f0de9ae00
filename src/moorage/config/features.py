"""``auth``, ``validation``, ``health``, ``notifications``, ``rate_limiter`` and the rest."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from moorage.config.section import (
    Count,
    Duration,
    Flag,
    Lower,
    Pattern,
    Required,
    Secret,
    Section,
    SignedDuration,
    Text,
    Whole,
    later,
    now,
)


class NoAuth(Section):
    """``auth.none``: everybody may do everything."""


class SillyAuth(Section):
    """``auth.silly``: any Authorization header will do; for trying out clients."""

    realm: Required = now(..., "Where clients are told to get a token.")
    service: Required = now(..., "The service's name there.")


SigningAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class TokenAuth(Section):
    """``auth.token``: a token that an issuer, such as GitLab, has signed."""

    realm: Required = now(..., "URL of the token endpoint.")
    service: Required = now(..., "This service's name there; tokens have it as `aud`.")
    issuer: Required = now(..., "Who signs the tokens; they have it as `iss`.")
    rootcertbundle: Text = now("", "PEM file of trusted certificates, read again when it changes.")
    jwks: Text = now("", "Distribution: JSON file of trusted keys, read again when it changes.")
    signingalgorithms: list[SigningAlgorithm] = now([], "Distribution: accepted algorithms; empty: all.")
    autoredirect: Flag = now(False, "Whether the realm is on the host that the client has asked, by HTTPS.")
    autoredirectpath: Text = now("", "Distribution: its path there; empty: `/auth/token`.")
    server: Text = now("", "Moorage: file of a token server that this registry is itself, at `/auth/token`.")


class HtpasswdAuth(Section):
    """``auth.htpasswd``: users with passwords, in a file."""

    realm: Required = now(..., "Name of the realm.")
    path: Required = now(..., "The file, as `htpasswd -B` writes it; read again when it changes.")


Auth = NoAuth | SillyAuth | TokenAuth | HtpasswdAuth

AUTHS: dict[str, type[Section]] = {"none": NoAuth, "silly": SillyAuth, "token": TokenAuth, "htpasswd": HtpasswdAuth}


class URLs(Section):
    """``validation.manifests.urls``"""

    allow: list[Pattern] = now([], "Layers elsewhere need a URL that matches one of these (RE2).")
    deny: list[Pattern] = now([], "… and none of these.")


class PlatformSection(Section):
    """``validation.manifests.indexes.platformlist[]``"""

    architecture: Text = now("", "Such as amd64.")
    os: Text = now("", "Such as linux.")


class Indexes(Section):
    """``validation.manifests.indexes``"""

    platforms: Annotated[Literal["all", "none", "list"], Lower] = now(
        "all", "Whose images must be there when an index is pushed."
    )
    platformlist: list[PlatformSection] = now([], "For `list`: these.")


class ManifestValidation(Section):
    """``validation.manifests``"""

    referencelimit: Count = now(0, "References that a manifest may have; 0: any number.")
    payloadsizelimit: Count = now(0, "Bytes that a manifest may have; never more than 4 MiB, which 0 means.")
    urls: URLs = now(URLs, "Where layers that are not pushed may be.")
    indexes: Indexes = now(Indexes, "What an index needs.")
    sparse: Flag = now(False, "Whether manifests may refer to blobs and manifests that are absent.")


class Validation(Section):
    """``validation``"""

    enabled: Flag = now(False, "Old; it is on unless `disabled`.")
    disabled: Flag = now(False, "Whether URLs and limits are not checked.")
    manifests: ManifestValidation = now(ManifestValidation, "Of pushed manifests.")


class StorageHealth(Section):
    """``health.storagedriver``"""

    enabled: Flag = later(False, "Whether storage is checked.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class DatabaseHealth(Section):
    """``health.database``"""

    enabled: Flag = later(False, "Whether the database is checked.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    timeout: Duration = later(timedelta(seconds=5), "Deadline.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class FileHealth(Section):
    """``health.file[]``"""

    file: Text = later("", "Unhealthy while it exists.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class HTTPHealth(Section):
    """``health.http[]``"""

    uri: Text = later("", "Asked with HEAD.")
    headers: dict[str, list[Text]] = later({}, "Sent with it.", repr=False)
    statuscode: Whole = later(200, "The status of health.")
    timeout: Duration = later(timedelta(0), "Deadline.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class TCPHealth(Section):
    """``health.tcp[]``"""

    addr: Text = later("", "Connected to.")
    timeout: Duration = later(timedelta(0), "Deadline.")
    interval: Duration = later(timedelta(seconds=10), "How often.")
    threshold: Count = later(0, "Failures in a row before it counts.")


class Health(Section):
    """``health``"""

    storagedriver: StorageHealth = later(StorageHealth, "Storage.")
    database: DatabaseHealth = later(DatabaseHealth, "Database.")
    file: list[FileHealth] = later([], "Files that say no.", go_name="FileCheckers")
    http: list[HTTPHealth] = later([], "URLs that must answer.", go_name="HTTPCheckers")
    tcp: list[TCPHealth] = later([], "Addresses that must accept.", go_name="TCPCheckers")


class Events(Section):
    """``notifications.events``"""

    includereferences: Flag = later(False, "Whether manifest events list what the manifest refers to.")


class Ignore(Section):
    """``notifications.endpoints[].ignore``"""

    mediatypes: list[Text] = later([], "Of targets.")
    actions: list[Text] = later([], "Such as pull.")


class NotificationEndpoint(Section):
    """``notifications.endpoints[]``"""

    name: Text = later("", "For the log.")
    disabled: Flag = later(False, "Whether nothing is sent.")
    url: Secret = later("", "Where to.")
    headers: dict[str, list[Text]] = later({}, "Sent along.", repr=False)
    timeout: Duration = later(timedelta(seconds=1), "Deadline of one try.")
    threshold: Count = later(0, "Old; see maxretries.")
    maxretries: Count = later(10, "Tries after the first.")
    backoff: Duration = later(timedelta(seconds=1), "Pause between tries.")
    ignoredmediatypes: list[Text] = later([], "Old; see ignore.")
    ignore: Ignore = later(Ignore, "What is not sent.")
    queuepurgetimeout: Duration = later(timedelta(seconds=5), "How long to go on at the end.")
    queuesizelimit: Count = later(3000, "Events waiting at most.")


class Notifications(Section):
    """``notifications``"""

    fanouttimeout: Duration = later(timedelta(seconds=15), "How long to wait for all endpoints at the end.")
    events: Events = later(Events, "What events say.", go_name="EventConfig")
    endpoints: list[NotificationEndpoint] = later([], "Who is told.")


class LimiterMatch(Section):
    """``rate_limiter.limiters[].match``"""

    type: Text = later("", "IP.")


class LimiterLimit(Section):
    """``rate_limiter.limiters[].limit``"""

    rate: Count = later(0, "Requests in a period.")
    period: Text = later("", "second, minute or hour.")
    burst: Count = later(0, "Requests at once.")


class LimiterAction(Section):
    """``rate_limiter.limiters[].action``"""

    warn_threshold: Annotated[float, Field(ge=0, le=1, strict=True)] = later(
        0.0, "Share of the limit from which to warn."
    )
    warn_action: Text = later("", "none or log.")
    hard_action: Text = later("", "none, log or block.")


class Limiter(Section):
    """``rate_limiter.limiters[]``"""

    name: Text = later("", "For the log.")
    description: Text = later("", "For people.")
    log_only: Flag = later(False, "Whether nobody is blocked.")
    match: LimiterMatch = later(LimiterMatch, "Whom.")
    precedence: Whole = later(0, "Order.")
    limit: LimiterLimit = later(LimiterLimit, "How much.")
    action: LimiterAction = later(LimiterAction, "What then.")


class RateLimiter(Section):
    """``rate_limiter``"""

    enabled: Flag = later(False, "Whether there are limits.")
    limiters: list[Limiter] = later([], "Which.")


class Middleware(Section):
    """``middleware.storage[]`` and its like."""

    name: Text = later("", "Which.")
    disabled: Flag = later(False, "Whether it is left out.")
    options: dict[str, object] = later({}, "Its parameters.", repr=False)


class RepositoryPolicy(Section):
    """``policy.repository``"""

    classes: list[Text] = later([], "Classes of content that are taken.")


class Policy(Section):
    """``policy``"""

    repository: RepositoryPolicy = later(RepositoryPolicy, "Of repositories.")


class ProxyExec(Section):
    """``proxy.exec``"""

    command: Text = later("", "The command.")
    lifetime: SignedDuration = later(timedelta(0), "How long what it said is good.")


class Proxy(Section):
    """``proxy``: Distribution's pull-through cache."""

    remoteurl: Secret = later("", "The registry behind.")
    username: Text = later("", "User there.")
    password: Secret = later("", "Password there.")
    ttl: SignedDuration = later(timedelta(hours=168), "How long content stays.")
    cachewritetimeout: Duration = later(timedelta(0), "Deadline of keeping a copy.")
    exec: ProxyExec = later(ProxyExec, "A command that knows the credentials.")


class Catalog(Section):
    """``catalog``"""

    maxentries: Whole = now(1000, "Most repositories of one page; who asks for more is refused. 0 or less: 1000.")


class Tags(Section):
    """``tags``"""

    maxtags: Count = later(1000, "Distribution: tags of a page.")


class Schema1(Section):
    """``compatibility.schema1``"""

    enabled: Flag = later(False, "Docker manifests of schema 1 are always refused.")
    signingkeyfile: Text = later("", "Distribution's key for them.", go_name="TrustKey")


class Compatibility(Section):
    """``compatibility``"""

    schema1: Schema1 = later(Schema1, "Old manifests.")
