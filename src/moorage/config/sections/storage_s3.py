"""``storage.s3``, ``storage.s3aws`` and ``storage.s3_v2``: one driver, with the parameters of all three."""

import re
import urllib.parse
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from moorage.config.section import DriverCount, DriverFlag, DriverWhole, Required, Secret, Section, Text, now, unused

_MIB = 1 << 20
_CLASSES = (
    "NONE",
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "OUTPOSTS",
    "GLACIER_IR",
    "EXPRESS_ONEZONE",
)
_ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
)
_CHECKSUMS = ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")
_LOG_WORDS = frozenset(
    """
    logoff logdebug logdebugwithsigning logdebugwithhttpbody logdebugwithrequestretries logdebugwithrequesterrors
    logdebugwitheventstreambody logsigning logretries logrequest logrequestwithbody logresponse logresponsewithbody
    logdeprecatedusage logrequesteventmessage logresponseeventmessage
    """.split()  # noqa: SIM905 - a list of words reads better than twenty strings
)
_HEADER = re.compile(r"[\x20-\x7e]*")


def _one_of(words: tuple[str, ...], value: str) -> str:
    if value not in words:
        msg = f"one of {', '.join(words)} is needed"
        raise ValueError(msg)
    return value


def _storage_class(value: str) -> str:
    return _one_of(_CLASSES, value.upper())


def _acl(value: str) -> str:
    return _one_of(_ACLS, value)


def _checksum(value: str) -> str:
    return _one_of(_CHECKSUMS, value.upper())


def _log_words(value: str) -> str:
    words = value.lower().split(",")
    unknown = [word for word in words if word not in _LOG_WORDS]
    if value and unknown:
        msg = f"{unknown[0]} is no log level of S3; logoff and logrequest are two"
        raise ValueError(msg)
    return ",".join(words)


def _bucket(value: str) -> str:
    if "/" in value:
        msg = "the name alone is needed, without a path; a prefix is given by rootdirectory"
        raise ValueError(msg)
    if value.endswith("--x-s3"):
        msg = "a directory bucket cannot be used: it does not list in the order of names; use a general purpose bucket"
        raise ValueError(msg)
    return value


def _endpoint(value: str) -> str:
    parts = urllib.parse.urlsplit(value if "://" in value or not value else f"//{value}")
    if value and (parts.scheme not in ("", "http", "https") or not parts.hostname or parts.query or parts.fragment):
        msg = "a URL is needed, such as https://s3.example.com"
        raise ValueError(msg)
    if "@" in parts.netloc:
        msg = "credentials do not go into the URL; give accesskey and secretkey"
        raise ValueError(msg)
    return value.rstrip("/")


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        msg = "printable ASCII is needed"
        raise ValueError(msg)
    return value


