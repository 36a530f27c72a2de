"""`indicators`: the core suite over anyone's candle file.

Put here: arguments, where the answer goes, remarks. Keep out: reading files, understanding tables and computing (`lake`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from lake.candle_files import TableFormat


class TableOutput(StrEnum):
    """How the table is written."""

    PARQUET = "parquet"
    CSV = "csv"


_SUFFIXES: Final[dict[str, TableFormat]] = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}


def indicators(
    file: Annotated[Path, typer.Argument(help="Candles: CSV (also .gz), Parquet or Feather.", exists=True, dir_okay=False)],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write here: .parquet, .csv or .csv.gz; default is CSV on standard output.")
    ] = None,
    output: Annotated[
        TableOutput | None, typer.Option("--format", help="parquet (without --out: FILE.indicators.parquet beside it) or csv.")
    ] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="The market, e.g. ETH/BTC, where no column names it.")] = None,
    studies: Annotated[str | None, typer.Option("--studies", help="Further studies, e.g. adx,atr_20,macd_5_35_5.")] = None,
    columns: Annotated[
        str | None,
        typer.Option("--columns", help="Names of the columns of a CSV without a header, e.g. timestamp,open,high,low,close,volume."),
    ] = None,
) -> None:
    """Compute the core suite of indicators over a candle file."""
    path, as_format = _target(file, out, output)
    from lake import candle_files
    from lake.transforms.candle_table import candle_table
    from lake.transforms.indicators.table import with_indicators

    given = candle_table(candle_files.read_table(file, columns=_split(columns)), symbol=symbol)
    answer = with_indicators(given, studies=_split(studies))
    for remark in answer.remarks:
        typer.echo(remark, err=True)
    if path is None:
        typer.echo(candle_files.csv_text(answer.rows), nl=False)
    else:
        candle_files.write_table(answer.rows, path, as_format=as_format)
        typer.echo(f"{answer.rows.height:,} rows in {path}", err=True)


def _target(file: Path, out: Path | None, output: TableOutput | None) -> tuple[Path | None, TableFormat]:
    """Where the table goes, None for standard output, and in which format."""
    if out is None:
        beside = file.with_name(f"{file.name}.indicators.parquet") if output is TableOutput.PARQUET else None
        return beside, "parquet" if beside else "csv"
    suffix = ".csv.gz" if out.name.endswith(".csv.gz") else out.suffix
    if output is None and suffix not in _SUFFIXES:
        raise typer.BadParameter(f"--out is {out}, allowed are names that end in {', '.join(_SUFFIXES)}, or a --format beside it")
    if out.resolve() == file.resolve():
        raise typer.BadParameter(f"--out is {out}, which is the file of the candles: expected another")
    return out, _SUFFIXES[suffix] if output is None else _SUFFIXES[f".{output.value}"]


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()
