"""The token server's own configuration: one small file."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from moorage.config.documents import NotYAML, plain, read_document
from moorage.config.messages import mistakes_of
from moorage.config.section import Duration, Required, Section, Text, now
from moorage.errors import ConfigurationError, Mistake
from moorage.permissions import reason_of
from moorage.telemetry import LogSettings
from moorage.token_server.key_ring import LIFETIME_LIMIT

_LEAST = timedelta(minutes=1)
"""Source: Docker token authentication specification: never less than 60 seconds."""
_LIMIT_BYTES = 1 << 20


def _lifetime(value: timedelta) -> timedelta:
    if not _LEAST <= value <= LIFETIME_LIMIT:
        msg = "from 1m to 1h is possible"
        raise ValueError(msg)
    return value


class Certificate(Section):
    """``tls``: HTTPS of the token server."""

    model_config = ConfigDict(extra="forbid")

    certificate: Text = now("", "PEM file of the certificate and its chain. Read on change.")
    key: Text = now("", "PEM file of its key. Read on change.")


class TokenServerSettings(Section):
    """The whole file. Paths are relative to it."""

    model_config = ConfigDict(extra="forbid")

    addr: Required = now("127.0.0.1:5001", "Where to listen.")
    service: Required = now(..., "The registry's `auth.token.service`.")
    issuer: Required = now(..., "The registry's `auth.token.issuer`.")
    users: Required = now(..., "File of users and passwords, as `htpasswd -B` writes it. Read on change.")
    rules: Required = now(..., "File of rules. Read on change.")
    keys: Required = now(..., "Folder of the keys, made if it is not there.")
    lifetime: Annotated[Duration, AfterValidator(_lifetime)] = now(timedelta(minutes=10), "Of a token: 1m to 1h.")
    refreshlifetime: Annotated[Duration, Field(gt=timedelta(0))] = now(
        timedelta(days=90), "How long a client may go on without the password."
    )
    tls: Certificate = now(Certificate, "HTTPS; else a proxy in front has to speak it.")
    log: Literal["json", "text"] = now("json", "How log lines look.")
    accesslog: bool = now(True, "A line for each request, as the registry writes it.")

    @model_validator(mode="after")
    def _has_pair(self) -> Self:
        if bool(self.tls.certificate) != bool(self.tls.key):
            msg = "tls.certificate and tls.key are needed together"
            raise ValueError(msg)
        return self

    @property
    def log_settings(self) -> LogSettings:
        """The settings of both logs."""
        return LogSettings(formatter=self.log, fields={}, access_disabled=not self.accesslog, access_formatter=self.log)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            ConfigurationError: it cannot be used; with every mistake.
        """
        try:
            with path.open("rb") as stream:
                content = stream.read(_LIMIT_BYTES)
            value = plain(read_document(content.decode("utf-8-sig")))
            found = cls.model_validate({} if value is None else value)
        except OSError as exc:
            raise ConfigurationError([Mistake("", f"cannot read {path}: {reason_of(exc, path, 'read')}")]) from None
        except UnicodeDecodeError:
            raise ConfigurationError([Mistake("", f"{path} is not UTF-8 text")]) from None
        except NotYAML as exc:
            where = f"line {exc.line}" if exc.line else ""
            raise ConfigurationError([Mistake(where, f"not YAML: {exc}")]) from None
        except ValidationError as exc:
            raise ConfigurationError(list(mistakes_of(exc, "", known=_known()))) from None
        return found.model_copy(update=_absolute(found, path.absolute().parent))


def _known() -> Sequence[str]:
    return [*TokenServerSettings.model_fields, *Certificate.model_fields]


def _absolute(found: TokenServerSettings, folder: Path) -> dict[str, object]:
    tls = {name: str(folder / value) if value else "" for name, value in found.tls.model_dump().items()}
    paths = {name: str(folder / getattr(found, name)) for name in ("users", "rules", "keys")}
    return {**paths, "tls": found.tls.model_copy(update=tls)}
