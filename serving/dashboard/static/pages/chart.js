// Candles of one market on any timeframe, with indicators on them and under them; the bar that forms follows the live feed.

import { h, panel, rows, segments, throttled, toggles } from "../dom.js";
import { read, Refused } from "../data.js";
import { axis as day, amount, percent, price, short } from "../format.js";
import { base, chart, colour, PALETTE } from "../charts.js";
import { bar, choose, chosen, NONE, picker } from "../market.js";

export const title = "Chart";

const TIMEFRAMES = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"];
const ON = [["ema10", "EMA 10"], ["ema36", "EMA 36"], ["ema200", "EMA 200"], ["sma20", "SMA 20"], ["sma50", "SMA 50"], ["sma200", "SMA 200"], ["ehma180", "EHMA 180"], ["bb", "Bollinger"], ["st73", "Supertrend"], ["td", "TD"]];
const UNDER = [["volume", "Volume"], ["rsi14", "RSI"], ["macd", "MACD"], ["bbw202", "Band width"], ["diff_ema200_pct", "EMA 200 distance"]];
const LINES = { bb: ["bbl202", "bbm202", "bbu202"], macd: ["macd", "macd_signal"] };

export function mount(root, live) {
  let bars = [], leave = null, own = 0, timer = null, on = chosen.on ?? ["ema36", "ema200", "bb"], under = chosen.under ?? ["volume", "rsi14", "macd"];
  if (!TIMEFRAMES.includes(chosen.timeframe)) chosen.timeframe = "1m";
  const view = chart("tall");
  const figures = h("div", { class: "figures" });
  const box = panel("", figures, view.node);
  const market = picker(() => load());
  const frames = segments("Timeframe", TIMEFRAMES.map((each) => [each, each]), chosen.timeframe, (timeframe) => { choose({ timeframe }); load(); });
  root.append(
    bar(...market.nodes, frames),
    bar(toggles("Indicators on the chart", ON, on, (now) => { on = now; choose({ on }); draw(true); }), toggles("Indicators under it", UNDER, under, (now) => { under = now; choose({ under }); draw(true); })),
    box,
  );

  async function load() {
    const turn = (own += 1), asked = { exchange: market.exchange(), symbol: market.symbol(), timeframe: chosen.timeframe };
    clearTimeout(timer);
    leave?.();
    leave = null;
    if (box.dataset.market !== JSON.stringify(asked)) box.loading();
    try {
      if (!(await market.ready())) {
        box.empty(...NONE);
        timer = setTimeout(load, 5000);
        return;
      }
      Object.assign(asked, { exchange: market.exchange(), symbol: market.symbol() });
      if (turn !== own) return;
      choose(asked);
      // Followed before it is read: no bar falls between.
      const early = [];
      let ready = false;
      leave = live.follow([{ channel: "candles", ...asked }, { channel: "indicators", ...asked }], (event) => (ready ? take(event) : early.push(event)), load);
      const found = await read("chart", asked);
      if (turn !== own) return;
      bars = rows(found.bars);
      for (const name of found.names) bars.forEach((each, place) => { each[name] = found.indicators[name]?.[place] ?? null; });
      ready = true;
      early.forEach(take);
      box.dataset.market = JSON.stringify(asked);
      shown();
      draw(true);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (turn !== own) return;
      delete box.dataset.market;
      box.failed(error);
      timer = setTimeout(load, 2000);
    }
  }

  function shown() {
    bars.length ? box.ready() : box.empty(`No candle of ${chosen.symbol} on ${chosen.exchange} yet.`, "It appears with the first trade; choose another market above, or see Feed health.");
  }

  function take(event) {
    const time = event.timestamp / 1000, last = bars.at(-1);
    let one = last?.timestamp === time ? last : bars.findLast?.((each) => each.timestamp === time);
    if (event.type === "indicators") {
      if (one) Object.assign(one, event.values);
    } else if (event.type === "candle") {
      if (!one) {
        if (last && time < last.timestamp) return;
        bars.push((one = { timestamp: time }));
        if (bars.length > 1000) bars.shift();
      }
      for (const name of ["open", "high", "low", "close", "volume", "buy_volume", "sell_volume", "trade_count"]) one[name] = event[name];
      if (bars.length === 1) shown();
    }
    soon();
  }

  function draw(whole = false) {
    if (!bars.length) return;
    const { axis, option } = base(), span = bars.length > 1 ? bars[1].timestamp - bars[0].timestamp : 60000;
    const times = bars.map((each) => day(each.timestamp, span));
    const heights = under.map(() => Math.min(15, 44 / under.length)), gap = 2.5, first = 100 - 11 - heights.reduce((sum, each) => sum + each + gap, 0);
    const grid = [{ left: 8, right: 66, top: 26, height: `${first - 4}%` }];
    heights.forEach((height, place) => grid.push({ left: 8, right: 66, top: `${first + 5 + place * (height + gap)}%`, height: `${height}%` }));
    const up = colour("up"), down = colour("down"), dim = colour("dim");
    const line = (name, shownAs, place, more = {}) => ({ id: `${name}-${place}`, name: shownAs, type: "line", xAxisIndex: place, yAxisIndex: place, data: bars.map((each) => each[name] ?? null), showSymbol: false, lineStyle: { width: 1.3 }, z: 3, ...more });
    const series = [{ id: "candles", name: "Candles", type: "candlestick", data: bars.map((each) => [each.open, each.close, each.low, each.high]), itemStyle: { color: up, color0: down, borderColor: up, borderColor0: down }, markLine: last(bars.at(-1)) }];
    ON.forEach(([name, shownAs], place) => {
      if (!on.includes(name)) return;
      if (name === "td") series.push(...td(bars, up, down));
      else if (name === "st73") series.push(line("st73", shownAs, 0, { color: PALETTE[place], lineStyle: { width: 1.5, type: "dashed" } }));
      else for (const each of LINES[name] ?? [name]) series.push(line(each, shownAs, 0, { color: PALETTE[place], lineStyle: { width: name === "bb" ? 1 : 1.3, opacity: name === "bb" ? 0.75 : 1 } }));
    });
    under.forEach((name, index) => {
      const place = index + 1, shownAs = UNDER.find(([known]) => known === name)?.[1] ?? name;
      if (name === "volume") series.push({ id: "volume", name: shownAs, type: "bar", xAxisIndex: place, yAxisIndex: place, barMaxWidth: 14, data: bars.map((each) => ({ value: each.volume, itemStyle: { color: each.close >= each.open ? up : down, opacity: 0.65 } })) });
      else if (name === "macd") {
        series.push({ id: "macd-hist", name: shownAs, type: "bar", xAxisIndex: place, yAxisIndex: place, data: bars.map((each) => ({ value: each.macd_hist ?? null, itemStyle: { color: (each.macd_hist ?? 0) >= 0 ? up : down, opacity: 0.6 } })) });
        series.push(line("macd", shownAs, place, { color: PALETTE[0] }), line("macd_signal", shownAs, place, { color: PALETTE[1] }));
      } else series.push(line(name, shownAs, place, { color: PALETTE[2], ...(name === "rsi14" ? { markLine: { silent: true, symbol: "none", label: { show: false }, lineStyle: { color: dim, opacity: 0.6, type: "dotted" }, data: [{ yAxis: 30 }, { yAxis: 70 }] } } : {}) }));
    });
    const all = [0, ...under.map((_, place) => place + 1)];
    const more = { grid, series, xAxis: all.map((place) => ({ ...axis, type: "category", gridIndex: place, data: times, boundaryGap: true, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, show: place === under.length }, axisPointer: { label: { show: place === under.length } } })),
      yAxis: all.map((place) => ({ ...axis, gridIndex: place, position: "right", scale: !(place && under[place - 1] === "volume"), splitNumber: place ? 2 : 6, axisLabel: { ...axis.axisLabel, formatter: (value) => (place ? short(value) : price(value)), hideOverlap: true } })) };
    if (whole) {
      const start = Math.max(0, 100 - (140 / bars.length) * 100);
      view.set({ ...option, ...more, legend: { show: false }, axisPointer: { link: [{ xAxisIndex: "all" }] }, tooltip: { ...option.tooltip, formatter: (found) => words(bars[found[0]?.dataIndex]) },
        dataZoom: [{ type: "inside", xAxisIndex: all, start, end: 100 }, { type: "slider", xAxisIndex: all, start, end: 100, height: 16, bottom: 4, borderColor: colour("line"), textStyle: { color: dim }, showDataShadow: false }] }, { notMerge: true });
    } else view.set({ series, xAxis: more.xAxis.map((each) => ({ data: each.data })) });
    view.node.dataset.bars = bars.length;
    view.node.dataset.close = bars.at(-1).close;
    view.node.dataset.volume = bars.at(-1).volume;
    head(bars.at(-1));
  }

  function last(one) {
    return { silent: true, symbol: "none", animation: false, label: { formatter: price(one.close), position: "end", backgroundColor: colour(one.close >= one.open ? "up" : "down"), color: "#fff", padding: [2, 4], borderRadius: 3, fontSize: 11 }, lineStyle: { color: colour(one.close >= one.open ? "up" : "down"), type: "dotted" }, data: [{ yAxis: one.close }] };
  }

  function head(one) {
    const list = [["Close", price(one.close)], ["Change", percent((one.close / one.open - 1) * 100)], ["High", price(one.high)], ["Low", price(one.low)], ["Volume", amount(one.volume)], ["Trades", one.trade_count ?? "–"], ["RSI", one.rsi14?.toFixed(1) ?? "–"]];
    if (!figures.children.length) figures.append(...list.map(([name]) => h("div", { "data-name": name }, h("span", {}, name), h("b"))));
    list.forEach(([, value], place) => { const cell = figures.children[place].lastChild; if (cell.textContent !== String(value)) cell.textContent = value; });
  }

  const soon = throttled(() => draw(), 250);
  load();
  return () => { own += 1; clearTimeout(timer); leave?.(); soon.cancel(); view.close(); };
}

