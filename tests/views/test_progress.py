from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import holdfast as hf
from holdfast.runtime.events import CodeChanged, Counts, NodeDone, NodeFailed, RoundDone
from holdfast.views.progress import describe, summary, watch


def test_the_summary_says_what_is_done_and_how_long_it_takes() -> None:
    assert summary(Counts(reused=3), 1.0) == "0 done, 3 reused"
    assert summary(Counts(done=10, running=2, failed=1, waiting=120), 5.0) == (
        "10 done, 0 reused, 2 running, 1 failed, 2.0/s, 1:00 left"
    )
    assert summary(Counts(done=1, waiting=7200), 1.0).endswith("2:00:00 left")


def test_events_that_matter_have_a_line_and_others_none() -> None:
    assert "code has changed (a.helper)" in str(describe(CodeChanged("a.f", ("a.helper",))))
    assert "round 3" in str(describe(RoundDone("0" * 64, "holdfast.while_loop", 3)))
    assert "no three" in str(describe(NodeFailed("0" * 64, "a.f", "ValueError: no three")))
    assert describe(NodeDone("0" * 64, "a.f", reused=False)) is None


def test_plain_lines_are_written_where_there_is_no_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    double = hf.operation(lambda x: 2 * x, name="demo.double")
    with hf.Session(tmp_path / "work") as session, watch(session, stream=out):
        session.result(hf.map(double, [1, 2, 3]))
    assert out.getvalue().startswith("holdfast: 3 done, 0 reused")


def test_a_view_that_fails_stops_no_run(tmp_path: Path) -> None:
    def fail(event: object) -> None:
        raise RuntimeError("a broken view")

    double = hf.operation(lambda x: 2 * x, name="demo.double")
    with hf.Session(tmp_path / "work") as session:
        session.listen(fail)
        assert session.result(double(1)) == 2


def test_a_terminal_gets_a_live_bar(tmp_path: Path) -> None:
    (tmp_path / "study.py").write_text(
        "import holdfast as hf\nf = hf.operation(lambda x: x, name='demo.f')\nfinal = hf.map(f, [1, 2, 3])\n"
    )
    outer, inner = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "holdfast.cli.main",
        "run",
        str(tmp_path / "study.py:final"),
        "--work",
        str(tmp_path / "work"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=inner)
    os.close(inner)
    shown = b""
    while True:
        try:
            block = os.read(outer, 65536)
        except OSError:
            break
        if not block:
            break
        shown += block
    assert process.wait(30) == 0
    assert b"3 done, 0 reused" in shown
    assert b"\x1b[" in shown
