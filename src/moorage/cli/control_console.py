"""``moorage console``: Python's prompt with the control plane's rows and changes at hand."""

from moorage.cli.control_rows import ConfigOption, open_database

_MODELS = ("AuditEntry", "ApplicationSettings", "Namespace", "User", "PersonalAccessToken", "Project", "Membership")


def console(*, config: ConfigOption = None) -> None:
    """Open Django's shell with the models imported."""
    open_database(config)
    from django.core.management import call_command  # noqa: PLC0415 - other commands need not wait

    print(f"at hand: {', '.join(_MODELS)}, and the other models")
    call_command("shell")
