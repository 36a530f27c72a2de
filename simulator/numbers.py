"""Spelling numbers: whole ticks and lots as decimal text.

What belongs here: formats that several venues share. What does not: a format of one venue alone.
"""

from __future__ import annotations


def fixed(number: int, decimals: int) -> str:
    """A whole number of 10**-decimals as plain decimal text without trailing zeros."""
    if decimals <= 0:
        return str(number * 10**-decimals)
    digits = str(number).zfill(decimals + 1)
    text = f"{digits[:-decimals]}.{digits[-decimals:]}".rstrip("0")
    return text.removesuffix(".")


class Prices:
    """The texts of prices in ticks, kept because a market shows the same ones again and again."""

    __slots__ = ("_decimals", "_texts")
    MOST = 50_000

    def __init__(self, decimals: int) -> None:
        self._decimals = decimals
        self._texts: dict[int, str] = {}

    def __call__(self, ticks: int) -> str:
        text = self._texts.get(ticks)
        if text is None:
            if len(self._texts) > self.MOST:
                self._texts.clear()
            text = self._texts[ticks] = fixed(ticks, self._decimals)
        return text
