"""``proxy``: the pull-through cache."""

from datetime import timedelta

from moorage.config.section import Duration, Secret, Section, SignedDuration, Text, unused


class ProxyExec(Section):
    """``proxy.exec``"""

    command: Text = unused("", "The command.")
    lifetime: SignedDuration = unused(timedelta(0), "How long what it said is good.")


class Proxy(Section):
    """``proxy``: Distribution's pull-through cache."""

    why_unused = "There is no mirror; `remoteurl` stops the start, as without it strangers could push into its names."

    remoteurl: Secret = unused("", "The registry behind.")
    username: Text = unused("", "User there.")
    password: Secret = unused("", "Password there.")
    ttl: SignedDuration = unused(timedelta(hours=168), "How long content stays.")
    cachewritetimeout: Duration = unused(timedelta(0), "Deadline of keeping a copy.")
    exec: ProxyExec = unused(ProxyExec, "A command that knows the credentials.")
