"""Arrays made from torch tensors, and back."""

from __future__ import annotations

import numpy as np
import pytest

from umbel.app import Array, ArrayRecord
from umbel.app.safetensors import decode, encode

pytestmark = pytest.mark.torch


def test_memory_is_shared() -> None:
    """A tensor on the CPU is not copied in, nor out; gradients stay behind."""
    import torch

    tensor = torch.zeros(3, requires_grad=True)
    array = Array(tensor)
    array.numpy()[0] = 5
    assert tensor[0].item() == 5
    back = array.torch()
    back[1] = 6
    assert tensor[1].item() == 6
    assert not back.requires_grad


def test_each_type() -> None:
    """The types torch and safetensors share come back as they were, bfloat16 included, 0-d and empty tensors too."""
    import torch

    types = [
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.int8,
        torch.uint8,
        torch.int64,
        torch.bool,
        torch.complex64,
    ]
    for dtype in types:
        for tensor in (torch.ones(2, 3, dtype=dtype), torch.tensor(1, dtype=dtype), torch.ones(0, 2, dtype=dtype)):
            array = Array(tensor)
            assert (array.dtype, array.shape) == (str(dtype).removeprefix("torch."), tuple(tensor.shape))
            assert torch.equal(array.torch(), tensor)
            assert array.torch().dtype == dtype


def test_bfloat16_keeps_its_bits() -> None:
    """Through a file as well; NumPy sees the same numbers as float32."""
    import torch

    tensor = torch.tensor([1.5, -2.0, 3.140625], dtype=torch.bfloat16)
    (array,) = decode(b"".join(encode(ArrayRecord({"w": Array(tensor)}))))[0].values()
    assert torch.equal(array.torch(), tensor)
    assert array.numpy().tolist() == tensor.float().tolist()


def test_each_way_to_make_one() -> None:
    """By name and by class method; views and transposed tensors by their elements."""
    import torch

    tensor = torch.arange(6.0).reshape(2, 3).T
    for array in (Array(tensor), Array(torch_tensor=tensor), Array.from_torch_tensor(tensor)):
        assert array.numpy().tolist() == tensor.tolist()
    assert Array(tensor.to(torch.bfloat16)).numpy().tolist() == tensor.tolist()


def test_a_state_dict_there_and_back() -> None:
    """Names, order, types and values; a model loads it; memory is shared."""
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    state = net.state_dict()
    for record in (ArrayRecord(state), ArrayRecord(torch_state_dict=state), ArrayRecord.from_torch_state_dict(state)):
        back = record.to_torch_state_dict()
        assert list(back) == list(state)
        assert all(torch.equal(back[name], state[name]) for name in state)
        net.load_state_dict(back)
    assert record["0.weight"].numpy().ctypes.data == state["0.weight"].data_ptr()
    assert record.to_torch_state_dict(keep_input=False).keys() == state.keys()
    assert record == {}


def test_read_only_memory_is_copied_for_torch() -> None:
    """Torch has no read-only tensors: what came from a mapped file is copied, without a warning."""
    values = np.ones(2, np.float32)
    values.flags.writeable = False
    tensor = Array(values).torch()
    tensor[0] = 2
    assert values.tolist() == [1, 1]
