"""What a dataset is made of: columns, keys, partitions, and the columns that many datasets share.

Put here: the two classes and shared columns. Keep out: any dataset (those stand in `lake.registry` and `lake.context_datasets`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import pyarrow as pa

TIMESTAMP: Final = pa.timestamp("us", tz="UTC")

Merge = Literal["first", "last", "sum", "none"]
"""How rows that share the unique key become one: the first, the last (a later row completes an earlier one), their sum, or not at all."""

Span = Literal["hour", "day", "month"]
"""What one partition of a dataset holds. An hour is filed under its date and hour; a day or a month as one file under its first date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its Arrow type, whether it may be null, and one line with the unit."""

    name: str
    type: pa.DataType
    comment: str
    nullable: bool = False
    delta: bool = False
    """Delta-encode in Parquet: true for ids and times, which mostly grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset: columns in file order, the sort key every sealed file follows, and the unique key.

    `time_column` decides which hour a row belongs to. `unique_key` is empty where every arrival counts.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    sort_key: tuple[str, ...]
    unique_key: tuple[str, ...]
    time_column: str
    merge: Merge
    landed: bool
    span: Span = "hour"
    extra: tuple[tuple[str, str], ...] = ()
    schema: pa.Schema = field(init=False, repr=False, compare=False)
    """The Arrow schema, column comments as field metadata under `comment`; made once, for every file and batch asks for it."""

    def __post_init__(self) -> None:
        fields = [pa.field(c.name, c.type, c.nullable, metadata={"comment": c.comment}) for c in self.columns]
        object.__setattr__(self, "schema", pa.schema(fields))

    def column(self, name: str) -> Column:
        """The column called `name`; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def column(name: str, type_: pa.DataType, comment: str, **more: bool) -> Column:
    """A column in one line; `more` are `nullable` and `delta`."""
    return Column(name=name, type=type_, comment=comment, **more)


EXCHANGE: Final = column("exchange", pa.string(), "Exchange id, lower case, e.g. binance.")
SYMBOL: Final = column("symbol", pa.string(), "CCXT unified symbol, e.g. BTC/USDT or BTC/USDT:USDT.")
EVENT_TIME: Final = column("timestamp", TIMESTAMP, "Exchange event time, microseconds UTC.", delta=True)
EVENT_TIME_OR_NULL: Final = column(
    "timestamp", TIMESTAMP, "Exchange event time, microseconds UTC; null where the venue sends none.", nullable=True, delta=True
)
LOCAL_TIME: Final = column("local_timestamp", TIMESTAMP, "Our receive time, taken when the frame arrived, microseconds UTC.", delta=True)
ORDINAL: Final = column("ordinal", pa.int64(), "Orders the rows of one symbol inside one timestamp.", delta=True)
PRICE: Final = column("price", pa.float64(), "Price in quote units.")
AMOUNT: Final = column("amount", pa.float64(), "Amount in base units.")
TAKER_SIDE: Final = column("side", pa.string(), "Side of the taker: buy or sell.")
