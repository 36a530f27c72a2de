// The order books of a symbol on all its exchanges, kept whole from the live feed: ladder, depth, and how they stand to each other.

import { h, panel, segments, Table, text, throttled, toggles } from "../dom.js";
import { Refused } from "../data.js";
import { amount, bps, price, short } from "../format.js";
import { base, chart, colour, venue } from "../charts.js";
import { bar, choose, chosen, NONE, picker } from "../market.js";

export const title = "Order book";

const LEVELS = 16;

class Book {
  constructor() { this.bids = new Map(); this.asks = new Map(); this.at = 0; }
  take(event) {
    if (event.type === "book") { this.bids = new Map(event.bids); this.asks = new Map(event.asks); }
    else for (const side of ["bids", "asks"]) for (const [level, rests] of event[side]) rests ? this[side].set(level, rests) : this[side].delete(level);
    this.at = event.local_timestamp;
  }
  sorted(side) { return [...this[side]].sort(side === "bids" ? (a, b) => b[0] - a[0] : (a, b) => a[0] - b[0]); }
}

export function mount(root, live) {
  const books = new Map();
  let hidden = new Set(), leave = null, reach = 0.5, timer = null, switches = h("span"), names = "";
  const view = chart("tall");
  const ladder = h("table", { class: "ladder" });
  const spreads = new Table([
    { title: "Exchange", value: (each) => each.exchange },
    { title: "Bid", class: "num", value: (each) => each.bid, format: price },
    { title: "Ask", class: "num", value: (each) => each.ask, format: price },
    { title: "Spread, bps", class: "num", value: (each) => each.spread, format: bps },
    { title: "Bids within 0.1 %", class: "num", value: (each) => each.bids, format: short },
    { title: "Asks within 0.1 %", class: "num", value: (each) => each.asks, format: short },
    { title: "Levels", class: "num dim", value: (each) => each.levels },
  ]);
  const box = panel("Ladder of all exchanges together", h("div", { class: "scroll" }, ladder));
  const deep = panel("Depth: what rests up to a price", view.node);
  const each = panel("By exchange", spreads.node);
  const market = picker(() => load());
  root.append(
    bar(market.nodes[0], switches, h("label", {}, "Depth ±", segments("Reach of the depth chart", [["0.1", "0.1 %"], ["0.5", "0.5 %"], ["1", "1 %"], ["5", "5 %"]], "0.5", (value) => { reach = Number(value); soon(); }))),
    h("div", { class: "grid wide-left" }, deep, box), h("div", { style: "height:12px" }), each,
  );
  const boxes = [box, deep, each];

  async function load() {
    clearTimeout(timer);
    leave?.();
    leave = null;
    books.clear();
    hidden = new Set();
    boxes.forEach((one) => one.loading());
    try {
      if (!(await market.ready())) {
        boxes.forEach((one) => one.empty(...NONE));
        timer = setTimeout(load, 5000);
        return;
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      boxes.forEach((one) => one.failed(error));
      timer = setTimeout(load, 2000);
      return;
    }
    choose({ symbol: market.symbol() });
    leave?.();
    const wishes = market.exchanges().map((exchange) => ({ channel: "books", exchange, symbol: chosen.symbol }));
    leave = live.follow(wishes, take, () => { books.clear(); });
    timer = setTimeout(() => { if (!books.size) boxes.forEach((one) => one.empty(`No book of ${chosen.symbol} has come.`, "Books are live: start collectors with `tickhouse collect`, and have the channel `book` on in tickhouse.toml.")); }, 6000);
  }

  function take(event) {
    if (event.type !== "book" && event.type !== "book_delta") return;
    let one = books.get(event.exchange);
    if (!one) {
      if (event.type !== "book") return;
      books.set(event.exchange, (one = new Book()));
    }
    one.take(event);
    soon();
  }

  function draw() {
    const known = [...books].filter(([, one]) => one.bids.size && one.asks.size).sort(([a], [b]) => (a < b ? -1 : 1));
    if (!known.length) return;
    boxes.forEach((one) => one.ready());
    if (names !== known.map(([name]) => name).join()) {
      names = known.map(([name]) => name).join();
      switches.replaceChildren(toggles("Exchanges", known.map(([name]) => [name, name]), known.map(([name]) => name).filter((name) => !hidden.has(name)), (on) => { hidden = new Set(known.map(([name]) => name).filter((name) => !on.includes(name))); soon(); }));
    }
    const seen = known.filter(([name]) => !hidden.has(name)).map(([exchange, one]) => ({ exchange, bids: one.sorted("bids"), asks: one.sorted("asks") }));
    if (!seen.length) return;
    const mids = seen.map((one) => (one.bids[0][0] + one.asks[0][0]) / 2), mid = mids.reduce((sum, one) => sum + one, 0) / mids.length;
    spreads.show(seen.map((one) => figures(one)), (one) => one.exchange);
    rungs(seen, mid);
    depth(seen, mid);
    view.node.dataset.mid = mid;
    view.node.dataset.exchanges = seen.length;
  }

  function figures({ exchange, bids, asks }) {
    const bid = bids[0][0], ask = asks[0][0], mid = (bid + ask) / 2;
    const within = (side) => side.reduce((sum, [level, rests]) => (Math.abs(level / mid - 1) <= 0.001 ? sum + level * rests : sum), 0);
    return { exchange, bid, ask, spread: ((ask - bid) / mid) * 1e4, bids: within(bids), asks: within(asks), levels: bids.length + asks.length };
  }

  function rungs(seen, mid) {
    const side = (name) => {
      const sums = new Map();
      for (const one of seen) for (const [level, rests] of one[name].slice(0, LEVELS)) {
        const held = sums.get(level) ?? [0, []];
        sums.set(level, [held[0] + rests, [...held[1], one.exchange]]);
      }
      return [...sums].sort(name === "bids" ? (a, b) => b[0] - a[0] : (a, b) => a[0] - b[0]).slice(0, LEVELS);
    };
    const asks = side("asks"), bids = side("bids"), most = Math.max(...asks.map((one) => one[1][0]), ...bids.map((one) => one[1][0]));
    const list = [...asks.reverse().map((one) => ["down", one]), ["mid"], ...bids.map((one) => ["up", one])];
    while (ladder.rows.length < list.length) ladder.append(h("tr", {}, h("td", { class: "num" }), h("td", { class: "num" }), h("td", { class: "dim" })));
    while (ladder.rows.length > list.length) ladder.deleteRow(-1);
    list.forEach(([kind, one], place) => {
      const row = ladder.rows[place], [level, rests, who] = row.children;
      row.className = kind;
      level.className = kind === "mid" ? "num" : `num ${kind}`;
      text(level, price(one ? one[0] : mid));
      text(rests, one ? amount(one[1][0]) : "mid");
      text(who, one ? one[1][1].join(", ") : "");
      if (one && !rests.querySelector(".fill")) rests.append(h("i", { class: "fill" }));
      const mark = rests.querySelector(".fill");
      if (mark) Object.assign(mark.style, { width: one ? `${(one[1][0] / most) * 100}%` : "0", right: "0" });
    });
  }

  function depth(seen, mid) {
    const { axis, option } = base(), low = mid * (1 - reach / 100), high = mid * (1 + reach / 100), series = [];
    const total = { bids: [], asks: [] };
    for (const one of seen) for (const side of ["bids", "asks"]) {
      const inside = one[side].filter(([level]) => level >= low && level <= high);
      total[side].push(...inside);
      series.push({ id: `${one.exchange}-${side}`, name: one.exchange, type: "line", step: "end", showSymbol: false, color: venue(one.exchange), lineStyle: { width: 1.4 }, data: running(inside) });
    }
    for (const side of ["bids", "asks"]) {
      const shown = colour(side === "bids" ? "up" : "down"), sorted = total[side].sort(side === "bids" ? (a, b) => b[0] - a[0] : (a, b) => a[0] - b[0]);
      series.push({ id: `all-${side}`, name: "all", type: "line", step: "end", showSymbol: false, color: shown, lineStyle: { width: 1 }, areaStyle: { opacity: 0.16 }, data: running(sorted), z: 1 });
    }
    view.set({ ...option, grid: { left: 8, right: 62, top: 30, bottom: 28 }, tooltip: { ...option.tooltip, valueFormatter: (value) => amount(Array.isArray(value) ? value[1] : value) },
      xAxis: { ...axis, type: "value", min: low, max: high, splitNumber: 5, axisLabel: { ...axis.axisLabel, hideOverlap: true, formatter: price } }, yAxis: { ...axis, position: "right", axisLabel: { ...axis.axisLabel, formatter: short } }, series }, { replaceMerge: ["series"] });
  }

  const soon = throttled(draw, 300);
  load();
  return () => { clearTimeout(timer); leave?.(); soon.cancel(); view.close(); };
}

function running(levels) {
  let sum = 0;
  return levels.map(([level, rests]) => [level, (sum += rests)]);
}
