from __future__ import annotations

import os
from pathlib import Path

from holdfast.storage.reserve import LEAST, give_up_reserve, keep_reserve
from holdfast.storage.workdir import WorkDirectory


def test_the_reserve_is_there_in_full_and_grows_with_the_log(workdir: WorkDirectory) -> None:
    assert keep_reserve(workdir)
    assert os.stat(workdir.reserve_path).st_blocks * 512 >= LEAST
    workdir.log_path.write_bytes(bytes(3 * LEAST))
    assert keep_reserve(workdir)
    assert workdir.reserve_path.stat().st_size == 4 * LEAST
    workdir.log_path.unlink()
    assert keep_reserve(workdir)
    assert workdir.reserve_path.stat().st_size == 4 * LEAST, "what is there is not made smaller"


def test_giving_up_what_is_not_there_is_harmless(workdir: WorkDirectory) -> None:
    keep_reserve(workdir)
    for _ in range(2):
        give_up_reserve(workdir)
    assert not workdir.reserve_path.exists()


def test_a_reserve_that_cannot_be_had_is_no_error(tmp_path: Path) -> None:
    assert keep_reserve(WorkDirectory(tmp_path / "missing")) is False


def test_a_link_in_its_place_is_not_followed(workdir: WorkDirectory, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    workdir.reserve_path.symlink_to(tmp_path / "elsewhere")
    assert keep_reserve(workdir) is False
    assert (tmp_path / "elsewhere").read_text() == "mine"
