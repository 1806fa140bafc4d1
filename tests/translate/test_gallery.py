"""The page of sliders."""

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import numpy as np
import pytest

from img2img import Picture
from img2img.translate.gallery import AT_ONCE, Card, thumbnail, write_gallery


class Page(HTMLParser):
    """The tags of a page, with their attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, attribute: str) -> list[str | None]:
        return [attributes.get(attribute) for name, attributes in self.tags if name == tag]


def card(folder: Path, name: str, size: tuple[int, int] = (30, 40)) -> Card:
    return Card(name, size, folder / name, folder / "gallery/b.jpg", folder / "gallery/a.jpg")


def test_pictures_of_a_very_long_page_are_loaded_where_it_is_looked_at(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    write_gallery(page, "many", [card(tmp_path, f"{n}.png") for n in range(AT_ONCE + 1)], {})
    assert set(Page(page).all("img", "loading")) == {"lazy"}


def test_each_picture_has_a_slider_and_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    page = tmp_path / "gallery" / "index.html"
    cards = [card(tmp_path, f"sub/{n}.tif") for n in range(3)]
    write_gallery(page, "mine", cards, {}, "nir, red, green")
    read = Page(page)
    assert read.all("input", "type") == ["range"] * 3
    assert read.all("img", "src") == ["b.jpg", "a.jpg"] * 3
    assert read.all("img", "loading") == [None] * 6  # whole in a print or a screenshot
    assert read.all("a", "href") == [f"../sub/{n}.tif" for n in range(3)]
    assert "3 translated" in read.text
    assert "shown: nir, red, green" in read.text
    assert "failed" not in read.text.lower()
    assert "://" not in page.read_text(encoding="utf-8")
    assert "link" not in {tag for tag, _ in read.tags}


@pytest.mark.parametrize(
    "name", ["<script>\"'&amp;.png", "a b#c?d%20.png", "$name ${x}.png", "ü\n.png", "\udcff.png"]
)
def test_names_do_no_harm(tmp_path: Path, name: str) -> None:
    page = tmp_path / "gallery" / "index.html"
    write_gallery(page, name, [card(tmp_path, name)], {Path("in") / name: f"{name}: damaged"})
    read = Page(page)
    shown = name.replace("\udcff", "\N{REPLACEMENT CHARACTER}")
    assert read.text.count(shown) == 5  # title, heading, caption, failed file, reason
    assert len(read.all("script", "src")) == 1  # the page's own
    [link] = read.all("a", "href")
    assert link is not None
    assert unquote_to_bytes(link) == b"../" + os.fsencode(name)


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((30, 40), (30, 40)), ((2048, 1024), (1024, 512)), ((3, 5000), (1, 1024)), ((1, 1), (1, 1))],
)
def test_thumbnails(tmp_path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    picture = Picture(
        np.full((*size, 3), 65535, np.uint16), alpha=np.zeros(size, np.uint16), exif=b"place"
    )
    small = thumbnail(picture)
    assert small.size == wanted
    assert small.pixels.dtype == np.uint8
    assert (small.alpha, small.exif) == (None, None)
    page = tmp_path / "index.html"
    write_gallery(page, "", [card(tmp_path, "a.png", size)], {})
    assert Page(page).all("img", "width") == [str(wanted[1])] * 2
    assert Page(page).all("img", "height") == [str(wanted[0])] * 2
