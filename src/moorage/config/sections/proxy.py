"""``proxy``: the pull-through cache."""

from datetime import timedelta

from moorage.config.section import (
    Duration,
    Secret,
    Section,
    SignedDuration,
    Text,
    later,
)


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
