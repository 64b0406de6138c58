"""The exam for formats: what holds of every format for arrays, whatever it is written in.

Derive a test class of three lines; pytest runs it, with Hypothesis making the arrays::

    class TestMine(FormatConformance):
        name = "mine"
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from holdfast.errors import InvalidData, StoreDamaged
from holdfast.model.canonical import array_digest, canonical_array
from holdfast.model.content import encode
from holdfast.plugins import load_format
from holdfast.storage.format import Format, Layout, Mappable
from holdfast.storage.publish import publish
from holdfast.storage.staging import stage
from holdfast.storage.store import open_array, read_store, read_text, store_path, verify_store
from holdfast.storage.workdir import WorkDirectory, open_workdir

UID = "ab" * 32

ANY_DTYPE = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="<"),
    arrays.unsigned_integer_dtypes(endianness="<"),
    arrays.floating_dtypes(endianness="<"),
    arrays.complex_number_dtypes(endianness="<"),
    arrays.unicode_string_dtypes(endianness="<", max_len=5),
    arrays.byte_string_dtypes(max_len=5),
    st.just(np.dtype("<M8[ns]")),
    st.just(np.dtype("<m8[25us]")),
)

ANY_ARRAY = ANY_DTYPE.flatmap(
    lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)

UNTOUCHED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.differing_executors])

FLIPS = 150
"""Bytes of a file that are damaged, one at a time; of a shorter file, every one."""


class FormatConformance:
    """What holds of every format for arrays.

    Attributes
    ----------
    name : str
        Name of the format, by which `holdfast.plugins` finds it.
    """

    name: str

    @property
    def format(self) -> Format[Any]:
        """The format under examination."""
        form: Format[Any] = load_format(self.name)
        return form

    @given(ANY_ARRAY)
    @UNTOUCHED
    def test_every_accepted_array_is_read_back(self, array: Any) -> None:
        """Value, dtype, shape and bits are the same, and the array is read-only."""
        if not self.format.accepts(layout_of(array)):
            return
        read = self.format.read(io.BytesIO(self.written(array)), layout_of(array))
        assert is_same(read, array)
        assert not read.flags.writeable

    @given(ANY_ARRAY)
    @UNTOUCHED
    def test_the_digest_of_a_file_is_that_of_the_array(self, array: Any) -> None:
        """It is the one that `holdfast.model.content` makes, so a format never changes an identity."""
        if self.format.accepts(layout_of(array)):
            assert self.format.digest(io.BytesIO(self.written(array)), layout_of(array)) == array_digest(array)

    def test_floats_and_whole_numbers_are_accepted(self) -> None:
        """A format for arrays takes at least these."""
        for dtype in ("<f4", "<f8", "<i4", "<i8"):
            assert self.format.accepts(Layout(dtype, (3, 2)))

    @given(st.text(max_size=30), st.integers(1, 20))
    @UNTOUCHED
    def test_a_text_is_read_back_if_the_format_takes_texts(self, text: str, times: int) -> None:
        """Content texts, as the value of everything that is not one array."""
        value = encode([text] * times).text
        layout = Layout("text", (len(value),))
        if self.format.accepts(layout):
            stream = io.BytesIO()
            self.format.write(value, stream)
            assert self.format.read(stream, layout) == self.format.read(stream) == value
            assert self.format.digest(stream, layout) == sha256(value).hexdigest()
            with pytest.raises(InvalidData):
                self.format.read(stream, Layout("text", (len(value) + 1,)))

    @pytest.mark.parametrize("dtype", ["|O", ">f8", "<f7", "|V8", "<i4,<f8", "", "f8", "<M8[xyzzy]"])
    def test_other_dtypes_are_not_accepted(self, dtype: str) -> None:
        """Objects above all: nothing that could hold code."""
        assert not self.format.accepts(Layout(dtype, (1,)))

    def test_an_array_of_objects_is_refused(self) -> None:
        """Also when it is given to `write`."""
        with pytest.raises(InvalidData):
            self.written(np.array([object()]))

    def test_equal_arrays_give_equal_bytes_however_they_lie_in_memory(self) -> None:
        """Fortran order, big-endian numbers and strides make no difference, in one version of the library."""
        array = np.arange(24.0).reshape(4, 6)
        for other in (np.asfortranarray(array), array.astype(">f8"), np.repeat(array, 2, axis=0)[::2]):
            assert self.written(other) == self.written(array)

    @pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3)])
    def test_mapped_arrays_are_equal_and_read_only(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        """Where the format can map at all."""
        form = self.format
        array = np.arange(np.prod(shape), dtype="<f8").reshape(shape)
        (tmp_path / "file").write_bytes(self.written(array))
        with open(tmp_path / "file", "rb") as stream:
            found = (form.map if isinstance(form, Mappable) else form.read)(stream, layout_of(array))
        assert is_same(found, array)
        assert not found.flags.writeable

    def test_arrays_larger_than_a_block_are_read_back(self) -> None:
        """Nothing is lost where blocks meet."""
        array = np.arange(1_100_003, dtype="<i4")
        stream = io.BytesIO(self.written(array))
        assert is_same(self.format.read(stream, layout_of(array)), array)
        assert self.format.digest(stream, layout_of(array)) == array_digest(array)

    @pytest.mark.parametrize("data", [b"", b"\0" * 5, b"PK\x03\x04" + bytes(200), b"\xff" * 4000])
    def test_other_files_are_refused(self, data: bytes) -> None:
        """By `read` as by `digest`."""
        for use in (self.format.read, self.format.digest):
            with pytest.raises(InvalidData):
                use(io.BytesIO(data), Layout("<f8", (3,)))

    @pytest.mark.parametrize("layout", [Layout("<i8", (3,)), Layout("<f8", (4,)), Layout("<f8", (10**15,))])
    def test_another_array_than_expected_is_refused_before_memory_is_taken(self, layout: Layout) -> None:
        """Metadata that promise something else, or more than there can be."""
        for use in (self.format.read, self.format.digest):
            with pytest.raises(InvalidData):
                use(io.BytesIO(self.written(np.arange(3.0))), layout)

    def test_a_file_that_was_cut_is_refused(self) -> None:
        """At every place within the data."""
        whole = self.written(np.arange(30.0))
        for size in range(len(whole) - 200 if len(whole) > 240 else 0, len(whole), 7):
            with pytest.raises(InvalidData):
                self.format.read(io.BytesIO(whole[:size]), Layout("<f8", (30,)))

    def test_a_store_says_in_which_format_it_is(self, tmp_path: Path) -> None:
        """So that a reader finds it, whatever the directory's setting is."""
        workdir, path = self.stored(tmp_path, np.arange(200_000.0))
        assert read_store(workdir, UID).files[0].format == self.name
        assert path.suffix == self.format.suffix
        assert is_same(open_array(path), np.arange(200_000.0))
        assert verify_store(workdir, UID).plain is not None

    def test_any_flipped_byte_is_an_error_that_names_node_and_file(self, tmp_path: Path) -> None:
        """Never a value: whether the byte is data, header or padding."""
        workdir, path = self.stored(tmp_path, np.arange(12, dtype="<i4").reshape(3, 4))
        for _ in flips(path):
            with pytest.raises(StoreDamaged, match=f"{UID}.*{path.name}"):
                open_array(path)
            with pytest.raises(StoreDamaged, match=f"{UID}.*{path.name}"):
                verify_store(workdir, UID)
        assert is_same(open_array(path), np.arange(12, dtype="<i4").reshape(3, 4))

    def test_a_damaged_text_is_an_error_too(self, tmp_path: Path) -> None:
        """Of a value that is more than one array."""
        value = {"a": "text" * 20, "b": np.arange(12.0)}
        workdir = open_workdir(tmp_path / "work")
        staged = stage(workdir.path, encode(value), store_type=self.name)
        publish(workdir, staged.name, UID)
        path = store_path(workdir, UID) / staged.metadata.files[0].name
        for _ in flips(path):
            with pytest.raises(StoreDamaged, match=UID):
                read_text(workdir, UID)
        assert read_text(workdir, UID) == encode(value).text

    def written(self, array: Any) -> bytes:
        """Return the file of an array."""
        stream = io.BytesIO()
        self.format.write(array, stream)
        return stream.getvalue()

    def stored(self, folder: Path, array: Any) -> tuple[WorkDirectory, Path]:
        """Return a working directory with a store of this format, and the path of its file."""
        workdir = open_workdir(folder / "work")
        staged = stage(workdir.path, encode(canonical_array(array)), store_type=self.name)
        publish(workdir, staged.name, UID)
        return workdir, store_path(workdir, UID) / staged.metadata.files[0].name


def layout_of(array: Any) -> Layout:
    """Return what is said of an array."""
    return Layout(array.dtype.str, array.shape)


def is_same(one: Any, other: Any) -> bool:
    """Return whether two arrays agree to the bit."""
    return bool(one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes())


def flips(path: Path) -> Iterator[int]:
    """Damage one byte of a file after the other, and mend it again; yields the place of each."""
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // FLIPS)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        yield place
    path.write_bytes(whole)
