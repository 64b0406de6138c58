from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOY = Path(__file__).parents[2] / "examples" / "toy_graph.py"


def test_the_four_wishes_in_under_forty_lines(tmp_path: Path) -> None:
    assert len(TOY.read_text().splitlines()) < 40
    outputs = [
        subprocess.run(
            [sys.executable, str(TOY), str(tmp_path / "work")], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert "data 266bb4e33dfb7be89c04735cebe31cae8d7714243ccb9d137a1a37a46a645365" in outputs[0]
    assert "scaled, now declared: [[0.5, 1.0], [1.5, 2.0]]" in outputs[0]
    assert "'rounds': 8" in outputs[0]
    assert "scaled, now done" in outputs[1]
    assert "loop, now done" in outputs[1]
    assert "ran 0 operations" in outputs[1]
