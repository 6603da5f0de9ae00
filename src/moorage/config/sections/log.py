"""``log``: what is logged, how and where."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from moorage.config.section import (
    Flag,
    Lower,
    Secret,
    Section,
    Text,
    later,
    now,
)


def _formatter(value: object) -> object:
    # Distribution's logstash is JSON too, with two keys of its own.
    return "json" if isinstance(value, str) and value.lower() == "logstash" else value


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
    formatter: Annotated[Literal["json", "text"], Lower, BeforeValidator(_formatter)] = now(
        "json", "How lines look; Distribution's `logstash` counts as `json`."
    )
    output: Annotated[Literal["stdout", "stderr", "discard"], Lower] = now("stdout", "Where lines go.")
    fields: dict[str, object] = now({}, "Added to every line.")
    reportcaller: Flag = later(False, "Distribution: whether lines say which code wrote them.")
    hooks: list[LogHook] = later([], "Distribution's mail hooks.")
