"""The configuration: the file that Distribution and GitLab read, ``REGISTRY_*`` variables, typed frozen models."""

from moorage.config.durations import format_duration as format_duration
from moorage.config.load import Loaded as Loaded
from moorage.config.load import defaults as defaults
from moorage.config.load import load as load
from moorage.config.load import load_defaults as load_defaults
from moorage.config.root import Config as Config
from moorage.config.schema import KeyDescription as KeyDescription
from moorage.config.schema import describe as describe
from moorage.config.sections.auth import HtpasswdAuth as HtpasswdAuth
from moorage.config.sections.auth import NoAuth as NoAuth
from moorage.config.sections.auth import SillyAuth as SillyAuth
from moorage.config.sections.auth import TokenAuth as TokenAuth
from moorage.config.sections.storage import FilesystemSection as FilesystemSection
from moorage.config.sections.storage import InmemoryDriver as InmemoryDriver
from moorage.config.sections.storage_azure import AzureSection as AzureSection
from moorage.config.sections.storage_gcs import GCSSection as GCSSection
from moorage.config.sections.storage_s3 import S3Section as S3Section
