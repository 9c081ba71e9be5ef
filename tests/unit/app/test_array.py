"""Array: made from what, over whose memory."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from umbel.app import Array, ArrayRecord
from umbel.app.array import SAFETENSORS_NAMES, bfloat16_to_float32, float32_to_bfloat16

NUMPY_TYPES = [name for name in SAFETENSORS_NAMES if name != "bfloat16"]


def npy(values: np.ndarray) -> bytes:
    """The bytes of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", NUMPY_TYPES)
def test_each_element_type(dtype: str) -> None:
    """Every type that can travel is taken as it is, and its numbers come out of its `.npy` bytes."""
    values = np.array([[0, 1, 1]], dtype)
    array = Array(values)
    assert (array.dtype, array.shape, array.nbytes, array.stype) == (dtype, (1, 3), values.nbytes, "numpy.ndarray")
    assert array.numpy() is values
    assert Array(dtype, (1, 3), "numpy.ndarray", array.data) == array


def test_nothing_is_copied() -> None:
    """In and out it is the same memory: what changes in one changes in the other."""
    values = np.zeros(3, np.float32)
    array = Array(values)
    values[0] = 7
    array.numpy()[1] = 8
    assert values.tolist() == [7, 8, 0]
    assert np.shares_memory(array.storage, values)
    assert np.shares_memory(Array(values[::2]).numpy(), values)


def test_each_way_to_make_one() -> None:
    """Positional, by name, from a class method, or from the parts of a `.npy` serialisation."""
    values = np.arange(4, dtype=np.int64).reshape(2, 2)
    made = [
        Array(values),
        Array(ndarray=values),
        Array.from_numpy_ndarray(values),
        Array("int64", (2, 2), "numpy.ndarray", npy(values)),
        Array(dtype="int64", shape=(2, 2), stype="numpy.ndarray", data=npy(values)),
        Array("int64", (2, 2), stype="numpy.ndarray", data=npy(values)),
    ]
    assert all(array == made[0] for array in made)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (([1, 2],), {}),
        ((1.0,), {}),
        ((np.zeros(1), np.zeros(1)), {}),
        ((np.zeros(1),), {"ndarray": np.zeros(1)}),
        (("float64", (1,), "numpy.ndarray"), {}),
        (("float64", (1,), "numpy.ndarray", b""), {"data": b""}),
        (("float64", (1,), "numpy.ndarray", b"", 1), {}),
        ((), {"ndarray": [1]}),
        ((), {"torch_tensor": [1]}),
        ((), {"values": np.zeros(1)}),
        (("float64", (1,), "pickle", npy(np.zeros(1))), {}),
    ],
)
def test_other_ways_are_type_errors(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    """Something else, too much, too little, a mixture, or another serialisation."""
    with pytest.raises(TypeError):
        Array(*args, **kwargs)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "values", [np.array(["a"]), np.array([None]), np.array(0, "M8[s]"), np.zeros(1, "V2"), np.zeros(1, "c16")]
)
def test_types_that_cannot_travel(values: np.ndarray) -> None:
    """Texts, objects, dates: the error lists what is allowed."""
    with pytest.raises(TypeError, match=r"cannot hold elements of type .* Allowed: bool, uint8"):
        Array(values)


def test_a_pickle_in_npy_bytes_is_refused() -> None:
    """Object arrays are pickled in `.npy` files: they are not loaded."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Array("float64", (1,), "numpy.ndarray", buffer.getvalue())


@pytest.mark.parametrize(("dtype", "shape"), [("float32", (2,)), ("float64", (1,)), ("float64", (2, 1))])
def test_an_announcement_that_does_not_fit(dtype: str, shape: tuple[int, ...]) -> None:
    """The type and shape given beside the bytes must be those in the bytes."""
    with pytest.raises(ValueError, match="The data contains"):
        Array(dtype, shape, "numpy.ndarray", npy(np.zeros(2)))


def test_foreign_byte_order_is_made_native() -> None:
    """The same numbers, in this machine's order."""
    array = Array(np.array([1, 258], ">i4"))
    assert array.dtype == "int32"
    assert array.storage.dtype.isnative
    assert array.numpy().tolist() == [1, 258]


def test_bfloat16() -> None:
    """It is kept as 16-bit patterns, seen as float32, and the `.npy` bytes hold the float32."""
    array = Array.from_storage("bfloat16", np.array([0x3F80, 0xC000], np.uint16))
    assert array.numpy().tolist() == [1.0, -2.0]
    assert array.numpy().dtype == np.float32
    assert array.nbytes == 4
    assert np.load(io.BytesIO(array.data), allow_pickle=False).tolist() == [1.0, -2.0]


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=0, min_side=0)))
def test_bfloat16_to_float32_and_back(patterns: np.ndarray) -> None:
    """Every bfloat16 is a float32 exactly, and comes back to the bit; NaN stays NaN."""
    floats = bfloat16_to_float32(patterns)
    back = float32_to_bfloat16(floats)
    assert back.shape == patterns.shape
    same = (back == patterns) | np.isnan(floats)
    assert same.all()
    assert (np.isnan(bfloat16_to_float32(back)) == np.isnan(floats)).all()


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_rounding_to_bfloat16_goes_to_the_nearest(value: float) -> None:
    """No bfloat16 beside the chosen one is nearer; of two equally near ones the even one is taken."""
    chosen = int(float32_to_bfloat16(np.array(value, np.float32)))
    neighbours = [pattern for pattern in (chosen - 1, chosen, chosen + 1) if 0 <= pattern < 1 << 16]
    distances = {
        pattern: abs(float(bfloat16_to_float32(np.array(pattern, np.uint16))) - value) for pattern in neighbours
    }
    finite = [pattern for pattern, distance in distances.items() if np.isfinite(distance)]
    if chosen in finite:
        assert distances[chosen] == min(distances[pattern] for pattern in finite)
        assert chosen % 2 == 0 or all(distances[pattern] > distances[chosen] for pattern in finite if pattern != chosen)


def test_equality_is_of_bits() -> None:
    """Type, shape and bits count: NaN equals NaN, 0.0 is not -0.0, a view equals its copy; an Array has no hash."""
    nan = np.array([np.nan, 1])
    assert Array(nan) == Array(nan.copy())
    assert Array(np.array(0.0)) != Array(np.array(-0.0))
    assert Array(np.zeros(2)) != Array(np.zeros(2, np.float32))
    assert Array(np.zeros(2)) != Array(np.zeros((2, 1)))
    assert Array(np.arange(4)[::2]) == Array(np.array([0, 2]))
    assert Array(np.zeros(1)) != "Array"
    with pytest.raises(TypeError):
        hash(Array(nan))
    assert repr(Array(nan)) == "Array(float64, shape=(2,))"


def test_copies() -> None:
    """A shallow copy is over the same memory, a deep copy over its own, writable even if the original is not."""
    values = np.zeros(2, np.float32)
    values.flags.writeable = False
    record = ArrayRecord([values])
    assert np.shares_memory(copy.copy(record["0"]).storage, values)
    deep = copy.deepcopy(record)
    assert deep == record
    deep["0"].numpy()[0] = 1
    assert values[0] == 0
