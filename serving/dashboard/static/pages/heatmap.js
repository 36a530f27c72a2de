// Liquidity over time and price, with the price drawn over it: the lake's history, and up to this minute from the best levels.

import { panel, segments } from "../dom.js";
import { poll, Refused } from "../data.js";
import { amount, clock, minute, price } from "../format.js";
import { base, chart, colour } from "../charts.js";
import { bar, choose, chosen, NONE, picker } from "../market.js";
import { h } from "../dom.js";

export const title = "Heatmap";

export function mount(root) {
  let reading = null, hours = 6, timer = null, gone = false;
  const view = chart("tall");
  const note = h("span", { class: "note" });
  const box = panel("", view.node);
  const market = picker(() => start(), { every: true });
  root.append(bar(...market.nodes, segments("Range", [["1", "1 h"], ["6", "6 h"], ["24", "24 h"], ["48", "48 h"]], "6", (value) => { hours = Number(value); start(); }), note), box);

  async function start() {
    clearTimeout(timer);
    reading?.stop();
    box.loading();
    try {
      if (!(await market.ready())) {
        box.empty(...NONE);
        timer = setTimeout(start, 5000);
        return;
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      box.failed(error);
      timer = setTimeout(start, 2000);
      return;
    }
    if (gone) return;
    choose({ symbol: market.symbol() });
    reading?.stop();
    reading = poll("heatmap", () => ({ symbol: chosen.symbol, exchange: market.exchange(), hours }), 15000, draw, box.failed);
  }

  function draw(found) {
    if (!found.cells.length) {
      box.empty(`No book of ${chosen.symbol} in the last ${hours} hours.`, "Collect with the channel `book` on; past hours appear when Dagster has made the asset `heatmap` (`tickhouse up`, or `tickhouse backfill heatmap`).");
      return;
    }
    box.ready();
    note.textContent = found.stored_until ? `Stored up to ${minute(found.stored_until)} UTC, then the best 25 levels of each book.` : "The best 25 levels of each book: the asset heatmap has not been made for these hours.";
    const { axis, option } = base(), volumes = found.cells.map((cell) => cell[2]).sort((a, b) => a - b), most = volumes[Math.floor(volumes.length * 0.98)] || 1;
    const times = found.times.map((each) => (hours > 24 ? minute(each) : clock(each).slice(0, 5))), low = found.prices[0], high = found.prices.at(-1) + found.size;
    const dark = document.documentElement.dataset.theme === "dark";
    view.set({ ...option, legend: { show: false }, grid: { left: 8, right: 66, top: 10, bottom: 46 },
      tooltip: { ...option.tooltip, trigger: "item", axisPointer: undefined, formatter: ({ data, seriesId }) => (seriesId === "cells" ? `${minute(found.times[data[0]])} UTC<br>${price(found.prices[data[1]])} – ${price(found.prices[data[1]] + found.size)}<br><b>${amount(data[2])}</b> ${data[3] === "bid" ? "to buy" : "to sell"}` : "") },
      xAxis: [{ ...axis, type: "category", data: times, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, hideOverlap: true } }],
      yAxis: [{ ...axis, type: "category", data: found.prices.map(price), position: "right", splitLine: { show: false }, axisLabel: { ...axis.axisLabel, hideOverlap: true } }, { type: "value", min: low, max: high, show: false }],
      visualMap: { min: 0, max: most, dimension: 2, seriesIndex: 0, orient: "horizontal", left: 8, bottom: 0, itemHeight: 120, itemWidth: 10, calculable: false, text: [amount(most), "0"], textStyle: { color: colour("dim") }, inRange: { color: dark ? ["#131c28", "#173a63", "#1d6fa5", "#23b3a4", "#b8d94a", "#ffe36b"] : ["#f1f5f9", "#c6ddf2", "#7fb6e0", "#3a86c4", "#1f5f8f", "#0c2f52"] } },
      series: [
        { id: "cells", type: "heatmap", data: found.cells, progressive: 0, emphasis: { itemStyle: { borderColor: colour("text"), borderWidth: 1 } } },
        { id: "price", type: "line", yAxisIndex: 1, data: found.line, showSymbol: false, connectNulls: true, color: dark ? "#ffffff" : "#d0006f", lineStyle: { width: 1.5 }, silent: true, z: 5 },
      ] });
    view.node.dataset.cells = found.cells.length;
  }

  start();
  return () => { gone = true; clearTimeout(timer); reading?.stop(); view.close(); };
}
