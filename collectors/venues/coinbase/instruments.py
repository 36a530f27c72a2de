"""Coinbase's product lists and its names.

Put here: products of both REST interfaces, ids to CCXT symbols. Keep out: streams and books.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from collectors.errors import FrameError
from collectors.venue import HttpGet, Instrument
from collectors.venues.coinbase.messages import EXCHANGE, ExchangeProduct, Product, decode_exchange_products, decode_products

MARKETS: Final[Mapping[str, str]] = {"spot": "SPOT", "futures": "FUTURE"}
"""Product type by market."""
PRODUCTS: Final = "/api/v3/brokerage/market/products"
_DATED: Final = re.compile(r"(?P<root>[A-Z0-9]+)-(?P<day>\d{2})(?P<month>[A-Z]{3})(?P<year>\d{2})-CDE")
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def unified(native: str) -> str:
    """CCXT symbol of a product id that no list has told: BTC-USD is BTC/USD, BTC-PERP-INTX is BTC/USDC:USDC.

    A dated contract (BIT-28AUG26-CDE) keeps its root unit as base, which need not be the asset's name.
    """
    if native.endswith("-PERP-INTX"):
        return f"{native.removesuffix('-PERP-INTX')}/USDC:USDC"
    dated = _DATED.fullmatch(native)
    if dated and dated["month"] in _MONTHS:
        return f"{dated['root']}/USD:USD-{dated['year']}{_MONTHS.index(dated['month']) + 1:02}{dated['day']}"
    base, dash, quote = native.rpartition("-")
    return f"{base}/{quote}" if dash else native


def instrument_requests(endpoints: Mapping[str, str], markets: Sequence[str]) -> list[HttpGet]:
    """One request for each market."""
    return [
        HttpGet(url=f"{endpoints['spot_rest']}{PRODUCTS}?product_type={MARKETS[market]}", purpose="instruments", symbol=market)
        for market in markets
    ]


def parse_products(body: bytes) -> list[Instrument]:
    """Instruments of a product list of either interface; raises `FrameError` when it is none. Aliases are left out.

    `BTC-USDC` is an alias whose channels answer with `BTC-USD`, so it would never deliver anything under its own name.
    """
    try:
        if body.lstrip()[:1] == b"[":
            return [_of_exchange(product) for product in decode_exchange_products(body)]
        return [_of_advanced(product) for product in decode_products(body).products if not product.alias]
    except (msgspec.MsgspecError, ValueError) as error:
        raise FrameError(EXCHANGE, f"instrument list: {error}") from error


def _of_advanced(product: Product) -> Instrument:
    base, quote = product.base_currency_id, product.quote_currency_id
    details = product.future_product_details
    symbol, settle, market, size = f"{base}/{quote}", None, "spot", 1.0
    if product.product_type != "SPOT":
        market = "futures"
        base = base or (details.contract_root_unit if details else "") or product.product_id.partition("-")[0]
        settle = quote = quote or ("USDC" if product.product_id.endswith("-INTX") else "USD")
        symbol = f"{base}/{quote}:{settle}"
        if details is not None:
            size = float(details.contract_size or 1)
            if details.contract_expiry_type != "PERPETUAL" and details.contract_expiry:
                symbol = f"{symbol}-{details.contract_expiry[2:10].replace('-', '')}"
    tick = product.price_increment or product.quote_increment
    return Instrument(
        exchange=EXCHANGE,
        symbol=symbol,
        native=product.product_id,
        market=market,
        base=base,
        quote=quote,
        settle=settle,
        tick_size=float(tick) if tick else None,
        lot_size=float(product.base_increment) * size if product.base_increment else None,
        contract_size=size,
        active=product.status in ("online", "") and not product.trading_disabled and not product.is_disabled,
    )


def _of_exchange(product: ExchangeProduct) -> Instrument:
    return Instrument(
        exchange=EXCHANGE,
        symbol=f"{product.base_currency}/{product.quote_currency}",
        native=product.id,
        market="spot",
        base=product.base_currency,
        quote=product.quote_currency,
        tick_size=float(product.quote_increment) if product.quote_increment else None,
        lot_size=float(product.base_increment) if product.base_increment else None,
        active=product.status == "online" and not product.trading_disabled,
    )
