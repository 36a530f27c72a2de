"""Every registered venue answers every question of docs/adding-a-venue.md."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from collectors import facts
from collectors.errors import FrameError, UnknownSymbol
from collectors.facts import NONE, MarketFacts, VenueFacts
from collectors.registry import VENUES, exchange_of, venue
from collectors.rows import EventBuffer
from collectors.session import BaseSession
from collectors.venue import CHANNELS, HttpGet, Limits, SendText, Stream, Venue, Wanted
from simulator.venues import VENUES as SIMULATED
from tests.collectors.test_rediff import SOURCES

pytestmark = pytest.mark.lengthy

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "adding-a-venue.md").read_text()
MARKETS = [
    pytest.param(VENUES[name], market, id=f"{name}-{market.market}") for name in sorted(VENUES) for market in VENUES[name].facts.markets
]
NAMES = sorted(VENUES)
T0 = 1_795_150_800_000_000
COLUMNS = ("channel", "variants", "rule", "evidence", "known limits")


def texts(answers: VenueFacts | MarketFacts) -> dict[str, str]:
    return {field.name: value for field in dataclasses.fields(answers) if isinstance(value := getattr(answers, field.name), str)}


def wanted(venue: Venue, market: MarketFacts) -> Wanted:
    return Wanted(symbols=(market.example.symbol,), channels=tuple(venue.channels))


@pytest.mark.parametrize("name", NAMES)
def test_it_says_who_it_is_and_where(name: str) -> None:
    answering = VENUES[name]

    assert answering.exchange == name
    assert venue(name) is answering
    assert {url.partition(":")[0] for url in answering.endpoints.values()} <= {"ws", "wss", "http", "https"}
    assert {exchange_of(url) for url in answering.endpoints.values()} == {name}
    assert set(answering.channels) <= set(CHANNELS)
    assert {"trades", "book"} <= set(answering.channels)
    assert isinstance(answering.limits, Limits)
    assert min(answering.limits.connects, answering.limits.connects_per_seconds) > 0
    assert {budget.endpoint for budget in answering.limits.rest} <= set(answering.endpoints)


@pytest.mark.parametrize("name", NAMES)
def test_its_words_answer_every_question_in_a_short_sentence(name: str) -> None:
    answers = VENUES[name].facts
    assert answers.markets
    assert len({market.market for market in answers.markets}) == len(answers.markets)

    for said in (texts(answers), *map(texts, answers.markets)):
        unanswered = [question for question, text in said.items() if not text.strip() or len(text) > 160 or text != text.strip()]
        assert unanswered == []


@pytest.mark.parametrize(("answering", "market"), MARKETS)
def test_it_plans_and_opens_a_socket_for_a_symbol_of_each_market(answering: Venue, market: MarketFacts) -> None:
    example = market.example
    assert example.exchange == answering.exchange
    assert answering.market_of(example.symbol) == example.market

    plans = answering.plan(wanted(answering, market), {example.symbol: example})

    assert plans
    assert len({plan.name for plan in plans}) == len(plans)
    carried = {stream.channel for plan in plans for stream in plan.streams}
    assert {"trades", "book"} <= carried <= set(answering.channels)
    for plan in plans:
        assert plan.exchange == answering.exchange
        assert plan.name.startswith(f"{answering.exchange}-")
        assert plan.url.startswith(("ws://", "wss://"))
        assert plan.max_age_seconds is None or plan.max_age_seconds > 600
        session = answering.session(plan, EventBuffer(), wanted(answering, market))
        session.opened(T0)
        for seconds in range(5):
            session.tick(T0 + seconds * 1_000_000)
        assert session.spacing_seconds >= 0
        assert all(isinstance(action, (SendText, HttpGet)) for action in session.actions)
        with pytest.raises(FrameError):
            session.feed(b"\x00\xff{", T0)
        session.closed(T0 + 10_000_000)


@pytest.mark.parametrize(("answering", "market"), MARKETS)
def test_it_can_subscribe_to_one_stream_anew_or_says_that_it_cannot(answering: Venue, market: MarketFacts) -> None:
    example = market.example
    for plan in answering.plan(wanted(answering, market), {example.symbol: example}):
        session = answering.session(plan, EventBuffer(), wanted(answering, market))
        assert isinstance(session, BaseSession)
        session.opened(T0)
        session.actions.clear()
        streams = [Stream(stream.channel, stream.symbol or example.symbol) for stream in plan.streams]

        renewed = session.resubscribe(streams)

        assert set(renewed) <= set(streams)
        assert bool(renewed) == any(isinstance(action, SendText) for action in session.actions)


@pytest.mark.parametrize(("answering", "market"), MARKETS)
def test_words_and_code_agree(answering: Venue, market: MarketFacts) -> None:
    example = market.example
    plans = answering.plan(wanted(answering, market), {example.symbol: example})
    carried = {stream.channel for plan in plans for stream in plan.streams}

    assert ("liquidations" in carried) == (market.liquidations != NONE)
    assert market.integrity != NONE
    assert (answering.facts.sizes != "base units") or example.contract_size == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_it_asks_for_instruments_and_refuses_what_is_no_list(name: str) -> None:
    answering = VENUES[name]
    markets = [market.market for market in answering.facts.markets]

    requests = answering.instrument_requests(answering.endpoints, markets)

    assert requests
    rest = [url for url in answering.endpoints.values() if url.startswith("http")]
    assert all(any(request.url.startswith(url) for url in rest) for request in requests)
    for request in requests:
        with pytest.raises(FrameError):
            answering.parse_instruments(request, b'{"unexpected": true')


@pytest.mark.parametrize("name", NAMES)
def test_a_symbol_it_cannot_have_is_refused_with_its_name(name: str) -> None:
    with pytest.raises(UnknownSymbol, match="BTCUSDT"):
        VENUES[name].market_of("BTCUSDT")
    symbol = VENUES[name].facts.markets[0].example.symbol
    with pytest.raises(UnknownSymbol, match=re.escape(symbol)):
        VENUES[name].plan(Wanted(symbols=(symbol,), channels=("trades",)), {})


@pytest.mark.parametrize("name", NAMES)
def test_it_reads_recordings_of_any_connection(name: str) -> None:
    session = VENUES[name].recorded_session(EventBuffer())

    session.connected(None, None)
    session.tick(T0)

    assert session.books() == {}
    assert (session.checksums.verified, session.checksums.failed) == (0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_its_evidence_page_has_a_table_of_channels_variants_rules_evidence_and_limits(name: str) -> None:
    page = (ROOT / "docs" / "venues" / f"{name}.md").read_text()
    header = next(line for line in page.splitlines() if line.startswith("| channel"))

    columns = [cell.strip() for cell in header.strip("|").split("|")]

    assert page.startswith("# ")
    assert [found for found, column in zip(columns, COLUMNS, strict=True) if column not in found] == []
    rows = [line for line in page.splitlines() if line.startswith("| ") and not re.match(r"\| (---|channel)", line)]
    assert len(rows) >= 4
    assert f"(venues/{name}.md)" in (ROOT / "docs" / "venues.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_its_recordings_are_read_and_its_hours_made_again_by_tests(name: str, recordings: Path) -> None:
    assert any((recordings / name).iterdir())
    assert name in SOURCES
    covering = [path.name for path in (ROOT / "tests" / "collectors").glob("test_*.py") if f'"{name}' in path.read_text()]
    assert covering


def test_every_venue_is_simulated(request: pytest.FixtureRequest) -> None:
    missing = sorted(set(VENUES) - set(SIMULATED))
    if missing:
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"not simulated yet: {', '.join(missing)}"))

    assert missing == []


def test_the_table_has_a_row_for_every_market() -> None:
    rows = facts.table(VENUES)

    assert [(row.exchange, row.market) for row in rows] == [
        (name, market.market) for name in NAMES for market in VENUES[name].facts.markets
    ]
    assert {row.socket_hours for row in rows if row.exchange == "binance"} == {23.0}
    assert all(row.sockets > 0 for row in rows)


@pytest.mark.parametrize("answers", [VenueFacts, MarketFacts])
def test_the_guide_names_every_question(answers: type) -> None:
    missing = [
        field.name for field in dataclasses.fields(answers) if field.name not in {"markets", "name"} and f"`{field.name}`" not in GUIDE
    ]

    assert missing == []


def test_the_guide_names_every_attribute_and_method_of_the_contract() -> None:
    members = {name for name in (*Venue.__annotations__, *vars(Venue)) if not name.startswith("_")} - {"session"}

    missing = sorted(name for name in members if not re.search(rf"`{name}\b", GUIDE))

    assert missing == []
