"""Base units a contract in USDT holds, as Gate.io listed them in May 2023.

Put here: the table, for recordings without an instrument list. Keep out: the list itself (`instruments`), which always rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_BASES: Final[Mapping[float, tuple[str, ...]]] = {
    0.0001: ("BTC YFI",),
    0.001: ("BNB ICP MKR XAUG XCH YFII",),
    0.01: ("AAVE ALCX BCH BSV COMP CREAM DASH ETH FIL FTT GMX MOVR QNT QUICK RPL XMR XVS ZEC",),
    0.1: (
        "ALICE ANT APT AR AUCTION AXS BADGER BAKE BAL BAND BICO CAKE CRV CVX DEGO DYDX EGLD ENS ETC ETHW FLOW GAL",
        "GITCOIN GLMR GST GT HNT INJ KSM LPT LTC MANA MASK MBOX MINA MTL OG OKB ORDI PERP PROM RAD RAY RUNE SNX SSV SUN",
        "TON TRB UNFI ZEN",
    ),
    9.6: ("PYR",),
    10.0: (
        "ADA AGIX ALGO ANKR ARPA ASTR ASTRA ATA BAIDOGE BAT BLZ BSHIBAI BTM CELR CETUS CFX CHR CSPR CVC DGB DODO DOGE",
        "DUSK FLM GALA GARI GFT GPT GRT HBAR IDEX IOST IOTX LINA MATIC MDT OAS OAX ONE PEOPLE POLYX POND RARE REN RIF",
        "RVN SKL STEEM TFUEL TRU VMPX VRA XCN XLM XRD XRP ZIL",
    ),
    11.0: ("ACH",),
    100.0: ("ACS AKRO BTS CHZ CKB FLR JST KEY MBABYDOGE OOKI RACA REEF ROSE RSR SC SQUAD STMX TRX USTC VELO VET",),
    1_000.0: ("DENT HOT SPELL TURBO WOJAK",),
    10_000.0: ("FLOKI LUNC POGAI SHIB WIN XEC",),
    100_000.0: ("NFT SOS",),
    1_000_000.0: ("BONK XEN",),
    10_000_000.0: ("LADYS MONG PAW PEPE",),
    100_000_000.0: ("VINU",),
}

CONTRACT_SIZES: Final[Mapping[str, float]] = {base: size for size, lines in _BASES.items() for line in lines for base in line.split()}
"""By base; what is not named held one unit, or was not listed."""
