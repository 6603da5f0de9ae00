"""Memory is that of a page and a batch, whatever the size of the registry."""

from unit.integrity.peaks import of_a_database, of_link_files, peaks_of

FEW, MANY = 600, 6000
SLACK_BYTES = 300 << 10
"""The digests of the larger registry, in a set, would be some 1.5 MB."""


def test_ten_times_the_blobs_in_a_database_need_no_more_memory() -> None:
    small, large = peaks_of(of_a_database, FEW, MANY)
    assert large < small + SLACK_BYTES, (small, large)


def test_ten_times_the_links_need_no_more_memory() -> None:
    small, large = peaks_of(of_link_files, FEW, MANY)
    assert large < small + SLACK_BYTES, (small, large)
