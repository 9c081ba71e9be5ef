"""Records and messages with the semantics of Flower: an Array is a copy, not a view of the app's memory.

The functions `adopt…` convert incoming messages in place, without copying. Outgoing messages need no conversion, because these
classes are subclasses without additional fields.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from umbel.app import array, arrayrecord, message, recorddict
from umbel.app.message import Error
from umbel.app.records import ConfigRecord, MetricRecord

if TYPE_CHECKING:
    import torch


class Array(array.Array):
    """An Array that copies its source and returns copies; otherwise like `umbel.app.Array`."""

    __slots__ = ()

    def _take_ndarray(self, values: NDArray[Any]) -> None:
        super()._take_ndarray(np.array(values))

    def _take_tensor(self, tensor: torch.Tensor) -> None:
        super()._take_tensor(tensor.detach().clone())

    def numpy(self) -> NDArray[Any]:
        """A copy of the elements; bfloat16 is widened to float32."""
        return np.array(super().numpy())

    def torch(self) -> torch.Tensor:
        """A copy of the elements as a CPU tensor."""
        return super().torch().clone()


class ArrayRecord(arrayrecord.ArrayRecord):
    """A dict of named Arrays that are copies; otherwise like `umbel.app.ArrayRecord`."""

    __slots__ = ()
    array_type: ClassVar[type[array.Array]] = Array

    def count_bytes(self) -> int:
        """Size of the arrays as `.npy` files plus the length of the keys in UTF-8."""
        return super().count_bytes() + sum(_npy_header(each) for each in self.values())


def _npy_header(each: array.Array) -> int:
    """The bytes of a `.npy` file before its elements."""
    form = {"descr": each.storage.dtype.str, "fortran_order": False, "shape": each.shape}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, form)
    return buffer.tell()


class RecordDict(recorddict.RecordDict):
    """The content of a message, with the earlier names of its views; otherwise like `umbel.app.RecordDict`."""

    __slots__ = ()

    def __init__(
        self,
        records: Mapping[str, recorddict.AnyRecord] | None = None,
        *,
        parameters_records: Mapping[str, arrayrecord.ArrayRecord] | None = None,
        metrics_records: Mapping[str, MetricRecord] | None = None,
        configs_records: Mapping[str, ConfigRecord] | None = None,
    ) -> None:
        """Create a RecordDict from all given records. The keywords are earlier names for parts of `records`."""
        super().__init__(
            {**(records or {}), **(parameters_records or {}), **(metrics_records or {}), **(configs_records or {})}
        )

    @property
    def parameters_records(self) -> recorddict.RecordView[arrayrecord.ArrayRecord]:
        """The same as `array_records`."""
        return self.array_records

    @property
    def metrics_records(self) -> recorddict.RecordView[MetricRecord]:
        """The same as `metric_records`."""
        return self.metric_records

    @property
    def configs_records(self) -> recorddict.RecordView[ConfigRecord]:
        """The same as `config_records`."""
        return self.config_records


class Message(message.Message):
    """A message that can create its reply; otherwise like `umbel.app.Message`."""

    __slots__ = ()

    def create_reply(self, content: recorddict.RecordDict, ttl: float | None = None) -> Message:
        """The same as `Message(content, reply_to=message, ttl=ttl)`."""
        return Message(content, reply_to=self, ttl=ttl)

    def create_error_reply(self, error: Error, ttl: float | None = None) -> Message:
        """The same as `Message(error, reply_to=message, ttl=ttl)`."""
        return Message(error, reply_to=self, ttl=ttl)


def adopt(carrier: message.Message) -> Message:
    """Convert a message and its content to the classes of this module, in place, and return it."""
    carrier.__class__ = Message
    if carrier.has_content():
        adopt_content(carrier.content)
    return cast(Message, carrier)


def adopt_content(content: recorddict.RecordDict) -> RecordDict:
    """Convert the content of a message to the classes of this module, in place, and return it."""
    content.__class__ = RecordDict
    for record in content.values():
        if isinstance(record, arrayrecord.ArrayRecord):
            adopt_arrays(record)
    return cast(RecordDict, content)


def adopt_arrays(arrays: arrayrecord.ArrayRecord) -> ArrayRecord:
    """Convert arrays to the classes of this module, in place, and return them."""
    arrays.__class__ = ArrayRecord
    for each in arrays.values():
        each.__class__ = Array
    return cast(ArrayRecord, arrays)
