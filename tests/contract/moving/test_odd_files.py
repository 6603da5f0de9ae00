"""What lies among link files and is no file does not stop an import: it is left out, and named."""

from pathlib import Path

import pytest

from contract.metadata.pushing import NAME, push_image
from contract.moving.movers import Mover, everything, kinds
from moorage.metadata.sql.imports import SqlImports
from moorage.moving.import_note import ImportNote
from moorage.moving.outcome import Teller
from moorage.moving.repository_import import RepositoryImport
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.storage import paths
from moorage.work.reports import WorkReports
from support.images import image
from support.odd_files import ODD_FILES, put_odd_file


@pytest.mark.parametrize("kind", ODD_FILES)
@pytest.mark.parametrize("mover", ["layout-filesystem and sqlite"], indirect=True)
async def test_what_lies_in_the_place_of_a_link_and_is_no_file_is_left_out_and_named(
    kind: str, mover: Mover, tmp_path: Path
) -> None:
    fine, odd = await push_image(mover.links, image("fine"), "fine", "odd"), await push_image(mover.links, image("odd"))
    links = [paths.tag_link(NAME, Tag("odd")), paths.revision_link(NAME, odd)]
    for path in links:
        put_odd_file(kind, tmp_path / "links" / path[1:])
    outcome = await mover.run()
    assert (outcome.manifests, outcome.tags) == (1, 1)
    assert await mover.sql.manifests.has(NAME, fine)
    assert {path for _, path in kinds(outcome)} == {path.removeprefix(f"{paths.REPOSITORIES}/") for path in links}


async def again(mover: Mover) -> Teller:
    """A second import of a repository of which an earlier one was ended."""
    teller = Teller(WorkReports())
    await RepositoryImport(mover.links.storage, SqlImports(mover.sql.database), NAME, teller).run(
        with_tags=True, goes_on=True
    )
    return teller


@pytest.mark.parametrize("kind", ["loop", "pipe"])
@pytest.mark.parametrize("mover", ["layout-filesystem and sqlite"], indirect=True)
async def test_what_an_import_has_taken_over_stays_if_a_link_becomes_no_file_before_the_next(
    kind: str, mover: Mover, tmp_path: Path
) -> None:
    await push_image(mover.links, image("fine"), "fine")
    odd = image("odd")
    digest = await push_image(mover.links, odd, "odd")
    await again(mover)
    before = await everything(mover.sql)
    links = [
        paths.tag_link(NAME, Tag("odd")),
        paths.revision_link(NAME, digest),
        *(paths.layer_link(NAME, Digest.parse(blob.digest)) for blob in odd.blobs),
    ]
    for path in links:
        put_odd_file(kind, tmp_path / "links" / path[1:])
    teller = await again(mover)
    assert teller.outcome.removed == 0
    assert await everything(mover.sql) == before
    assert {found.path for found in teller.outcome.left_out.first} == set(links)


@pytest.mark.parametrize("place", ["_manifests/tags", "_manifests/revisions/sha256", "_layers", ""])
@pytest.mark.parametrize("mover", ["layout-filesystem and sqlite"], indirect=True)
async def test_what_an_import_has_taken_over_stays_if_a_whole_folder_has_gone_elsewhere(
    place: str, mover: Mover, tmp_path: Path
) -> None:
    await push_image(mover.links, image("fine"), "fine")
    await again(mover)
    await ImportNote(database="a database", takes_tags=True).write(mover.links.storage)  # As an import that was ended.
    before = await everything(mover.sql)
    folder = tmp_path / "links" / paths.repository(NAME)[1:] / place
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "not-mounted")
    outcome = await mover.run()
    assert outcome.removed == 0
    assert await everything(mover.sql) == before
    assert str(folder.relative_to(tmp_path / "links")) in {found.path[1:] for found in outcome.left_out.first}
