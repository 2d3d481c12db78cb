"""What people read: every link in it leads to something that is committed."""

import re
from pathlib import Path

import pytest

from contract.test_boundaries import committed_files
from contracts import ROOT

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
PAGES = [path for path in committed_files() if path.suffix == ".md"]


def anchors(page: Path) -> set[str]:
    """The headings of a page as a forge names them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    committed = {path.resolve() for path in committed_files()}
    folders = {parent for path in committed for parent in path.parents}
    dead = []

    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        address, _, anchor = link.partition("#")
        if "://" in address or address.startswith("mailto:"):
            continue
        target = (page.parent / address).resolve() if address else page
        there = target in committed or target in folders
        if not there or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            dead.append(link)

    assert dead == []


def test_there_are_pages_and_links_to_look_at() -> None:
    assert len(PAGES) > 15
    assert sum(len(LINK.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 30
