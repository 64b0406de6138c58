from __future__ import annotations

from holdfast.testing.formats import FormatConformance


class TestNumpy(FormatConformance):
    name = "numpy"


class TestXdr(FormatConformance):
    name = "xdr"


class TestHdf5(FormatConformance):
    name = "hdf5"


class TestArrow(FormatConformance):
    name = "arrow"
