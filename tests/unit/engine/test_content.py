"""Every client gets its own content."""

from __future__ import annotations

import numpy as np
import pytest

from umbel.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from umbel.engine import shared_memory
from umbel.engine.contents import ReceivedContent
from umbel.wire.records import pack

SMALL, LARGE = 10, 400_000


def content(size: int) -> RecordDict:
    """A content with tensors of several types."""
    arrays = ArrayRecord(
        {"a": Array(np.arange(size, dtype=np.float32)), "b": Array(np.arange(3)), "s": Array(np.array(7.0))}
    )
    return RecordDict({"arrays": arrays, "config": ConfigRecord({"lr": 0.1}), "metrics": MetricRecord({"x": [1, 2]})})


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_what_one_client_changes_no_other_sees(size: int, is_shared: bool) -> None:
    """Arrays are writable in place, whether they came in the frame or in shared memory, and stay as sent for the next client."""
    parts = pack(content(size))
    if is_shared:
        fd, length = shared_memory.write(parts)
        received = ReceivedContent(shared_memory.shared(fd, length), fd)
    else:
        received = ReceivedContent(b"".join(parts))
    first, second = received.fresh(), received.fresh()
    for array in first.array_records["arrays"].to_numpy_ndarrays():
        np.add(array, 1, out=array)
    first.config_records["config"]["lr"] = 9.0
    assert second == content(size)
    received.close()
    assert received._prototype == content(size)
    assert float(first.array_records["arrays"]["s"].numpy()) == 8.0
