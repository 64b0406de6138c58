"""The how-to page on formats does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import h5py

from holdfast import plugins

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "choose-a-format.md").read_text()


def test_the_example_writes_an_hdf5_file(tmp_path: Path) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "study.py").write_text(script)
    ended = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert ended.stdout == "(50000,)\n"
    (file,) = (tmp_path / "work" / "nodes").glob("*/*/data.h5")
    with h5py.File(file) as opened:
        assert opened["data"].shape == (50_000,)


def test_the_table_names_every_format_for_arrays() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert named == set(plugins.FORMATS) - {"json", "pickle", "table"}
