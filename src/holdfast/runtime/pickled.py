"""Pickle what an operation returns that names `format="pickle"`, and read it again where that is allowed.

Reading a pickle can run anything. Whoever calls `read_pickle` has found out that the code of this session names pickle for the operation at
hand; no file, document or setting can. The same object may give other bytes in another process: its identity is that of its bytes.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from holdfast.errors import InvalidData

if TYPE_CHECKING:
    from holdfast.model.content import Array


def write_pickle(value: Any) -> bytes:
    """Return the bytes of an object; functions and classes of scripts travel by value."""
    import cloudpickle

    return cloudpickle.dumps(value, protocol=5)  # type: ignore[no-any-return]


def read_pickle(data: Array) -> Any:
    """Return the object of these bytes; InvalidData if they cannot be read here, such as without the package of its class."""
    try:
        return pickle.loads(data.tobytes())
    except Exception as error:
        raise InvalidData(
            f"the pickle of a value cannot be read here: {type(error).__name__}: {error}. Install the packages that it was made with"
        ) from error
