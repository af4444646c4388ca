"""What does not fit into memory is kept decoded on disk: the bytes that decoding gives, or nothing."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from kerasrun.cli import app
from kerasrun.errors import DataError
from kerasrun.reading import disk_cache, image_files
from kerasrun.reading.data import ImageFormat
from kerasrun.reading.disk_cache import cache_folder, entries
from kerasrun.reading.image_files import ImageFiles
from kerasrun.reading.memory import kept_within

FORMAT = ImageFormat(16, 12, "rgb")
IMAGES = 12
EVERY = np.arange(IMAGES)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos")


def write_photos(folder, count=IMAGES):
    folder.mkdir()
    random = np.random.default_rng(1)
    for number in range(count):
        pixels = random.integers(0, 256, (20 + number, 30, 3)).astype(np.uint8)
        exif = Image.Exif()
        exif[0x112] = 6
        Image.fromarray(pixels).save(folder / f"{number:02}.jpg", **({"exif": exif} if number % 2 else {}))
    return folder


def opened(folder, disk="1GB", image_format=FORMAT, *, resize=True):
    with kept_within(0, disk=10**9 if disk == "1GB" else disk):
        return ImageFiles(sorted(folder.iterdir()), image_format, resize=resize)


def decoded(folder, image_format=FORMAT):
    """What the one decoder gives, without any cache."""
    return opened(folder, 0, image_format).take(EVERY[: len(list(folder.iterdir()))])


def filled(folder):
    files = opened(folder)
    files.read_all()
    return files.disk.path


@pytest.fixture
def decodings(monkeypatch):
    """The files that were decoded."""
    found, read_image = [], image_files.read_image

    def counted(content, color_mode, path=None, scaled_for=None):
        found.append(path.name)
        return read_image(content, color_mode, path, scaled_for)

    monkeypatch.setattr(image_files, "read_image", counted)
    return found


def test_the_bytes_are_those_of_decoding_and_a_file_is_decoded_once_by_all_runs(photos, decodings):
    expected = decoded(photos)
    plain = opened(photos, 0)
    plain.read_all()
    decodings.clear()
    for _ in range(2):
        files = opened(photos)
        np.testing.assert_array_equal(files.take(EVERY[::-1]), expected[::-1])
        files.read_all()
        np.testing.assert_array_equal(files.take(EVERY), expected)
        np.testing.assert_array_equal(files.sizes, plain.sizes)
        np.testing.assert_array_equal(files.digests, plain.digests)
        assert files.orientations == plain.orientations
    assert len(decodings) == IMAGES


def test_without_a_size_kept_images_of_another_size_are_refused_as_others_are(photos):
    filled(photos)
    with pytest.raises(DataError, match="the images differ in size"):
        opened(photos, resize=False).read_all()


def test_a_changed_picture_is_decoded_again_although_its_size_and_time_are_the_same(photos, decodings):
    filled(photos)
    old, new = photos / "03.jpg", photos / "05.jpg"
    before, content = old.stat(), new.read_bytes()
    old.write_bytes(content)
    os.utime(old, ns=(before.st_atime_ns, before.st_mtime_ns))
    decodings.clear()
    images = opened(photos).take(EVERY)
    np.testing.assert_array_equal(images[3], decoded(photos)[5])
    assert decodings.count("03.jpg") == 2  # here, and for what is expected


@pytest.mark.parametrize(
    "other",
    [
        ImageFormat(16, 12, "grayscale"),
        ImageFormat(12, 16, "rgb"),
        ImageFormat(16, 12, "rgb", "nearest"),
        ImageFormat(16, 12, "rgb", fit_mode="pad"),
        ImageFormat(16, 12, "rgb", decode="scaled"),
    ],
)
def test_another_way_of_decoding_has_another_file(photos, other):
    first = filled(photos)
    files = opened(photos, image_format=other)
    np.testing.assert_array_equal(files.take(EVERY), decoded(photos, other))
    assert files.disk.path != first


def overwritten(path, at, content):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


DAMAGES = {
    "a bit of the pixels": lambda path: overwritten(path, 4096 + 100, b"\x55\xaa"),
    "a sum": lambda path: overwritten(path, 4096 + disk_cache.slot_bytes(576) - 4, b"abcd"),
    "zeros from the middle on": lambda path: overwritten(path, path.stat().st_size // 2, bytes(4000)),
    "cut off within an image": lambda path: os.truncate(path, 4096 + 1000),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: os.truncate(path, 2 * path.stat().st_size),
    "removed": lambda path: path.unlink(),
    "no header": lambda path: overwritten(path, 0, b"\xff" * 4096),
}


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 3), (5, 7)])
def test_every_byte_of_a_slot_counts(photos, size):
    """Also where the pixels are no whole number of words."""
    image_format = ImageFormat(*size, "rgb")
    files = opened(photos, image_format=image_format)
    expected = files.take(EVERY)
    slot = disk_cache.slot_bytes(3 * size[0] * size[1])
    image = np.empty_like(expected[0])
    with files.disk.path.open("r+b") as file:
        for at in range(slot):
            file.seek(4096 + at)
            byte = file.read(1)[0]
            overwritten(files.disk.path, 4096 + at, bytes([byte ^ 128]))
            assert files.disk.read(0, files.digests[0].tobytes(), image) is None
            overwritten(files.disk.path, 4096 + at, bytes([byte]))
    assert files.disk.read(0, files.digests[0].tobytes(), image) is not None
    np.testing.assert_array_equal(image, expected[0])


@pytest.mark.parametrize("when", ["before it is opened", "while it is used"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_gives_no_wrong_bytes(photos, damage, when):
    expected, path = decoded(photos), filled(photos)
    if when == "while it is used":
        files = opened(photos)
        files.read_all()
        DAMAGES[damage](path)
    else:
        DAMAGES[damage](path)
        files = opened(photos)
    np.testing.assert_array_equal(files.take(EVERY), expected)
    np.testing.assert_array_equal(opened(photos).take(EVERY), expected)  # mended
    assert CliRunner().invoke(app, ["cache"]).exit_code == 0


def test_what_was_killed_while_it_wrote_is_gone_on_with(photos, decodings):
    expected = decoded(photos)
    code = (
        "import os, signal; from pathlib import Path; from kerasrun.reading import disk_cache\n"
        "from kerasrun.reading.data import ImageFormat; from kerasrun.reading.image_files import ImageFiles\n"
        "from kerasrun.reading.memory import kept_within\n"
        "write, left = disk_cache.os.pwritev, [7]\n"
        "def killed(descriptor, parts, at):\n"
        "    left[0] -= 1\n"
        "    if left[0] == 0:\n"
        "        os.pwrite(descriptor, bytes(parts[0])[:300], at); os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return write(descriptor, parts, at)\n"
        "disk_cache.os.pwritev = killed\n"
        "with kept_within(0, disk=1e9):\n"
        f"    files = ImageFiles(sorted(Path({str(photos)!r}).iterdir()), ImageFormat(16, 12, 'rgb'), resize=True)\n"
        "for place in range(12): files.take(__import__('numpy').array([place]))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    decodings.clear()
    np.testing.assert_array_equal(opened(photos).take(EVERY), expected)
    assert sorted(decodings) == [f"{number:02}.jpg" for number in range(6, IMAGES)]


def test_several_may_fill_one_file_at_once_also_where_they_disagree_on_a_picture(photos):
    """Each sees its own contents of the files, as after a change that is not noticed, and gets those."""
    others = photos.parent / "others"
    write_photos(others)
    for number in range(IMAGES):
        (others / f"{number:02}.jpg").write_bytes((photos / f"{IMAGES - 1 - number:02}.jpg").read_bytes())
    expected = decoded(photos)
    of_each = [opened(photos), opened(photos), opened(others), opened(others)]
    for files in of_each[2:]:
        files.disk = of_each[0].disk  # as if the paths were the same
    wrong = []

    def read(files, wanted):
        for _ in range(30):
            if not np.array_equal(files.take(EVERY), wanted):
                wrong.append(files)

    threads = [
        threading.Thread(target=read, args=(files, wanted))
        for files, wanted in zip(of_each, (expected, expected, expected[::-1], expected[::-1]), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_or_broken_ends_writing_with_one_sentence(photos, monkeypatch, caplog, number):
    expected, files = decoded(photos), opened(photos)
    files.take(EVERY[:4])

    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disk_cache.os, "pwritev", fails)
    files.read_all()
    np.testing.assert_array_equal(files.take(EVERY), expected)
    assert caplog.text.count("images that are not there are decoded") == 1
    assert files.disk.path.exists() == (number != errno.ENOSPC), "the run needs the room"


def test_a_write_that_stops_short_counts_as_a_full_disk(photos, monkeypatch, caplog):
    expected, files = decoded(photos), opened(photos)
    monkeypatch.setattr(disk_cache.os, "pwritev", lambda descriptor, parts, at: os.pwrite(descriptor, parts[0], at))
    np.testing.assert_array_equal(files.take(EVERY), expected)
    np.testing.assert_array_equal(files.take(EVERY), expected)
    assert os.strerror(errno.ENOSPC) in caplog.text


def spoil_file(home):
    home.write_text("not a folder")


def spoil_shared(home):
    (home / "kerasrun/images").mkdir(parents=True)
    (home / "kerasrun/images").chmod(0o777)


def spoil_link(home):
    path = entry_path(home)
    path.symlink_to(home / "elsewhere")


def spoil_pipe(home):
    os.mkfifo(entry_path(home))


def spoil_folder(home):
    entry_path(home).mkdir()


def entry_path(home):
    path = filled(home.parent / "photos")
    path.unlink()
    return path


@pytest.mark.parametrize("spoil", [spoil_file, spoil_shared, spoil_link, spoil_pipe, spoil_folder])
def test_a_place_that_cannot_be_used_is_said_and_images_are_decoded(photos, home, caplog, spoil):
    spoil(home)
    files = opened(photos)
    np.testing.assert_array_equal(files.take(EVERY), decoded(photos))
    assert files.disk is None
    assert caplog.text.count("images are decoded in each epoch") == 1
    assert not (home.parent / "elsewhere").exists()


def test_without_a_home_images_are_decoded(photos, monkeypatch, caplog):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(disk_cache, "user_folder", lambda *_: (_ for _ in ()).throw(FileNotFoundError("no home")))
    assert opened(photos).disk is None
    assert "no home" in caplog.text


def test_what_was_used_longest_ago_goes_when_the_limit_is_reached(tmp_path):
    paths = []
    size = 4096 + IMAGES * disk_cache.slot_bytes(576)
    for number in range(3):
        paths.append(filled(write_photos(tmp_path / str(number))))
        os.utime(paths[-1], (number + 1, number + 1))
    opened(tmp_path / "0", 3 * size)
    opened(write_photos(tmp_path / "3"), 3 * size)
    assert [path.exists() for path in paths] == [True, False, True]
    assert sum(entry.size for entry in entries(cache_folder())) == 3 * size


def test_more_than_the_limit_is_not_kept_and_removes_nothing(photos, tmp_path):
    path = filled(photos)
    more = write_photos(tmp_path / "more", count=20)
    assert opened(more, path.stat().st_size).disk is None
    assert path.exists()


@pytest.mark.parametrize(("times", "kept"), [(9.9, False), (10.1, True)])
def test_auto_takes_a_tenth_of_the_room(photos, monkeypatch, times, kept):
    size = 4096 + IMAGES * disk_cache.slot_bytes(576)
    usage = disk_cache.shutil.disk_usage("/")._replace(free=int(times * size))
    monkeypatch.setattr(disk_cache.shutil, "disk_usage", lambda _: usage)
    assert (opened(photos, "auto").disk is not None) == kept


def test_nothing_is_kept_on_disk_of_what_fits_into_memory(photos, home):
    with kept_within(1.0, disk=1e9):
        assert ImageFiles(sorted(photos.iterdir()), FORMAT, resize=True).disk is None
    assert not home.exists()


def test_the_command_lists_and_clears(photos):
    path = filled(photos)
    assert f"12 images of {photos}" in CliRunner().invoke(app, ["cache"]).output
    cleared = CliRunner().invoke(app, ["cache", "--clear"]).output
    assert "freed" in cleared
    assert not path.exists()


@pytest.mark.parametrize(
    "header", [b"[" * 4096, b'{"file": "x", "bytes": -1}', b'{"data": "x", "images": NaN, "shape": []}']
)
def test_a_header_that_somebody_wrote_is_not_believed(photos, header):
    path = filled(photos)
    path.write_bytes(header + path.read_bytes()[len(header) :])
    (listed,) = json.loads(CliRunner().invoke(app, ["cache", "--json"]).output)
    assert (listed["file"], listed.keys()) == (str(path), {"file", "bytes", "used"})
    assert "of unknown images" in CliRunner().invoke(app, ["cache", "--clear"]).output
    assert not path.exists()


@pytest.mark.parametrize("arguments", [[], ["--clear"]])
def test_a_folder_that_cannot_be_looked_at_is_an_error(tmp_path, monkeypatch, arguments):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("a" * 300)))
    done = subprocess.run(
        [sys.executable, "-m", "kerasrun", "cache", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"the decoded images cannot be {'removed' if arguments else 'listed'}: [Errno" in done.stderr
