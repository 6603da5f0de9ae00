"""``reporting``: error reports."""

from moorage.config.section import (
    Flag,
    Secret,
    Section,
    Text,
    later,
)


class Sentry(Section):
    """``reporting.sentry``"""

    enabled: Flag = later(False, "Report errors to Sentry.")
    dsn: Secret = later("", "Where to.")
    environment: Text = later("", "The name of this installation there.")


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

    sentry: Sentry = later(Sentry, "Errors to Sentry.")
    bugsnag: Bugsnag = later(Bugsnag, "Errors to Bugsnag.")
    newrelic: NewRelic = later(NewRelic, "Figures to New Relic.")
