// Trades of a symbol as they happen, newest first.

import { h, panel, rows, segments, Table, throttled } from "../dom.js";
import { read, Refused } from "../data.js";
import { amount, clock, price, short } from "../format.js";
import { bar, choose, chosen, NONE, picker } from "../market.js";

export const title = "Trades";

const KEPT = 200;

export function mount(root, live) {
  let trades = [], ids = new Set(), leave = null, least = 0, paused = false, timer = null, own = 0, total = 0;
  const table = new Table([
    { title: "Time, UTC", value: (each) => each.timestamp, format: (ms) => `${clock(ms)}.${String(Math.floor(ms % 1000)).padStart(3, "0")}` },
    { title: "Exchange", class: "dim", value: (each) => each.exchange },
    { title: "Side", value: (each) => each.side, sign: (side) => (side === "buy" ? 1 : -1) },
    { title: "Price", class: "num", value: (each) => each.price, format: price, sign: (_, each) => (each.side === "buy" ? 1 : -1) },
    { title: "Amount", class: "num", value: (each) => each.amount, format: amount },
    { title: "Value", class: "num", value: (each) => each.price * each.amount, format: short },
  ]);
  table.node.classList.add("high");
  const box = panel("", table.node);
  const market = picker(() => load(), { every: true });
  const hold = h("button", { type: "button", "aria-pressed": "false", onclick: () => { paused = !paused; hold.setAttribute("aria-pressed", String(paused)); hold.textContent = paused ? "Go on" : "Hold"; draw(); } }, "Hold");
  root.append(bar(...market.nodes, h("label", {}, "From", segments("Least value", [["0", "all"], ["1000", "1k"], ["10000", "10k"], ["100000", "100k"]], "0", (value) => { least = Number(value); draw(); })), hold), box);
  const key = (each) => `${each.exchange} ${each.trade_id}`;

  async function load() {
    const turn = (own += 1);
    clearTimeout(timer);
    leave?.();
    leave = null;
    try {
      if (!(await market.ready())) {
        box.empty(...NONE);
        timer = setTimeout(load, 5000);
        return;
      }
      if (turn !== own) return;
      choose({ symbol: market.symbol() });
      const asked = { symbol: chosen.symbol, exchange: market.exchange() };
      if (box.dataset.market !== JSON.stringify(asked)) { trades = []; ids = new Set(); box.loading(); }
      box.dataset.market = JSON.stringify(asked);
      leave = live.follow([{ channel: "trades", symbol: asked.symbol, ...(asked.exchange ? { exchange: asked.exchange } : {}) }], (event) => { if (event.type === "trade") { add({ ...event, timestamp: event.timestamp / 1000 }); soon(); } }, load);
      const found = await read("tape", asked);
      if (turn !== own) return;
      rows(found.trades).reverse().forEach(add);
      trades.sort((a, b) => b.timestamp - a.timestamp);
      draw();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn !== own) return;
      box.failed(error);
      timer = setTimeout(load, 2000);
    }
  }

  function add(trade) {
    if (ids.has(key(trade))) return;
    ids.add(key(trade));
    total += 1;
    trades.unshift(trade);
    if (trades.length > KEPT * 5) ids = new Set((trades = trades.slice(0, KEPT * 4)).map(key));
  }

  function draw() {
    if (paused) return;
    trades.length ? box.ready() : box.empty(`No trade of ${chosen.symbol} in the last hour.`, "It shows with the first one; Feed health says whether the exchange is connected.");
    table.show(trades.filter((each) => each.price * each.amount >= least).slice(0, KEPT), key);
    box.dataset.trades = total;
  }

  const soon = throttled(draw, 200);
  load();
  return () => { own += 1; clearTimeout(timer); leave?.(); soon.cancel(); };
}
