from __future__ import annotations

from pathlib import Path

import pytest

import holdfast as hf
from holdfast.errors import NotFound


@hf.operation
def double(x: int) -> int:
    return 2 * x


def test_a_context_publishes_what_was_added_and_finds_it_again(tmp_path: Path) -> None:
    node = double(double(21))
    with hf.WorkerContext(tmp_path / "work") as context:
        uid = context.add_node(node)
        assert context.add_node(node) == uid  # harmless
        assert context.status(uid) is hf.NodeState.DECLARED
        assert context.publish(uid).result(30) == 84
        assert context.status(uid) is hf.NodeState.DONE
        assert [event.uid for event in context.subscribe(uid)] == [uid]
    with hf.WorkerContext(tmp_path / "work") as context:
        assert context.status(uid) is hf.NodeState.DONE


def test_a_uid_that_was_never_added_is_refused(tmp_path: Path) -> None:
    with hf.WorkerContext(tmp_path / "work") as context, pytest.raises(NotFound, match="add_node"):
        context.publish("0" * 64)


@pytest.mark.parametrize("kind", ["file", "full of other things", "unwritable"])
def test_an_unusable_directory_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "work"
    if kind == "file":
        place.write_text("precious")
    elif kind == "full of other things":
        place.mkdir()
        (place / "thesis.tex").write_text("precious")
    else:
        place = Path("/proc/1/work")
    with pytest.raises(hf.WorkingDirectoryError, match=r"work"):
        hf.WorkerContext(place)
    with pytest.raises(hf.WorkingDirectoryError):
        hf.Session(place)
    if kind == "file":
        assert place.read_text() == "precious"
    elif kind == "full of other things":
        assert [path.name for path in place.iterdir()] == ["thesis.tex"]
