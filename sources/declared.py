"""What a user declares in files: symbols to track whatever else says, and flags noted about base assets.

Put here: reading and checking declarations.toml and flags.toml. Keep out: storing them, and what follows from them.

    # declarations.toml                          # flags.toml
    [[track]]                                    [USDT]
    exchange = "okx"                             stablecoin = true
    symbol = "TON/USDT"                          [DOGE]
    reason = "watched for the desk"              theme = "meme"
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sources.errors import DeclarationError

_EXCHANGE: Final = re.compile(r"[a-z][a-z0-9_]*")
_SYMBOL: Final = re.compile(r"[^\s/:]+/[^\s/:]+(:[^\s/:]+)?")
_FLAG: Final = re.compile(r"[a-z][a-z0-9_]*")
_BASE: Final = re.compile(r"[^\s/:]+")


@dataclass(frozen=True, slots=True, order=True)
class Declaration:
    """A symbol of an exchange that is tracked."""

    exchange: str
    symbol: str
    reason: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Flag:
    """A flag of a base asset; `value` is text, `true` for one that is merely set."""

    base: str
    flag: str
    value: str


def read_declarations(path: Path) -> list[Declaration]:
    """The declarations of a file, in order of exchange and symbol; none where there is no file. Raises `DeclarationError`."""
    content = _read(path)
    if odd := sorted(content.keys() - {"track"}):
        raise DeclarationError(path, f"has {odd[0]!r} at its top, expected [[track]] tables alone")
    tables = content.get("track", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise DeclarationError(path, "has a 'track' that is no list of tables, expected [[track]] with exchange and symbol")
    found: dict[tuple[str, str], Declaration] = {}
    for number, table in enumerate(tables, start=1):
        declared = _declaration(path, number, table)
        if (declared.exchange, declared.symbol) in found:
            raise DeclarationError(path, f"declares {declared.exchange} {declared.symbol} twice, expected once")
        found[declared.exchange, declared.symbol] = declared
    return sorted(found.values())


def _declaration(path: Path, number: int, table: dict[str, Any]) -> Declaration:
    if odd := sorted(table.keys() - {"exchange", "symbol", "reason"}):
        raise DeclarationError(path, f"has {odd[0]!r} in [[track]] number {number}, expected exchange, symbol and reason alone")
    exchange, symbol, reason = (table.get(name, "") for name in ("exchange", "symbol", "reason"))
    if not isinstance(exchange, str) or not _EXCHANGE.fullmatch(exchange):
        raise DeclarationError(path, f"has exchange = {exchange!r} in [[track]] number {number}, expected an id such as 'okx'")
    if not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol):
        raise DeclarationError(path, f"has symbol = {symbol!r} in [[track]] number {number}, expected one such as 'BTC/USDT'")
    if not isinstance(reason, str):
        raise DeclarationError(path, f"has reason = {reason!r} in [[track]] number {number}, expected text")
    return Declaration(exchange, symbol, reason)


def read_flags(path: Path) -> list[Flag]:
    """The flags of a file, in order of base and name; none where there is no file. Raises `DeclarationError`."""
    found: dict[tuple[str, str], Flag] = {}
    for base, table in _read(path).items():
        if not isinstance(table, dict) or not _BASE.fullmatch(base):
            raise DeclarationError(path, f"has {base!r} at its top, expected one table for each base asset, such as [BTC]")
        for name, value in table.items():
            if not _FLAG.fullmatch(name):
                raise DeclarationError(path, f"has a flag {name!r} under [{base}], expected lower-case letters, digits and _")
            flag = Flag(base.upper(), name, _flag_value(path, base, name, value))
            if (flag.base, flag.flag) in found:
                raise DeclarationError(path, f"has {name} for {flag.base} twice, expected once, however the base is spelled")
            found[flag.base, flag.flag] = flag
    return sorted(found.values())


def _flag_value(path: Path, base: str, name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise DeclarationError(path, f"has {name} = {value!r} under [{base}], expected true, false, a number or text")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DeclarationError(path, f"cannot be read: {error}") from error
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(path, f"is no TOML: {error}") from error
