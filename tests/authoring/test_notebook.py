"""Functions typed in a notebook's cells, at a prompt or in `python -c` work on every engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CELLS = '''
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
engine, work = sys.argv[1:]


def cell(text):
    outcome = shell.run_cell(text)
    outcome.raise_error()


cell("import holdfast as hf")
cell("def helper(x):\\n    return x * 10")
cell("""
@hf.operation
def scaled(x: int) -> int:
    'Scales.'
    return helper(x)
""")
cell("first = scaled(3); print(first.name)")
cell(f"session = hf.Session({work!r}, engine={engine!r})")
cell("print(session.result(first), session.result(hf.map(scaled, [1, 2])).tolist())")
cell("def helper(x):\\n    return x * 100")
cell("print(session.result(scaled(3)), scaled(3) == first)")
cell("def broken(x):\\n    return 1 // x")
cell("""
try:
    session.result(hf.operation(broken)(0))
except hf.OperationFailed as error:
    print('return 1 // x' in error.traceback)
session.close()
""")
'''


def test_cells_of_a_notebook_are_operations_and_a_changed_helper_counts(tmp_path: Path, engine: str) -> None:
    command = [sys.executable, "-c", CELLS, engine, str(tmp_path / "work")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["notebook.scaled", "30 [10, 20]", "300 False", "True"]


def test_code_without_a_file_works_too(tmp_path: Path, engine: str) -> None:
    code = (
        "import sys, holdfast as hf\n"
        "double = hf.operation(lambda x: 2 * x, name='demo.double')\n"
        "with hf.Session(sys.argv[1], engine=sys.argv[2]) as session: print(session.result(hf.map(double, [1, 2])).tolist())\n"
    )
    for _ in range(2):
        command = [sys.executable, "-c", code, str(tmp_path / "work"), engine]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
        assert ended.stdout == "[2, 4]\n", ended.stderr


def test_a_script_without_a_guard_does_not_start_itself_again(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(
        "import holdfast as hf\n"
        "print('begins')\n"
        "@hf.operation\n"
        "def double(x): return 2 * x\n"
        "with hf.Session('work', engine='processes', workers=2) as session: print(session.result(hf.map(double, [1, 2])))\n"
    )
    ended = subprocess.run([sys.executable, "plain.py"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.stdout == "begins\n[2 4]\n", ended.stderr
