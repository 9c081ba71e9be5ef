"""RecordDict: the content of a message."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Generic, TypeVar

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import ConfigRecord, MetricRecord, Record

AnyRecord = ArrayRecord | MetricRecord | ConfigRecord
R = TypeVar("R", bound=AnyRecord)


def kind_of(record: AnyRecord) -> type[AnyRecord]:
    """The kind of a record: ArrayRecord, MetricRecord or ConfigRecord, also for an instance of a subclass."""
    if isinstance(record, ArrayRecord):
        return ArrayRecord
    return MetricRecord if isinstance(record, MetricRecord) else ConfigRecord


class RecordDict(Record[AnyRecord]):
    """A dict of named records. `array_records`, `metric_records` and `config_records` are live views of one kind each."""

    __slots__ = ()

    def __init__(self, records: Mapping[str, AnyRecord] | None = None) -> None:
        """Create a RecordDict from `records`. Raises TypeError for a value that is not a record."""
        super().__init__(records)

    @classmethod
    def check_value(cls, key: str, value: object) -> AnyRecord:
        """`value`, converted to a plain Python type where necessary. Raises TypeError for a type that the record does not allow."""
        if not isinstance(value, (ArrayRecord, MetricRecord, ConfigRecord)):
            raise TypeError(
                f"RecordDict[{key!r}] must be an ArrayRecord, a MetricRecord or a ConfigRecord, not {type(value).__name__}."
            )
        return value

    def __setitem__(self, key: str, value: AnyRecord) -> None:
        old = self.get(key)
        super().__setitem__(key, value)
        if old is not None and kind_of(old) is not kind_of(value):
            warnings.warn(
                f"The type of RecordDict[{key!r}] changed from {type(old).__name__} to {type(value).__name__}.",
                stacklevel=2,
            )

    @property
    def array_records(self) -> RecordView[ArrayRecord]:
        """A live view of the ArrayRecords."""
        return RecordView(self, ArrayRecord)

    @property
    def metric_records(self) -> RecordView[MetricRecord]:
        """A live view of the MetricRecords."""
        return RecordView(self, MetricRecord)

    @property
    def config_records(self) -> RecordView[ConfigRecord]:
        """A live view of the ConfigRecords."""
        return RecordView(self, ConfigRecord)


class RecordView(MutableMapping[str, R], Generic[R]):
    """The records of one kind in a RecordDict. Changes to the view change the RecordDict."""

    def __init__(self, records: RecordDict, kind: type[R]) -> None:
        """A view of the records of type `kind` in `records`."""
        self._records = records
        self._kind = kind

    def __getitem__(self, key: str) -> R:
        value = self._records[key]
        if not isinstance(value, self._kind):
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: R) -> None:
        if not isinstance(value, self._kind):
            raise TypeError(f"{key!r} must be of type {self._kind.__name__} here, not {type(value).__name__}.")
        self._records[key] = value

    def __delitem__(self, key: str) -> None:
        del self._records[self._present(key)]

    def _present(self, key: str) -> str:
        self[key]
        return key

    def __iter__(self) -> Iterator[str]:
        return (key for key, value in self._records.items() if isinstance(value, self._kind))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
