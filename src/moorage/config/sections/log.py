"""``log``: what is logged, how and where."""

from typing import Annotated, Literal

from moorage.config.section import (
    Flag,
    Lower,
    Secret,
    Section,
    Text,
    later,
    now,
)


class AccessLogSection(Section):
    """``log.accesslog``"""

    disabled: Flag = now(False, "Write no line for each request.")
    formatter: Annotated[Literal["json", "text"], Lower] = now("json", "How these lines look.")


class SMTP(Section):
    """``log.hooks[].options.smtp``"""

    addr: Text = later("", "The mail server.")
    username: Text = later("", "User there.")
    password: Secret = later("", "Password there.")
    insecure: Flag = later(False, "Trust any certificate.")


class MailOptions(Section):
    """``log.hooks[].options``"""

    smtp: SMTP = later(SMTP, "The mail server.")
    # "from" is no name in Python; the file and the schema have the alias.
    sender: Text = later("", "The sender.", alias="from")
    to: list[Text] = later([], "Who gets mail.")


class LogHook(Section):
    """``log.hooks[]``"""

    disabled: Flag = later(False, "True: it is left out.")
    type: Text = later("", "mail.")
    levels: list[Text] = later([], "Of lines that are mailed.")
    options: MailOptions = later(MailOptions, "To whom and how.", go_name="MailOptions")


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
    hooks: list[LogHook] = later([], "Distribution's mail hooks.")
