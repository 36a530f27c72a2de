// The frame: menu, theme, live feed, and one page at a time; a page is a module with `title` and `mount(root, live)`, which returns its end.

import { h, panel, text } from "./dom.js";
import { Live } from "./live.js";
import { choose, chosen } from "./market.js";

const PAGES = [
  ["overview", "Markets"], ["chart", "Chart"], ["book", "Order book"], ["heatmap", "Heatmap"], ["tape", "Trades"],
  ["flow", "Flow"], ["liquidations", "Liquidations"], ["alerts", "Alerts"], ["coverage", "Coverage"], ["health", "Feed health"],
];
const WORDS = { live: "live", connecting: "connecting", offline: "reconnecting" };

const root = document.getElementById("page");
const menu = document.getElementById("menu");
const link = document.getElementById("link");

const live = new Live((state) => {
  link.dataset.state = state;
  text(link.querySelector("b"), WORDS[state]);
  link.title = state === "offline" ? "The server does not answer; this page goes on by itself when it does." : "Live feed of the server";
});

let end = null, turn = 0, tries = 0;

async function show(name) {
  const own = (turn += 1);
  let page;
  try {
    // A browser may remember that a module could not be had: each try has an address of its own.
    page = await import(`./pages/${name}.js${tries ? `?try=${tries}` : ""}`);
  } catch (error) {
    if (!(error instanceof TypeError) || own !== turn) throw error;
    tries += 1;
    end?.();
    end = null;
    const box = panel("");
    box.failed({ message: "The server does not answer.", hint: "Start it with `tickhouse serve`; this page goes on by itself when it is back." });
    root.replaceChildren(box);
    setTimeout(() => own === turn && show(name), 1500);
    return;
  }
  if (own !== turn) return;
  end?.();
  root.replaceChildren();
  root.dataset.page = name;
  document.title = `${page.title} · Tickhouse`;
  for (const each of menu.children) {
    if (each.dataset.name === name) {
      each.setAttribute("aria-current", "page");
      each.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else each.removeAttribute("aria-current");
  }
  end = page.mount(root, live);
}

function here() {
  const name = location.pathname.split("/")[2];
  return PAGES.some(([known]) => known === name) ? name : "overview";
}

export function go(name, more = {}) {
  history.pushState(null, "", `/dashboard/${name}`);
  choose(more);
  show(name);
}

menu.append(...PAGES.map(([name, title]) => h("a", { href: `/dashboard/${name}`, "data-name": name }, title)));
document.addEventListener("click", (click) => {
  const found = click.target.closest?.("a[href^='/dashboard/']");
  if (!found || click.ctrlKey || click.metaKey || click.shiftKey || click.button) return;
  click.preventDefault();
  go(new URL(found.href).pathname.split("/")[2]);
});
document.addEventListener("tickhouse-go", (event) => go(event.detail.name, event.detail.market));
addEventListener("popstate", () => {
  Object.assign(chosen, Object.fromEntries(new URLSearchParams(location.search)));
  show(here());
});
document.getElementById("theme").addEventListener("click", () => {
  const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("tickhouse-theme", theme);
  show(here());
});
show(here());
