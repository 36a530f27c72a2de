// What a viewer has chosen (exchange, symbol, timeframe …): in the address, and remembered from page to page.

import { h, select } from "./dom.js";
import { read } from "./data.js";

const KEY = "tickhouse-chosen";

export const chosen = {
  ...JSON.parse(localStorage.getItem(KEY) || "{}"),
  ...Object.fromEntries(new URLSearchParams(location.search)),
};

export function choose(more) {
  Object.assign(chosen, more);
  localStorage.setItem(KEY, JSON.stringify(chosen));
  const query = new URLSearchParams(Object.entries(chosen).filter(([name, value]) => ["exchange", "symbol", "timeframe"].includes(name) && value));
  history.replaceState(null, "", `${location.pathname}?${query}`);
}

let known = null;

export async function markets() {
  known ||= read("markets").then((found) => found.markets.map(([exchange, symbol]) => ({ exchange, symbol })));
  try {
    return await known;
  } catch (error) {
    known = null;
    throw error;
  } finally {
    setTimeout(() => { known = null; }, 15000);
  }
}

// Selectors of a market. `every` lets a page ask for every exchange (""). Returns {nodes, ready}; `ready` tells whether there is any market.
export function picker(change, { every = false, allSymbols = false } = {}) {
  const exchanges = select("Exchange", [], "", (exchange) => {
    if (every) state.venue = exchange;
    else choose({ exchange });
    fit();
    change();
  });
  const symbols = select("Symbol", [], "", (symbol) => {
    state.all = symbol === "";
    if (symbol) choose({ symbol });
    fit();
    change();
  });
  let list = [];
  const fit = () => {
    const names = [...new Set(list.map((each) => each.symbol))].sort();
    const asked = state.symbol();
    symbols.fillWith(allSymbols ? [["", "all symbols"], ...names] : names, asked);
    const own = list.filter((each) => !asked || each.symbol === asked).map((each) => each.exchange);
    const options = [...new Set(own)].sort();
    exchanges.fillWith(every ? [["", "all exchanges"], ...options] : options, state.exchange());
  };
  const state = {
    nodes: [symbols, exchanges],
    symbol: () => (allSymbols ? (state.all ? "" : chosen.symbol || "") : chosen.symbol && list.some((each) => each.symbol === chosen.symbol) ? chosen.symbol : favourite(list)),
    exchange: () => {
      const own = list.filter((each) => each.symbol === state.symbol() || !state.symbol()).map((each) => each.exchange);
      if (every) return state.venue && own.includes(state.venue) ? state.venue : "";
      return own.includes(chosen.exchange) ? chosen.exchange : own.sort()[0] || "";
    },
    exchanges: () => list.filter((each) => each.symbol === state.symbol()).map((each) => each.exchange),
    all: allSymbols,
    venue: "",
    async ready() {
      list = await markets();
      fit();
      return list.length > 0;
    },
  };
  return state;
}

function favourite(list) {
  const found = ["BTC/USDT", "BTC/USD", "BTC/USDT:USDT"].find((symbol) => list.some((each) => each.symbol === symbol));
  return found || list[0]?.symbol || "";
}

export const NONE = ["Nothing has landed yet.", "Start collectors with `tickhouse collect` (or everything with `tickhouse up`, a simulated market with `tickhouse demo`); markets appear here by themselves."];

export function bar(...nodes) {
  return h("div", { class: "bar" }, ...nodes);
}
