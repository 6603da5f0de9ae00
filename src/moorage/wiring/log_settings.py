"""Settings of the log, from the section ``log``."""

from moorage.config import Config
from moorage.telemetry import LogSettings
from moorage.wiring.reporting import error_reports


def log_settings(config: Config) -> LogSettings:
    """Return the settings of logging.

    Raises:
        ConfigurationError: errors cannot be reported where they should be.
    """
    log = config.log
    return LogSettings(
        level=log.level,
        formatter=log.formatter,
        output=log.output,
        fields=log.fields,
        reports_caller=log.reportcaller,
        reports=error_reports(config),
        access_disabled=log.accesslog.disabled,
        access_formatter=log.accesslog.formatter,
    )
