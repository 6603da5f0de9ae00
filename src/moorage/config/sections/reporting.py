"""``reporting``: error reports."""

from moorage.config.section import (
    Flag,
    Secret,
    Section,
    Text,
    later,
    now,
)


class Sentry(Section):
    """``reporting.sentry``"""

    enabled: Flag = now(False, "Report errors to Sentry; needs the extra `moorage[sentry]`.")
    dsn: Secret = now("", "Where to.")
    environment: Text = now("", "The name of this installation there.")


class Bugsnag(Section):
    """``reporting.bugsnag``"""

    apikey: Secret = later("", "Distribution v2: the key.")
    releasestage: Text = later("", "Distribution v2: the name of this installation there.")
    endpoint: Text = later("", "Distribution v2: another server.")


class NewRelic(Section):
    """``reporting.newrelic``"""

    licensekey: Secret = later("", "Distribution v2: the key.")
    name: Text = later("", "Distribution v2: the name of this installation there.")
    verbose: Flag = later(False, "Distribution v2: whether to log more.")


class Reporting(Section):
    """``reporting``"""

    sentry: Sentry = now(Sentry, "Errors to Sentry.")
    bugsnag: Bugsnag = later(Bugsnag, "Errors to Bugsnag.")
    newrelic: NewRelic = later(NewRelic, "Figures to New Relic.")
