"""``storage.gcs``: a bucket of Google Cloud Storage."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from moorage.config.section import DriverFlag, DriverWhole, Required, Section, Text, now, unused

_STEP = 256 * 1024


def _at_least_25(value: int) -> int:
    # Source: ``GetLimitFromParameter`` in both registries: too little is raised, not refused.
    return max(value, 25)


def _bucket(value: str) -> str:
    if "/" in value:
        msg = "a bucket has no slash in its name: what comes after it belongs into rootdirectory"
        raise ValueError(msg)
    return value


class GCSSection(Section):
    """``storage.gcs``: a bucket of Google Cloud Storage. Needs the extra `gcs`."""

    bucket: Annotated[Required, AfterValidator(_bucket)] = now(..., "An existing bucket, without a path.")
    keyfile: Text = now("", "JSON file of a service account's key; without it and `credentials`, those of the machine.")
    credentials: dict[str, object] = now({}, "The content of such a file, inline.", repr=False)
    rootdirectory: Text = now("", "Prefix of all objects.")
    chunksize: Annotated[DriverWhole, Field(multiple_of=_STEP), Field(ge=_STEP, le=2560 << 20)] = now(
        5242880, "Bytes of a part of a large upload, a multiple of 262144; more than 64 MiB counts as 64 MiB."
    )
    maxconcurrency: Annotated[DriverWhole, AfterValidator(_at_least_25)] = now(
        50, "Requests at once of a worker; less than 25 counts as 25."
    )
    parallelwalk: DriverFlag = unused(False, "Lists at once: what can be listed at once always is.")
    useragent: Text = now("", "Sent to the service; empty: `moorage/` and the version.")
    debug_log: DriverFlag = now(False, "True: every request to the service is logged.")

    @field_validator("credentials")
    @classmethod
    def _is_text(cls, value: dict[str, object]) -> dict[str, object]:
        if any(isinstance(item, bool) or not isinstance(item, str | int) for item in value.values()):
            msg = "each value is text, as in the key file"
            raise ValueError(msg)
        return {name: str(item) for name, item in value.items()}  # A client_id without quotes is a number in YAML.

    @model_validator(mode="after")
    def _is_one_account(self) -> Self:
        if self.keyfile and self.credentials:
            msg = "keyfile and credentials are two accounts; keep one of them"
            raise ValueError(msg)
        return self
