from __future__ import annotations

from importlib import metadata

import pytest

from holdfast.formats.numpy import NumpyFormat
from holdfast.testing.formats import FormatConformance


class TestNumpy(FormatConformance):
    name = "numpy"


class TestXdr(FormatConformance):
    name = "xdr"


class TestHdf5(FormatConformance):
    name = "hdf5"


class OthersFormat(NumpyFormat):
    """What somebody else's package might bring."""

    name = "others"
    suffix = ".oth"


class TestFormatOfAnotherPackage(FormatConformance):
    name = "others"

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def announced(cls):  # type: ignore[no-untyped-def]
        point = metadata.EntryPoint("others", f"{__name__}:OthersFormat", "holdfast.formats")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(metadata, "entry_points", lambda group: metadata.EntryPoints([point]).select(group=group))
            patch.setattr(metadata.EntryPoint, "load", lambda self: OthersFormat)
            yield


class TestArrow(FormatConformance):
    name = "arrow"
