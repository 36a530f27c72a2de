// ECharts as pages use it: colours of the theme, sizes that follow the screen, options that change in place.

import { echarts } from "/dashboard/echarts/index.js";
import { h } from "./dom.js";

export const PALETTE = ["#4aa3ff", "#f0a33a", "#b07cf7", "#2fc1a0", "#e8689d", "#9bbf3f", "#5bc4e0", "#d98c5f", "#8d99ff", "#c7b14a", "#7fb08a"];

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function venue(exchange) {
  const known = ["binance", "bybit", "kraken", "coinbase", "okx", "htx", "kucoin", "gateio", "bitfinex", "mexc", "bitget"];
  const place = known.indexOf(exchange);
  return PALETTE[(place < 0 ? exchange.length : place) % PALETTE.length];
}

export function chart(kind = "") {
  const node = h("div", { class: `chart ${kind}` });
  let made = null;
  const watch = new ResizeObserver(() => made?.resize());
  return {
    node,
    get raw() { return made; },
    set(option, given) {
      if (!made) {
        made = echarts.init(node, null, { renderer: "canvas" });
        node.chart = made;
        watch.observe(node);
      }
      made.setOption(option, given);
    },
    // Colours are read when drawn: after a change of the theme everything is drawn anew.
    clear() { made?.clear(); },
    close() { watch.disconnect(); made?.dispose(); made = null; },
  };
}

export function base(more = {}) {
  const line = colour("line"), dim = colour("dim"), panel = colour("panel"), text = colour("text");
  const axis = { axisLine: { lineStyle: { color: line } }, axisTick: { show: false }, axisLabel: { color: dim, fontSize: 11 }, splitLine: { show: true, lineStyle: { color: line, opacity: 0.5 } } };
  return {
    axis,
    option: {
      animation: false,
      backgroundColor: "transparent",
      textStyle: { color: text, fontFamily: "system-ui, sans-serif" },
      tooltip: { trigger: "axis", confine: true, transitionDuration: 0, backgroundColor: panel, borderColor: line, textStyle: { color: text, fontSize: 12 }, axisPointer: { type: "cross", label: { backgroundColor: colour("hover"), color: text }, lineStyle: { color: dim }, crossStyle: { color: dim } } },
      legend: { top: 0, textStyle: { color: dim }, inactiveColor: line, itemWidth: 14, itemHeight: 8, type: "scroll", pageTextStyle: { color: dim } },
      ...more,
    },
  };
}
