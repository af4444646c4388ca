from benchmarks._photos import cut


def photos(folder, **splits):
    for split, count in splits.items():
        for name in ("cats", "dogs"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                (folder / split / name / f"{number}.jpg").write_bytes(f"{split} {name} {number}".encode())
    return folder


def test_a_share_of_the_photos_has_as_many_of_each_class(tmp_path):
    source = photos(tmp_path / "all", train=10, val=5)
    target = cut(source, tmp_path / "some", 8)
    copied = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.jpg"))
    train = [f"train/{name}/{number}.jpg" for name in ("cats", "dogs") for number in range(4)]
    assert copied == [*train, "val/cats/0.jpg", "val/dogs/0.jpg"]
    assert (target / "val/dogs/0.jpg").read_bytes() == b"val dogs 0"


def test_all_photos_are_taken_where_they_are(tmp_path):
    assert cut(tmp_path / "all", tmp_path / "some", None) == tmp_path / "all"
