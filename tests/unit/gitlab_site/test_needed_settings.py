"""Settings that make another site if a ``gitlab.rb`` lacks them: they are understood, or nothing is written."""

from pathlib import Path

import pytest

from moorage.errors import ConfigurationError
from moorage.starting.gitlab_site_start import SiteRequest, write_gitlab_site

REGISTRY = """external_url 'https://gitlab.example.com'
registry_external_url 'https://gitlab.example.com:5050'
"""


def refuse(tmp_path: Path, text: str, why: str) -> None:
    """See that nothing is written, also where warnings would do."""
    file, folder = tmp_path / "gitlab.rb", tmp_path / "site"
    file.write_text(REGISTRY + text)
    with pytest.raises(ConfigurationError, match=f"is needed, as it says {why}; write it without Ruby"):
        write_gitlab_site(SiteRequest(file=file, folder=folder, is_strict=False))
    assert not folder.exists()


@pytest.mark.parametrize(
    "text",
    [
        "registry['storage'] = { 's3' => { 'bucket' => ENV['BUCKET'] } }\n",
        "registry['storage']['s3'] = storage_of(node)\n",
        'registry["database"] = { "enabled" => true, "host" => `hostname` }\n',
        "if node == 'a'\n  gitlab_rails['registry_path'] = '/mnt/registry'\nend\n",
    ],
)
def test_a_place_of_images_that_is_not_understood_makes_no_empty_site(text: str, tmp_path: Path) -> None:
    refuse(tmp_path, text, "where the images are")


@pytest.mark.parametrize(
    "line",
    [
        "registry['internal_key'] = File.read('/etc/gitlab/registry.key')\n",
        'registry["internal_certificate"] = IO.read("registry.crt")\n',
        "registry['rootcertbundle'] = ENV['BUNDLE']\n",
        "gitlab_rails['registry_key_path'] = path_of('key')\n",
    ],
)
def test_a_key_that_is_not_understood_makes_no_other_pair(line: str, tmp_path: Path) -> None:
    refuse(tmp_path, line, "by which key tokens are signed")
