from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from holdfast.errors import WorkingDirectoryError
from holdfast.storage import workdir as workdir_module
from holdfast.storage.workdir import open_workdir


def tree(path: Path) -> dict[str, bytes | None]:
    """Everything below a path, with contents."""
    return {
        str(item.relative_to(path)): item.read_bytes() if item.is_file() else None for item in sorted(path.rglob("*"))
    }


def test_a_new_directory_is_made_with_its_parents_and_says_what_it_is(tmp_path: Path) -> None:
    made = open_workdir(tmp_path / "a" / "b" / "work")
    assert sorted(os.listdir(made.path)) == ["holdfast.json", "nodes", "tmp"]
    assert os.listdir(made.tmp) == []
    record = json.loads(made.marker.read_text())
    assert record["format"] == 1
    assert record["id"] == made.identity
    assert len(made.identity) == 32


def test_a_directory_keeps_its_identity(tmp_path: Path) -> None:
    assert open_workdir(tmp_path / "work") == open_workdir(tmp_path / "work")
    assert open_workdir(tmp_path / "work").identity != open_workdir(tmp_path / "other").identity


def test_an_empty_directory_is_taken_and_dotfiles_do_not_count(tmp_path: Path) -> None:
    for name in (".DS_Store", ".nfs000001"):
        (tmp_path / name).write_text("x")
    (tmp_path / "lost+found").mkdir()
    assert open_workdir(tmp_path).path == tmp_path


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_workdir("work").path == tmp_path / "work"


def test_a_link_to_a_directory_is_followed_for_the_directory_itself(tmp_path: Path) -> None:
    made = open_workdir(tmp_path / "scratch")
    (tmp_path / "work").symlink_to(tmp_path / "scratch")
    assert open_workdir(tmp_path / "work").identity == made.identity


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("mine")
    with pytest.raises(WorkingDirectoryError, match="it is a file"):
        open_workdir(tmp_path / "work")
    assert (tmp_path / "work").read_text() == "mine"


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(WorkingDirectoryError, match="Check path"):
        open_workdir(tmp_path / "file" / "work")


def test_other_things_are_refused_untouched_and_named(tmp_path: Path) -> None:
    for name in ("d.txt", "c.txt", "b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    before = tree(tmp_path)
    with pytest.raises(WorkingDirectoryError, match=r"a\.txt, b\.txt, c\.txt and 1 more"):
        open_workdir(tmp_path)
    assert tree(tmp_path) == before


def test_folders_of_our_names_with_something_in_them_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "mine").write_text("mine")
    with pytest.raises(WorkingDirectoryError, match="other things: tmp"):
        open_workdir(tmp_path)


def test_results_without_their_marker_are_not_taken_for_an_empty_directory(tmp_path: Path) -> None:
    made = open_workdir(tmp_path)
    made.marker.unlink()
    made.catalog_path.write_bytes(b"")
    with pytest.raises(WorkingDirectoryError, match=r"Restore holdfast\.json"):
        open_workdir(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"format": 1}',
        b'{"format": 0, "id": "a", "settings": {}}',
        b'{"format": "1", "id": "a", "settings": {}}',
        b"[" * 50_000,
        b" " * 70_000,
    ],
)
def test_a_damaged_marker_is_refused_and_left_as_it_is(tmp_path: Path, damage: bytes) -> None:
    marker = open_workdir(tmp_path).marker
    marker.write_bytes(damage)
    with pytest.raises(WorkingDirectoryError, match="is damaged"):
        open_workdir(tmp_path)
    assert marker.read_bytes() == damage


def test_a_newer_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    made = open_workdir(tmp_path)
    made.marker.write_text('{"format": 2, "something": "new"}')
    made.nodes.rmdir()
    before = tree(tmp_path)
    with pytest.raises(WorkingDirectoryError, match="pip install -U holdfast"):
        open_workdir(tmp_path)
    assert tree(tmp_path) == before


def test_a_marker_that_is_a_link_or_a_pipe_is_refused(tmp_path: Path) -> None:
    made = open_workdir(tmp_path / "work")
    kept = made.marker.rename(tmp_path / "elsewhere.json")
    made.marker.symlink_to(kept)
    with pytest.raises(WorkingDirectoryError, match="is damaged"):
        open_workdir(made.path)
    made.marker.unlink()
    os.mkfifo(made.marker)
    with pytest.raises(WorkingDirectoryError, match="no small file"):
        open_workdir(made.path)


def test_a_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    made = open_workdir(tmp_path / "work")
    made.nodes.rmdir()
    (tmp_path / "elsewhere").mkdir()
    made.nodes.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorkingDirectoryError, match="nodes in it is not a folder"):
        open_workdir(made.path)


def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workdir_module.os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(WorkingDirectoryError, match="not writable"):
        open_workdir(tmp_path)
    assert os.listdir(tmp_path) == []


def test_looking_only_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(WorkingDirectoryError, match=r"has no holdfast\.json"):
        open_workdir(tmp_path / "work", create=False)
    assert os.listdir(tmp_path) == []
    made = open_workdir(tmp_path / "work")
    made.tmp.rmdir()
    assert open_workdir(tmp_path / "work", create=False) == made
    assert not made.tmp.exists()


@pytest.mark.parametrize("step", range(4))
def test_an_interrupted_creation_is_taken_up(tmp_path: Path, step: int) -> None:
    if step >= 1:
        (tmp_path / "tmp").mkdir()
    if step >= 2:
        (tmp_path / "nodes").mkdir()
    if step >= 3:
        (tmp_path / "tmp" / "holdfast.json.0123456789abcdef").write_text('{"form')
    assert open_workdir(tmp_path).marker.exists()


def test_a_folder_that_got_lost_is_made_again(tmp_path: Path) -> None:
    made = open_workdir(tmp_path)
    made.tmp.rmdir()
    assert open_workdir(tmp_path).tmp.is_dir()


def test_of_many_who_create_at_once_all_get_the_same_directory(tmp_path: Path) -> None:
    identities: list[str] = []
    threads = [
        threading.Thread(target=lambda: identities.append(open_workdir(tmp_path / "x" / "work").identity))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(identities) == 8
    assert len(set(identities)) == 1
