"""``log``: what is logged, how and where."""

from typing import Annotated, Literal

from moorage.config.section import Flag, Lower, Secret, Section, Text, now, unused


class AccessLogSection(Section):
    """``log.accesslog``"""

    disabled: Flag = now(False, "Write no line for each request.")
    formatter: Annotated[Literal["json", "text"], Lower] = now("json", "How these lines look.")


class SMTP(Section):
    """``log.hooks[].options.smtp``"""

    addr: Text = unused("", "The mail server.")
    username: Text = unused("", "User there.")
    password: Secret = unused("", "Password there.")
    insecure: Flag = unused(False, "Trust any certificate.")


class MailOptions(Section):
    """``log.hooks[].options``"""

    smtp: SMTP = unused(SMTP, "The mail server.")
    # "from" is no name in Python; the file and the schema have the alias.
    sender: Text = unused("", "The sender.", alias="from")
    to: list[Text] = unused([], "Who gets mail.")


class LogHook(Section):
    """``log.hooks[]``"""

    why_unused = (
        "No mail is sent, and asking for it stops the start: let an alert on metrics, or what collects logs, do it."
    )

    disabled: Flag = unused(False, "True: it is left out.")
    type: Text = unused("", "mail.")
    levels: list[Text] = unused([], "Of lines that are mailed.")
    options: MailOptions = unused(MailOptions, "To whom and how.", go_name="MailOptions")


class LogSection(Section):
    """``log``"""

    accesslog: AccessLogSection = now(AccessLogSection, "A line for each request.")
    level: Annotated[Literal["error", "warn", "info", "debug", "trace"], Lower] = now(
        "info", "The least important lines to write."
    )
    formatter: Annotated[Literal["json", "text", "logstash"], Lower] = now(
        "json",
        "How lines look; `logstash` is JSON with the names that Logstash has, `accesslog` too unless it is text.",
    )
    output: Annotated[Literal["stdout", "stderr", "discard"], Lower] = now("stdout", "Where lines go.")
    fields: dict[str, object] = now({}, "Added to every line.")
    reportcaller: Flag = now(False, "Distribution: lines say which code wrote them (`func`, `file`).")
    hooks: list[LogHook] = unused([], "Distribution's mail hooks.")
