import os
import time
from pathlib import Path

import pytest

from kerasrun.errors import DataError
from kerasrun.reading.files import IMAGE_SUFFIXES, files_below, image_files, listed
from kerasrun.reading.images import FORMATS


@pytest.fixture
def photos(tmp_path):
    for name in (
        "b.png",
        "a.JPG",
        "notes.txt",
        ".hidden.png",
        "sub/c.gif",
        ".git/d.png",
        "__MACOSX/e.png",
        "Thumbs.db",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_stands_for_the_visible_images_below_it(photos):
    assert image_files([photos]) == [photos / "a.JPG", photos / "b.png", photos / "sub/c.gif"]


def test_a_glob_stands_for_the_visible_images_it_matches(photos):
    assert image_files([f"{photos}/*"]) == [photos / "a.JPG", photos / "b.png"]
    assert image_files([f"{photos}/**/*.gif"]) == [photos / "sub/c.gif"]


def test_a_file_is_taken_as_named(photos):
    assert image_files([photos / "b.png", str(photos / "notes.txt")]) == [photos / "b.png", photos / "notes.txt"]


def test_a_name_with_brackets_is_a_file_where_there_is_one(photos):
    (photos / "x[1].png").touch()
    assert image_files([photos / "x[1].png"]) == [photos / "x[1].png"]


def test_a_missing_path_is_an_error_with_the_nearest_name(photos):
    with pytest.raises(DataError, match=r"b\.pgn: does not exist; .*did you mean .*b\.png\?"):
        image_files([photos / "b.pgn"])


def test_a_glob_or_a_folder_without_images_is_an_error(photos):
    with pytest.raises(DataError, match=r"\*\.bmp: no image here"):
        image_files([f"{photos}/*.bmp"])
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no image here"):
        image_files([photos / "empty"])


def test_a_link_that_leads_back_up_is_not_followed(photos):
    (photos / "sub/again").symlink_to(photos)
    assert len(image_files([photos])) == 3


def test_a_glob_follows_no_links_that_lead_round(photos, monkeypatch):
    for name in ("sub/again", "sub/more"):
        (photos / name).symlink_to(photos / "sub")
    assert image_files([f"{photos}/**/*.gif"]) == [photos / "sub/c.gif"]
    assert image_files([f"{photos}/**/sub/**"]) == [photos / "sub/c.gif"]
    monkeypatch.chdir(photos)
    assert image_files(["**/*.gif"]) == [Path("sub/c.gif")]


def test_every_image_extension_has_a_format_to_check_it_by():
    assert set(FORMATS) == IMAGE_SUFFIXES


def test_long_lists_are_cut():
    assert listed(list("abcd"), 2) == "a, b, and 2 more"
    assert listed(list("ab"), 2) == "a, b"


def test_folders_in_folders_take_time_in_proportion(tmp_path, monkeypatch):
    """As deep as the system takes; the path of each is not looked at from its beginning again."""
    levels = 1200
    monkeypatch.chdir(tmp_path)
    for _ in range(levels):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.png").touch()
    begin = time.process_time()
    (file,) = files_below(tmp_path)
    seconds = time.process_time() - begin
    assert file == tmp_path.joinpath(*["d"] * levels, "a.png")
    Path("a.png").unlink()
    for _ in range(levels):  # or pytest would, by a recursion
        os.chdir("..")
        Path("d").rmdir()
    assert seconds < 5
