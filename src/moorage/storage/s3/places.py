"""The place of a bucket: its URL and the region that signatures name, by AWS's own rules for endpoints."""

from dataclasses import dataclass

from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from moorage.config.sections.storage_s3 import S3Section
from moorage.errors import ConfigurationError, Mistake

USUAL_REGION = "us-east-1"
"""The region for services that have none."""


@dataclass(frozen=True, slots=True)
class BucketPlace:
    """The URL of a bucket, without a slash at its end, and how requests to it are signed."""

    url: str
    region: str
    service: str = "s3"


def place_of(section: S3Section, *, key: str, endpoint: str = "") -> BucketPlace:
    """Find the bucket of *section*; *endpoint* instead of the section's, *key* is its path in the configuration.

    Raises:
        ConfigurationError: there is no such place.
    """
    region = section.region or USUAL_REGION
    given = endpoint or section.regionendpoint
    parameters: dict[str, object] = {
        "Bucket": section.bucket,
        "Region": region,
        "UseFIPS": section.usefipsendpoint,
        "UseDualStack": section.usedualstack,
        "Accelerate": section.accelerate,
        "ForcePathStyle": section.in_path,
        "UseGlobalEndpoint": False,
        "DisableMultiRegionAccessPoints": True,
    }
    if given:
        scheme = "https" if section.secure else "http"
        parameters["Endpoint"] = given if "://" in given else f"{scheme}://{given}"
    try:
        loader = create_loader()
        provider = EndpointProvider(
            loader.load_service_model("s3", "endpoint-rule-set-1"), loader.load_data("partitions")
        )
        found = provider.resolve_endpoint(**parameters)
    except BotoCoreError as exc:
        raise ConfigurationError([Mistake(key, str(exc))]) from None
    scheme = found.properties["authSchemes"][0]
    if scheme["name"] != "sigv4":
        message = f"the bucket {section.bucket} needs signatures that cannot be made here ({scheme['name']})"
        raise ConfigurationError([Mistake(f"{key}.bucket", message)])
    url = found.url.rstrip("/")
    if not given and not section.secure:
        url = url.replace("https://", "http://", 1)
    return BucketPlace(url, scheme["signingRegion"], scheme["signingName"])
