"""``reporting``: error reports."""

from moorage.config.section import Flag, Secret, Section, Text, now, unused


class Sentry(Section):
    """``reporting.sentry``"""

    enabled: Flag = now(False, "Report errors to Sentry; needs the extra `moorage[sentry]`.")
    dsn: Secret = now("", "Where to.")
    environment: Text = now("", "The name of this installation there.")


class Bugsnag(Section):
    """``reporting.bugsnag``"""

    why_unused = "Distribution 3 has dropped it, too; `reporting.sentry` reports errors."

    apikey: Secret = unused("", "Distribution v2: the key.")
    releasestage: Text = unused("", "Distribution v2: the name of this installation there.")
    endpoint: Text = unused("", "Distribution v2: another server.")


class NewRelic(Section):
    """``reporting.newrelic``"""

    why_unused = "Distribution 3 has dropped it, too; metrics and traces have the figures."

    licensekey: Secret = unused("", "Distribution v2: the key.")
    name: Text = unused("", "Distribution v2: the name of this installation there.")
    verbose: Flag = unused(False, "Distribution v2: whether to log more.")


class Reporting(Section):
    """``reporting``"""

    sentry: Sentry = now(Sentry, "Errors to Sentry.")
    bugsnag: Bugsnag = unused(Bugsnag, "Errors to Bugsnag.")
    newrelic: NewRelic = unused(NewRelic, "Figures to New Relic.")