class S3Section(Section):
    """``storage.s3``, ``storage.s3aws`` and ``storage.s3_v2``."""

    region: Text = now("", "The bucket's region; needed unless there is a `regionendpoint`.")
    bucket: Annotated[Required, AfterValidator(_bucket)] = now(..., "An existing bucket, without a path.")
    accesskey: Secret = now("", "Empty: the environment's credentials, those of the machine's or pod's role included.")
    secretkey: Secret = now("", "As `accesskey`.")
    sessiontoken: Secret = now("", "A temporary credential's token.")
    regionendpoint: Annotated[Text, AfterValidator(_endpoint)] = now(
        "", "Another service's URL, such as MinIO's, or a VPC endpoint's."
    )
    forcepathstyle: DriverFlag | None = now(None, "Distribution's name of `pathstyle`.")
    pathstyle: DriverFlag | None = now(
        None, "True: the bucket is in the path, false: in the host's name; true with `regionendpoint`, else false."
    )
    accelerate: DriverFlag = now(False, "Distribution: transfer acceleration.")
    usefipsendpoint: DriverFlag = now(False, "Distribution: endpoints with approved cryptography.")
    redirectendpoint: Annotated[Text, AfterValidator(_endpoint)] = now(
        "", "Distribution: the URL of the service as clients reach it, for signed URLs."
    )
    usedualstack: DriverFlag = now(False, "Distribution: IPv6 endpoints.")
    encrypt: DriverFlag = now(False, "True: the service encrypts objects, by its own key or that of `keyid`.")
    keyid: Text = now("", "The KMS key; needs `encrypt`.")
    secure: DriverFlag = now(True, "Speak HTTPS, where `regionendpoint` does not say which.")
    skipverify: DriverFlag = now(False, "Trust any certificate. A CA of your own is named by `AWS_CA_BUNDLE`.")
    v4auth: DriverFlag = now(True, "Signature version 4; false stops the start: there is no other.")
    chunksize: Annotated[DriverWhole, Field(ge=5 * _MIB, le=2560 * _MIB)] = now(
        10 * _MIB, "Bytes of a part, kept in memory while it is sent: more than 64 MiB count as 64 MiB."
    )
    multipartcopychunksize: Annotated[DriverWhole, Field(ge=5 * _MIB, le=5120 * _MIB)] = now(
        32 * _MIB, "Bytes of a part when copying."
    )
    multipartcopymaxconcurrency: Annotated[DriverWhole, Field(ge=1)] = now(100, "Parts copied at once.")
    multipartcopythresholdsize: Annotated[DriverCount, Field(le=5120 * _MIB)] = now(
        32 * _MIB, "Objects up to so many bytes are copied in one go."
    )
    rootdirectory: Text = now("", "Prefix of all objects.")
    storageclass: Annotated[Text, AfterValidator(_storage_class)] = now(
        "STANDARD", "Storage class of new objects; NONE: the bucket's. Pieces of uploads are always STANDARD."
    )
    objectacl: Annotated[Text, AfterValidator(_acl)] = now("private", "Access list of new objects.")
    objectownership: DriverFlag = now(False, "True: the bucket's owner owns objects; no access list is sent.")
    maxrequestspersecond: DriverCount = now(350, "Limit of requests, for all workers of a node together; 0: none.")
    maxretries: DriverCount = now(5, "Tries after the first.")
    parallelwalk: DriverFlag = unused(False, "Lists at once: what can be listed at once always is.")
    loglevel: Annotated[Text, AfterValidator(_log_words)] = now(
        "logoff", "Any other word: each request to the service is logged, without bodies and signatures."
    )
    useragent: Annotated[Text, AfterValidator(_header)] = now("", "Sent to the service; empty: `moorage/<version>`.")
    checksum_disabled: DriverFlag = now(False, "s3_v2: whether to send no checksums.")
    checksum_algorithm: Annotated[Text, AfterValidator(_checksum)] = now(
        "CRC64NVME", "s3_v2: which checksum goes with objects; with `regionendpoint` none unless it is given."
    )

    @model_validator(mode="after")
    def _has_region(self) -> Self:
        if not self.region and not self.regionendpoint:
            msg = "region is needed unless regionendpoint is given"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> Self:
        given = self.model_fields_set
        contradictions = (
            (bool(self.accesskey) != bool(self.secretkey), "accesskey and secretkey are given together or not at all"),
            (bool(self.sessiontoken) and not self.accesskey, "sessiontoken needs accesskey and secretkey"),
            (bool(self.keyid) and not self.encrypt, "keyid needs encrypt: true"),
            (self.objectownership and "objectacl" in given, "objectacl is not given with objectownership: true"),
            (not self.v4auth, "v4auth: false is not possible: there is no signature version 2 any more"),
            (
                None not in (self.pathstyle, self.forcepathstyle) and self.pathstyle != self.forcepathstyle,
                "pathstyle and forcepathstyle are the same and contradict each other",
            ),
            (
                bool(self.regionendpoint) and (self.accelerate or self.usedualstack or self.usefipsendpoint),
                "accelerate, usedualstack and usefipsendpoint choose an endpoint of AWS: not with regionendpoint",
            ),
            (self.accelerate and self.usefipsendpoint, "accelerate and usefipsendpoint cannot be had together"),
            (self.accelerate and self.in_path, "accelerate needs pathstyle: false"),
        )
        for is_so, message in contradictions:
            if is_so:
                raise ValueError(message)
        return self

    @property
    def in_path(self) -> bool:
        """True if the bucket is in the path of URLs, and not in their host."""
        given = self.pathstyle if self.pathstyle is not None else self.forcepathstyle
        return bool(self.regionendpoint) if given is None else given

    @property
    def checksum(self) -> str:
        """The checksum that goes with objects; empty: none."""
        is_wanted = "checksum_algorithm" in self.model_fields_set or not self.regionendpoint
        return self.checksum_algorithm if is_wanted and not self.checksum_disabled else ""
