// Forced orders: sums by side over time, the rolling window of each market, and the orders themselves.

import { h, panel, rows, segments, Table } from "../dom.js";
import { poll, Refused } from "../data.js";
import { amount, axis as stamp, moment, percent, price, short } from "../format.js";
import { base, chart, colour } from "../charts.js";
import { bar, NONE, picker } from "../market.js";

export const title = "Liquidations";

const TONE = { LOW: "dim", MEDIUM: "warn", HIGH: "bad", CRITICAL: "bad" };

export function mount(root, live) {
  let reading = null, leave = null, hours = 24, timer = null, gone = false;
  const view = chart("low");
  const sums = panel("Closed by force, USD", view.node);
  const windows = new Table([
    { title: "Market", value: (each) => `${each.exchange} ${each.symbol}` },
    { title: "Severity", value: (each) => each.severity, draw: (cell, value) => cell.replaceChildren(h("span", { class: `tag ${TONE[value] ?? ""}` }, value)) },
    { title: "Total, USD", class: "num", value: (each) => each.total_volume_usd, format: short, flash: true },
    { title: "Shorts", class: "num up", says: "Buys: shorts that were closed", value: (each) => each.buy_volume_usd, format: short },
    { title: "Longs", class: "num down", says: "Sells: longs that were closed", value: (each) => each.sell_volume_usd, format: short },
    { title: "Orders", class: "num", value: (each) => each.event_count },
    { title: "Largest", class: "num", value: (each) => each.largest_trade_usd, format: short },
    { title: "VWAP", class: "num", value: (each) => each.vwap, format: price },
    { title: "Move", class: "num", value: (each) => each.price_change_pct, format: percent, sign: (value) => value },
    { title: "Volatility", class: "num", value: (each) => each.volatility, format: (value) => (value === null ? "–" : `${value.toFixed(3)}%`) },
  ]);
  const now = panel("The window that ends now", windows.node);
  const orders = new Table([
    { title: "Time, UTC", value: (each) => each.timestamp, format: moment },
    { title: "Market", value: (each) => `${each.exchange} ${each.symbol}` },
    { title: "Closed", value: (each) => each.side, format: (side) => (side === "sell" ? "long" : "short"), sign: (side) => (side === "buy" ? 1 : -1) },
    { title: "Price", class: "num", value: (each) => each.price, format: price },
    { title: "Amount", class: "num", value: (each) => each.amount, format: amount },
    { title: "Value, USD", class: "num", value: (each) => each.value_usd, format: short },
    { title: "", class: "dim", value: (each) => (each.sampled ? "sampled" : ""), says: "sampled: the exchange publishes only some" },
  ]);
  orders.node.classList.add("high");
  const list = panel("Orders", orders.node);
  const boxes = [sums, now, list];
  const market = picker(() => start(), { every: true, allSymbols: true });
  root.append(bar(...market.nodes, segments("Range", [["1", "1 h"], ["6", "6 h"], ["24", "24 h"], ["168", "7 d"]], "24", (value) => { hours = Number(value); start(); })), h("div", { class: "grid" }, sums, now, list));

  async function start() {
    clearTimeout(timer);
    reading?.stop();
    leave?.();
    leave = null;
    boxes.forEach((box) => box.loading());
    try {
      if (!(await market.ready())) {
        boxes.forEach((box) => box.empty(...NONE));
        timer = setTimeout(start, 5000);
        return;
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      boxes.forEach((box) => box.failed(error));
      timer = setTimeout(start, 2000);
      return;
    }
    if (gone) return;
    const asked = { symbol: market.symbol(), exchange: market.exchange() };
    reading?.stop();
    reading = poll("liquidations", () => ({ ...asked, hours }), 5000, draw, (error) => boxes.forEach((box) => box.failed(error)));
    leave = live.follow([{ channel: "liquidations", ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value)) }], () => { due ||= setTimeout(() => { due = null; reading.now(); }, 1000); }, reading.now);
  }
  let due = null;

  function draw(found) {
    const all = rows(found.orders), bins = rows(found.sums);
    if (all.length) [sums, list].forEach((box) => box.ready());
    else [sums, list].forEach((box) => box.empty("No forced order in this range.", "Quiet is normal here. Perpetuals bring them: have symbols as BTC/USDT:USDT and the channel `liquidations` in tickhouse.toml."));
    found.windows.length ? now.ready() : now.empty(`No forced order in the last ${found.window_seconds} seconds.`, `A window is MEDIUM from ${short(found.threshold_usd)} USD on; windows of the past are in the table liquidation_windows.`);
    orders.show(all, (each) => `${each.exchange} ${each.symbol} ${each.liquidation_id} ${each.timestamp}`);
    windows.show(found.windows, (each) => `${each.exchange} ${each.symbol}`);
    list.dataset.orders = all.length;
    const width = found.minutes * 60000, last = Math.floor(Date.now() / width) * width, times = [];
    for (let time = Math.ceil((Date.now() - hours * 3600000) / width) * width; time <= last; time += width) times.push(time);
    const of = (side) => { const held = new Map(bins.filter((each) => each.side === side).map((each) => [each.bin, each.value_usd])); return times.map((time) => held.get(time) ?? 0); };
    const { axis, option } = base();
    view.set({ ...option, grid: { left: 8, right: 62, top: 28, bottom: 24 }, tooltip: { ...option.tooltip, valueFormatter: (value) => `${short(Math.abs(value))} USD` },
      xAxis: { ...axis, type: "category", data: times.map((time) => stamp(time, hours > 24 ? 3600000 : 60000)), splitLine: { show: false } }, yAxis: { ...axis, position: "right", axisLabel: { ...axis.axisLabel, formatter: (value) => short(Math.abs(value)) } },
      series: [{ id: "shorts", name: "Shorts closed", type: "bar", stack: "all", data: of("buy"), itemStyle: { color: colour("up") } }, { id: "longs", name: "Longs closed", type: "bar", stack: "all", data: of("sell").map((value) => -value), itemStyle: { color: colour("down") } }] });
  }

  start();
  return () => { gone = true; clearTimeout(timer); clearTimeout(due); reading?.stop(); leave?.(); view.close(); };
}
