"""Every format keeps a value of many kinds on every engine, and a later session reads it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import holdfast as hf
from holdfast.model.content import encode
from holdfast.plugins import FORMATS
from holdfast.storage.verify import verify

NAMED = sorted(set(FORMATS) - {"json", "table"})
"""Those that an operation may name."""

SUFFIXES = {"numpy": ".npy", "arrow": ".arrow", "hdf5": ".h5", "xdr": ".xdr", "pickle": ".npy"}


def many_kinds(seed: int) -> dict[str, Any]:
    numbers = np.arange(40_000, dtype="<f8") + seed
    return {
        "float": numbers,
        "whole": numbers[:30].astype("<i4").reshape(5, 6),
        "bool": numbers[:7] > 3,
        "complex": numbers[:5] * 1j,
        "text": np.array(["Zürich", "", "b"]),
        "bytes": np.array([b"ab", b"c"]),
        "time": np.array(["2020-01-01", "NaT"], "M8[ms]"),
        "half": numbers[:3].astype("<f2"),
        "none": np.zeros((0, 3)),
        "plain": [None, True, "x", 1.5, {"$odd": b"y" * 2000}],
        "table": pl.DataFrame({"x": numbers[:4], "s": ["a", None, "b", "c"]}),
    }


def plain(seed: int) -> Any:
    return np.arange(40_000, dtype="<f8") + seed


KINDS = {name: hf.operation(many_kinds, name=f"everywhere.{name}", version="1", format=name) for name in NAMED}
PLAIN = {name: hf.operation(plain, name=f"everywhere.plain_{name}", version="1", format=name) for name in NAMED}


@contextmanager
def opened(directory: Path, engine: str) -> Iterator[hf.Session]:
    if engine == "executor":
        with (
            ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
            hf.Session(directory, engine=pool) as session,
        ):
            yield session
    else:
        with hf.Session(directory, engine=engine, workers=2) as session:
            yield session


@pytest.mark.parametrize("engine", ["in_process", "threads", "processes", "executor"])
def test_every_format_keeps_values_of_every_kind(tmp_path: Path, engine: str) -> None:
    expected = encode(many_kinds(1)).digest
    with opened(tmp_path / "work", engine) as session:
        found = session.results([*(KINDS[name](1) for name in NAMED), *(PLAIN[name](2) for name in NAMED)])
        assert {encode(value).digest for value in found[: len(NAMED)]} == {expected}
        assert all(np.array_equal(value, plain(2)) for value in found[len(NAMED) :])
    with opened(tmp_path / "work", engine) as session:
        for name in NAMED:
            assert encode(session.result(KINDS[name](1))).digest == expected
        assert session.counts.done == 0
    for name in NAMED:
        (file,) = (tmp_path / "work" / "nodes").glob(f"*/{PLAIN[name](2).uid}/data.*")
        assert file.suffix == SUFFIXES[name]
    assert verify(tmp_path / "work").findings == []
