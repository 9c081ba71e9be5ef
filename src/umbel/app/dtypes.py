"""The element types an Array can have, and how each is called elsewhere.

NumPy has no bfloat16: such an array is kept as its raw 16-bit patterns (`uint16`) under the name "bfloat16".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BFLOAT16 = "bfloat16"

# Name of the element type → name in a safetensors header.
SAFETENSORS_NAMES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    BFLOAT16: "BF16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "complex64": "C64",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
}
NAMES_BY_SAFETENSORS = {theirs: ours for ours, theirs in SAFETENSORS_NAMES.items()}

# NumPy's code of the element type, in this machine's byte order → its name: `dtype.name` itself takes a microsecond.
NAMES_BY_CODE = {np.dtype(name).str: name for name in SAFETENSORS_NAMES if name != BFLOAT16}


def storage_dtype(name: str) -> np.dtype:
    """The NumPy dtype that holds elements of type `name`. Raises TypeError for a type that no Array can have."""
    if name not in SAFETENSORS_NAMES:
        allowed = ", ".join(SAFETENSORS_NAMES)
        raise TypeError(f"An Array cannot hold elements of type {name!r}. Allowed: {allowed}.")
    return np.dtype(np.uint16 if name == BFLOAT16 else name)


def bfloat16_to_float32(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The numbers that bfloat16 `bits` stand for, exactly; same shape."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float32_to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """`values` rounded to nearest even bfloat16, as bit patterns; NaN stays NaN; same shape."""
    bits = np.ascontiguousarray(values, dtype=np.float32).reshape(np.shape(values)).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet_nan = (bits >> 16) | 0x40
    return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)
