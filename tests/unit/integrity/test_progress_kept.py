"""The state of a check, as it is kept in storage."""

import pytest

from moorage.integrity.findings import Finding, FindingKind
from moorage.integrity.progress import new_state, state_of, written


@pytest.mark.parametrize("name", ["t/app", "Team/app", "new\nline", "\udcff\udcfe", "ä/\u2028"])
def test_names_of_every_kind_are_kept_and_read_again(name: str) -> None:
    state = new_state(store="layout", verifies=True)
    state.position = name
    state.tally.add(Finding(kind=FindingKind.TAG_DANGLING, subject=name, detail=name))
    assert state_of(written(state)) == state


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 2}', b"\xff"])
def test_what_is_no_state_is_told_from_one(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        state_of(content)
