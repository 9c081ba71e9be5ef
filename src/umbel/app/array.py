"""Array: a tensor as bytes with dtype and shape."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, Self, cast, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


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
    """The NumPy dtype that stores elements of type `name`. Raises TypeError for an unsupported type."""
    if name not in SAFETENSORS_NAMES:
        allowed = ", ".join(SAFETENSORS_NAMES)
        raise TypeError(f"An Array cannot hold elements of type {name!r}. Allowed: {allowed}.")
    return np.dtype(np.uint16 if name == BFLOAT16 else name)


def bfloat16_to_float32(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Convert bfloat16 bit patterns to float32, exactly; same shape."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def float32_to_bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round `values` to the nearest bfloat16 (ties to even), as bit patterns; NaN stays NaN; same shape."""
    bits = np.ascontiguousarray(values, dtype=np.float32).reshape(np.shape(values)).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet_nan = (bits >> 16) | 0x40
    return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)


STYPE = "numpy.ndarray"


class Array:
    """A tensor that shares memory with its source.

    The elements are not copied, so a change of the source changes the Array. A message transfers the elements that the
    buffer contains when the message is pushed or returned.

    Args:
        ndarray: a NumPy array of bool, integer, floating-point or complex elements.
        torch_tensor: a torch tensor on any device, bfloat16 included. Tensors on a GPU are copied to the CPU.
        dtype: name of the element type of `data`, such as "float32".
        shape: length of each dimension of `data`.
        stype: the serialisation format of `data`; only "numpy.ndarray" is supported.
        data: the bytes of a `.npy` file.

    Raises:
        TypeError: an element type that cannot be transferred (objects, strings, dates), or another serialisation format.
        ValueError: `data` does not match `dtype` and `shape`.

    Example:
        >>> Array(np.zeros((2, 3), np.float32))
        Array(float32, shape=(2, 3))
    """

    __slots__ = ("_values", "dtype")

    dtype: str
    _values: NDArray[Any]

    @overload
    def __init__(self, ndarray: NDArray[Any], /) -> None: ...
    @overload
    def __init__(self, torch_tensor: torch.Tensor, /) -> None: ...
    @overload
    def __init__(self, dtype: str, shape: tuple[int, ...], stype: str, data: bytes) -> None: ...
    @overload
    def __init__(self, *, ndarray: NDArray[Any]) -> None: ...
    @overload
    def __init__(self, *, torch_tensor: torch.Tensor) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Create an Array from an ndarray, a torch tensor or serialised data."""
        if len(args) == 1 and not kwargs:
            self._take(args[0])
        elif not args and kwargs.keys() == {"ndarray"}:
            self._take_ndarray(_checked(kwargs["ndarray"]))
        elif not args and kwargs.keys() == {"torch_tensor"}:
            self._take(kwargs["torch_tensor"])
        else:
            self._take_npy(*_npy_arguments(args, kwargs))

    def _take(self, source: object) -> None:
        if isinstance(source, np.ndarray):
            self._take_ndarray(source)
            return
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(source, torch.Tensor):
            self._take_tensor(source)
            return
        raise TypeError(f"An Array is created from a NumPy array or a torch tensor, not from {type(source).__name__}.")

    def _take_ndarray(self, values: NDArray[Any]) -> None:
        name = NAMES_BY_CODE.get(values.dtype.str)
        if name is None:
            name = values.dtype.name
            storage_dtype(name)  # raises with the list of what is allowed
            values = values.astype(values.dtype.newbyteorder("="))
        self.dtype = name
        self._values = values

    def _take_tensor(self, tensor: torch.Tensor) -> None:
        import torch

        tensor = tensor.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            self.dtype = BFLOAT16
            self._values = tensor.contiguous().view(torch.int16).numpy().view(np.uint16)
        else:
            self._take_ndarray(tensor.numpy())

    def _take_npy(self, dtype: str, shape: tuple[int, ...], stype: str, data: bytes) -> None:
        if stype != STYPE:
            raise TypeError(f"Unknown serialisation type {stype!r}: only {STYPE!r} is supported.")
        self._take_ndarray(np.load(io.BytesIO(data), allow_pickle=False))
        if (self.dtype, self.shape) != (dtype, tuple(shape)):
            raise ValueError(f"The data contains {self.dtype}{self.shape}, but {dtype}{tuple(shape)} was declared.")

    @classmethod
    def from_storage(cls, dtype: str, values: NDArray[Any]) -> Self:
        """An Array of type `dtype` over its stored elements; `values` is uint16 when `dtype` is "bfloat16"."""
        array = cls.__new__(cls)
        array.dtype = dtype
        array._values = values  # noqa: SLF001 - its own class
        return array

    @classmethod
    def from_numpy_ndarray(cls, ndarray: NDArray[Any]) -> Self:
        """Create an Array from an ndarray, without copying."""
        return cls(ndarray=ndarray)

    @classmethod
    def from_torch_tensor(cls, tensor: torch.Tensor) -> Self:
        """Create an Array from a torch tensor, without copying unless it is on a GPU."""
        return cls(torch_tensor=tensor)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension; `()` for a scalar."""
        return self._values.shape

    @property
    def nbytes(self) -> int:
        """Size of the elements in bytes."""
        return self._values.nbytes

    @property
    def storage(self) -> NDArray[Any]:
        """The stored elements, not copied: the ndarray itself, or uint16 bit patterns for bfloat16."""
        return self._values

    @property
    def stype(self) -> str:
        """The serialisation format of `data`: always "numpy.ndarray", a `.npy` file."""
        return STYPE

    @property
    def data(self) -> bytes:
        """The elements as the bytes of a `.npy` file, serialised at each access; bfloat16 is widened to float32."""
        buffer = io.BytesIO()
        np.save(buffer, self.numpy(), allow_pickle=False)
        return buffer.getvalue()

    def numpy(self) -> NDArray[Any]:
        """The elements as an ndarray over the same memory. bfloat16 is widened to a new float32 array, exactly."""
        return bfloat16_to_float32(self._values) if self.dtype == BFLOAT16 else self._values

    def torch(self) -> torch.Tensor:
        """The elements as a CPU tensor over the same memory (copied where torch has no such view: read-only or reversed)."""
        import torch

        values = self._values
        if not values.flags.writeable or any(stride < 0 for stride in values.strides):
            values = values.copy()
        if self.dtype == BFLOAT16:
            return torch.from_numpy(values.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(values)

    def __eq__(self, other: object) -> bool:
        """Whether dtype, shape and bits are equal (so NaN equals NaN)."""
        if not isinstance(other, Array):
            return NotImplemented
        same_form = self.dtype == other.dtype and self.shape == other.shape
        return same_form and self._values.tobytes() == other._values.tobytes()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Array({self.dtype}, shape={self.shape})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_storage, (self.dtype, self._values)


def _checked(value: object) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"`ndarray` must be a NumPy array, not {type(value).__name__}.")
    return value


def _npy_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, tuple[int, ...], str, bytes]:
    names = ("dtype", "shape", "stype", "data")
    given = dict(zip(names, args, strict=False)) | kwargs
    if given.keys() != set(names) or len(args) > len(names) or len(args) + len(kwargs) != len(names):
        raise TypeError("An Array takes one ndarray, one torch tensor, or dtype, shape, stype and data.")
    return cast("tuple[str, tuple[int, ...], str, bytes]", tuple(given[name] for name in names))
