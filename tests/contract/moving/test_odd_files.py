"""What lies among link files and is no file does not stop an import: it is left out, and named."""

from pathlib import Path

import pytest

from contract.metadata.pushing import NAME, push_image
from contract.moving.movers import Mover, kinds
from moorage.oci.names import Tag
from moorage.storage import paths
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
