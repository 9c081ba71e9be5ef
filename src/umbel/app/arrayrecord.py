"""ArrayRecord: the ordered, named tensors of a model."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.records import Record

if TYPE_CHECKING:
    import torch


class ArrayRecord(Record[Array]):
    """A dict of named Arrays in insertion order. The Arrays share memory with their sources.

    Args:
        array_dict: names and Arrays.
        numpy_ndarrays: ndarrays, which are named "0", "1", ….
        torch_state_dict: the state dict of a torch module.
        keep_input: False empties the container after its items were added, so that its memory can be freed earlier.

    Raises:
        TypeError: another container, or items that are not tensors.

    Example:
        >>> record = ArrayRecord([np.zeros(3), np.ones((2, 2))])
        >>> list(record)
        ['0', '1']
    """

    __slots__ = ()

    array_type: ClassVar[type[Array]] = Array
    """The class of the Arrays that are created from tensors."""

    @overload
    def __init__(self) -> None: ...
    @overload
    def __init__(self, array_dict: Mapping[str, Array], *, keep_input: bool = True) -> None: ...
    @overload
    def __init__(self, numpy_ndarrays: list[NDArray[Any]], *, keep_input: bool = True) -> None: ...
    @overload
    def __init__(self, torch_state_dict: Mapping[str, torch.Tensor], *, keep_input: bool = True) -> None: ...

    def __init__(self, *args: Any, keep_input: bool = True, **kwargs: Any) -> None:
        """Create a record, empty or from one container of tensors."""
        super().__init__()
        source = _single_source(args, kwargs)
        if source is None:
            return
        items: dict[str, Any] = (
            {str(index): value for index, value in enumerate(source)} if isinstance(source, list) else dict(source)
        )
        for key, value in items.items():
            self[key] = value if isinstance(value, Array) else self.array_type(_tensor(key, value))
        if not keep_input:
            source.clear()

    @classmethod
    def check_value(cls, key: str, value: object) -> Array:
        """`value`, converted to a plain Python type where necessary. Raises TypeError for a type that the record does not allow."""
        if not isinstance(value, Array):
            raise TypeError(f"ArrayRecord[{key!r}] must be an Array, not {type(value).__name__}.")
        return value

    @classmethod
    def from_array_dict(cls, array_dict: Mapping[str, Array], *, keep_input: bool = True) -> Self:
        """Create a record from a dict of Arrays."""
        return cls(array_dict, keep_input=keep_input)

    @classmethod
    def from_numpy_ndarrays(cls, ndarrays: list[NDArray[Any]], *, keep_input: bool = True) -> Self:
        """Create a record from ndarrays, which are named "0", "1", …."""
        return cls(ndarrays, keep_input=keep_input)

    @classmethod
    def from_torch_state_dict(cls, state_dict: Mapping[str, torch.Tensor], *, keep_input: bool = True) -> Self:
        """Create a record from a torch state dict."""
        return cls(state_dict, keep_input=keep_input)

    def to_numpy_ndarrays(self, *, keep_input: bool = True) -> list[NDArray[Any]]:
        """The tensors as ndarrays over the same memory, in order. `keep_input=False` empties the record."""
        ndarrays = [array.numpy() for array in self.values()]
        if not keep_input:
            self.clear()
        return ndarrays

    def to_torch_state_dict(self, *, keep_input: bool = True) -> OrderedDict[str, torch.Tensor]:
        """The tensors as a torch state dict over the same memory. `keep_input=False` empties the record."""
        tensors = OrderedDict((key, array.torch()) for key, array in self.items())
        if not keep_input:
            self.clear()
        return tensors

    def count_bytes(self) -> int:
        """The size of all elements plus the length of the keys in UTF-8, in bytes."""
        return sum(array.nbytes + len(key.encode()) for key, array in self.items())

    def schema(self) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
        """Name, element type and shape of each tensor. Records can be averaged if their schemas are equal."""
        return tuple([(key, array.dtype, array.shape) for key, array in self.items()])


def _single_source(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not kwargs.keys() <= {"array_dict", "numpy_ndarrays", "torch_state_dict"}:
        raise TypeError(f"ArrayRecord takes no argument named {', '.join(kwargs)}.")
    sources = [*args, *kwargs.values()]
    if len(sources) > 1:
        raise TypeError("ArrayRecord takes at most one container of tensors.")
    source = sources[0] if sources else None
    if source is not None and not isinstance(source, (list, Mapping)):
        raise TypeError(
            f"ArrayRecord is created from a dict of Arrays, a list of ndarrays or a torch state dict, not {type(source).__name__}."
        )
    return source


def _tensor(key: str, value: Any) -> Any:
    torch = sys.modules.get("torch")
    if isinstance(value, np.ndarray) or (torch is not None and isinstance(value, torch.Tensor)):
        return value
    if isinstance(value, np.generic):
        return np.asarray(value)
    raise TypeError(f"ArrayRecord[{key!r}] must be an Array, an ndarray or a torch tensor, not {type(value).__name__}.")
