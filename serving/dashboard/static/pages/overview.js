// Every market: price, change, range, volume, spread. Figures of the day are read; best prices follow the live feed.

import { h, panel, rows, Table, throttled } from "../dom.js";
import { poll } from "../data.js";
import { bps, percent, price, short } from "../format.js";
import { bar, NONE } from "../market.js";

export const title = "Markets";

const SVG = "http://www.w3.org/2000/svg";

function spark(cell, { opened, closes: hourly }) {
  const closes = [opened, ...hourly];
  if (!cell.path) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "spark");
    svg.setAttribute("viewBox", "0 0 100 24");
    svg.setAttribute("preserveAspectRatio", "none");
    cell.path = document.createElementNS(SVG, "path");
    svg.append(cell.path);
    cell.append(svg);
  }
  const low = Math.min(...closes), high = Math.max(...closes), span = high - low || 1, step = 100 / Math.max(1, closes.length - 1);
  cell.path.setAttribute("d", closes.map((close, place) => `${place ? "L" : "M"}${(place * step).toFixed(1)} ${(22 - ((close - low) / span) * 20).toFixed(1)}`).join(""));
  cell.classList.toggle("up", closes.at(-1) >= closes[0]);
  cell.classList.toggle("down", closes.at(-1) < closes[0]);
}

export function mount(root, live) {
  const tops = new Map();
  let markets = [], wanted = "";
  const key = (each) => `${each.exchange} ${each.symbol}`;
  const top = (each) => tops.get(key(each));
  const spread = (each) => { const now = top(each); return now?.bid && now?.ask ? ((now.ask - now.bid) / ((now.ask + now.bid) / 2)) * 1e4 : null; };
  const change = (each) => (each.price / each.opened - 1) * 100;
  const table = new Table([
    { title: "Market", value: (each) => each.symbol },
    { title: "Exchange", value: (each) => each.exchange, class: "dim" },
    { title: "Price", class: "num", value: (each) => each.price, format: price, flash: true },
    { title: "24 h", class: "num", says: "From the open of 24 hours ago, by whole hours", value: change, format: percent, sign: (value) => value },
    { title: "Bid", class: "num", value: (each) => top(each)?.bid, format: price },
    { title: "Ask", class: "num", value: (each) => top(each)?.ask, format: price },
    { title: "Spread, bps", class: "num", value: spread, format: bps, sign: (value) => (value !== null && value < 0 ? -1 : 0) },
    { title: "Volume", class: "num", says: "24 h, in the base", value: (each) => each.volume, format: short },
    { title: "Turnover", class: "num", says: "24 h, in the quote", value: (each) => each.quote_volume, format: short },
    { title: "Low – high", class: "num dim", value: (each) => `${price(each.low)} – ${price(each.high)}` },
    { title: "24 h", value: (each) => each.closes.join(), draw: (cell, _, each) => spark(cell, each) },
  ], { click: (each) => document.dispatchEvent(new CustomEvent("tickhouse-go", { detail: { name: "chart", market: { exchange: each.exchange, symbol: each.symbol } } })) });
  const box = panel("", table.node);
  const filter = h("input", { type: "search", placeholder: "BTC, kraken …", "aria-label": "Filter markets", oninput: () => { wanted = filter.value.toLowerCase(); draw(); } });
  root.append(bar(h("h1", {}, "Markets"), filter, h("span", { class: "note" }, "Tap a market for its chart.")), box);

  const draw = () => {
    if (!markets.length) return;
    table.show(markets.filter((each) => key(each).toLowerCase().includes(wanted)), key);
  };
  const soon = throttled(draw, 500);
  const reading = poll("overview", () => ({}), 5000, (found) => {
    markets = rows(found.markets);
    for (const each of rows(found.tops)) if (!((top(each)?.updated ?? 0) > each.updated)) tops.set(key(each), each);
    markets.length ? box.ready() : box.empty(...NONE);
    draw();
  }, box.failed);
  const leave = live.follow([{ channel: "tops" }], (event) => {
    if (event.type !== "book_top") return;
    tops.set(key(event), { bid: event.bids[0]?.[0], ask: event.asks[0]?.[0], updated: event.local_timestamp / 1000 });
    soon();
  }, reading.now);
  return () => { leave(); reading.stop(); soon.cancel(); };
}
