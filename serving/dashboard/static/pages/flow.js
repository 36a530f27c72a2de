// Takers' buys and sells minute by minute, and what they add up to; the minute that forms follows the live feed.

import { panel, rows, segments, throttled } from "../dom.js";
import { read, Refused } from "../data.js";
import { amount, clock, short } from "../format.js";
import { base, chart, colour } from "../charts.js";
import { bar, choose, chosen, NONE, picker } from "../market.js";

export const title = "Flow";

export function mount(root, live) {
  let minutes = new Map(), hours = 2, leave = null, timer = null, own = 0, drawn = false;
  const view = chart("tall");
  const box = panel("", view.node);
  const market = picker(() => load(), { every: true });
  root.append(bar(...market.nodes, segments("Range", [["1", "1 h"], ["2", "2 h"], ["6", "6 h"], ["12", "12 h"]], "2", (value) => { hours = Number(value); load(); })), box);

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
      if (box.dataset.market !== JSON.stringify({ ...asked, hours })) { minutes = new Map(); drawn = false; box.loading(); }
      box.dataset.market = JSON.stringify({ ...asked, hours });
      const venues = asked.exchange ? [asked.exchange] : market.exchanges();
      leave = live.follow(venues.map((exchange) => ({ channel: "candles", exchange, symbol: asked.symbol, timeframe: "1m" })), (event) => { if (event.type === "candle") { put({ ...event, timestamp: event.timestamp / 1000 }); if (drawn) soon(); } }, load);
      const found = await read("flow", { ...asked, hours });
      if (turn !== own) return;
      rows(found.minutes).forEach((one) => { if (!minutes.get(one.timestamp)?.has(one.exchange)) put(one); });
      draw(true);
      drawn = true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn !== own) return;
      box.failed(error);
      timer = setTimeout(load, 2000);
    }
  }

  function put(one) {
    if (!minutes.has(one.timestamp)) minutes.set(one.timestamp, new Map());
    minutes.get(one.timestamp).set(one.exchange, one);
  }

  function draw(whole = false) {
    const since = Date.now() - hours * 3600000, times = [...minutes.keys()].filter((time) => time >= since).sort((a, b) => a - b);
    if (!times.length) return box.empty(`No trade of ${chosen.symbol} in the last ${hours} hours.`, "It shows with the first one; Feed health says whether the exchange is connected.");
    box.ready();
    const { axis, option } = base(), up = colour("up"), down = colour("down");
    const sum = (time, name) => [...minutes.get(time).values()].reduce((held, one) => held + (one[name] ?? 0), 0);
    const buys = times.map((time) => sum(time, "buy_volume")), sells = times.map((time) => -sum(time, "sell_volume"));
    let running = 0;
    const balance = times.map((_, place) => (running += buys[place] + sells[place]));
    const series = [
      { id: "buys", name: "Bought", type: "bar", stack: "flow", data: buys, itemStyle: { color: up }, barMaxWidth: 16 },
      { id: "sells", name: "Sold", type: "bar", stack: "flow", data: sells, itemStyle: { color: down } },
      { id: "balance", name: "Bought less sold, running", type: "line", xAxisIndex: 1, yAxisIndex: 1, data: balance, showSymbol: false, color: colour("accent"), areaStyle: { opacity: 0.12 } },
    ];
    const data = times.map((time) => clock(time).slice(0, 5));
    if (whole || !view.raw) view.set({ ...option, axisPointer: { link: [{ xAxisIndex: "all" }] }, tooltip: { ...option.tooltip, valueFormatter: (value) => amount(Math.abs(value)) }, grid: [{ left: 8, right: 62, top: 30, height: "52%" }, { left: 8, right: 62, top: "66%", bottom: 28 }],
      xAxis: [0, 1].map((gridIndex) => ({ ...axis, type: "category", gridIndex, data, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, show: gridIndex === 1 } })), yAxis: [0, 1].map((gridIndex) => ({ ...axis, gridIndex, position: "right", scale: gridIndex === 1, axisLabel: { ...axis.axisLabel, formatter: (value) => short(gridIndex ? value : Math.abs(value)) } })), series }, { notMerge: true });
    else view.set({ series, xAxis: [{ data }, { data }] });
    view.node.dataset.minutes = times.length;
  }

  const soon = throttled(() => draw(), 400);
  load();
  return () => { own += 1; clearTimeout(timer); leave?.(); soon.cancel(); view.close(); };
}