function words(one) {
  if (!one) return "";
  const line = (name, value) => `<div style="display:flex;gap:16px;justify-content:space-between"><span>${name}</span><b>${value}</b></div>`;
  return [`${new Date(one.timestamp).toISOString().slice(0, 16).replace("T", " ")} UTC`, ...[["Open", price(one.open)], ["High", price(one.high)], ["Low", price(one.low)], ["Close", price(one.close)], ["Volume", amount(one.volume)], ["Bought", amount(one.buy_volume)], ["RSI", one.rsi14?.toFixed(1) ?? "–"], ["MACD", one.macd?.toPrecision(4) ?? "–"]].map(([name, value]) => line(name, value))].join("");
}

// Counts of TD Sequential from 7 on: the ones people look for.
function td(bars, up, down) {
  return [["td_seq_up", "high", "top", down], ["td_seq_down", "low", "bottom", up]].map(([name, side, position, shown]) => ({
    id: name, name, type: "scatter", symbolSize: 1, itemStyle: { color: shown }, z: 4,
    label: { show: true, position, color: shown, fontSize: 10, formatter: (each) => String(bars[each.dataIndex]?.[name] ?? "") },
    data: bars.map((each) => ((each[name] ?? 0) >= 7 ? each[side] : null)),
  }));
}
