"""Servers that speak S3, one of each for this process, and new places in their buckets."""

import itertools
from functools import lru_cache

from moorage.config import S3Section
from moorage.storage.s3.bucket import S3Bucket
from moorage.storage.s3.s3_driver import S3Driver
from support.s3_client import S3Server
from support.seaweed import SeaweedFS
from support.services import shared
from support.versitygw import VersityGW

_numbers = itertools.count(1)


@lru_cache(maxsize=1)
def seaweed() -> SeaweedFS:
    """Start SeaweedFS, when it is first asked for; it ends with this process."""
    return shared(SeaweedFS())


@lru_cache(maxsize=1)
def versitygw() -> VersityGW:
    """Start versitygw, when it is first asked for; it ends with this process."""
    return shared(VersityGW())


def new_root() -> str:
    """Return a prefix in a bucket that no other test of this process has."""
    return f"test-{next(_numbers)}"


def parameters_of(server: S3Server, root: str) -> dict[str, object]:
    """Return the parameters of ``storage.s3`` for a place in the bucket of *server*."""
    return {
        "region": "us-east-1",
        "bucket": server.bucket,
        "regionendpoint": server.url,
        "accesskey": server.access_key,
        "secretkey": server.secret_key,
        "rootdirectory": root,
    }


def section_of(server: S3Server, **more: object) -> S3Section:
    """Return the configuration for the bucket of *server*, below a prefix of its own, with *more* in it."""
    return S3Section.model_validate({**parameters_of(server, new_root()), "maxrequestspersecond": 0, **more})


def new_driver(server: S3Server, **more: object) -> S3Driver:
    """Return a driver with an empty place in the bucket of *server*."""
    return S3Driver(S3Bucket(section_of(server, **more)))
