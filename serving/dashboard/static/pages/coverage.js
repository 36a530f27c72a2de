// The coverage calendar: a row for each feed, a cell for each hour; a feed opens into its symbols.

import { h, panel, rows, segments } from "../dom.js";
import { poll } from "../data.js";
import { age, count, minute } from "../format.js";
import { base, chart, colour } from "../charts.js";
import { bar } from "../market.js";

export const title = "Coverage";

const WORDS = ["whole", "hour still open", "degraded", "missing"];
const TONES = ["up", "accent", "warn", "down"];

export function mount(root) {
  let hours = 72, feed = null;
  const view = chart("");
  const legend = h("div", { class: "legend" }, WORDS.map((word, place) => h("span", {}, h("i", { style: `background:var(--${TONES[place]})` }), word)), h("span", {}, h("i", { style: "background:var(--line)" }), "nothing known"));
  const box = panel("", view.node, legend);
  const back = h("button", { type: "button", hidden: true, onclick: () => open(null) }, "← all feeds");
  const name = h("h1", {}, "Coverage");
  const reading = poll("coverage", () => ({ hours, ...(feed ?? {}) }), 30000, draw, box.failed);
  root.append(bar(back, name, segments("Range", [["24", "24 h"], ["72", "3 d"], ["168", "7 d"], ["720", "30 d"]], "72", (value) => { hours = Number(value); reading.now(); }), h("span", { class: "note" }, "Hours in UTC. Tap a feed for its symbols.")), box);

  function open(next) {
    feed = next;
    back.hidden = feed === null;
    name.textContent = feed ? `${feed.exchange} · ${feed.dataset}` : "Coverage";
    reading.now();
  }

  function draw(found) {
    const cells = rows(found.hours);
    if (!cells.length) {
      box.empty("No hour has been judged yet.", "Dagster makes the asset `coverage` a few minutes after each hour (`tickhouse up`); for the past: `tickhouse backfill coverage --from … --to …`.");
      return;
    }
    box.ready();
    const label = (each) => (feed ? each.dataset || "whole feed" : `${each.exchange} · ${each.dataset}`);
    const names = [...new Set(cells.map(label))].sort().reverse(), places = new Map(names.map((each, place) => [each, place]));
    const total = Math.round((found.last - found.first) / 3600000) + 1, times = Array.from({ length: total }, (_, place) => found.first + place * 3600000);
    const data = cells.map((each) => ({ value: [Math.round((each.timestamp - found.first) / 3600000), places.get(label(each)), each.worst], cell: each }));
    const { axis, option } = base();
    view.node.style.height = `${Math.max(150, names.length * 24 + 60)}px`;
    const narrow = view.node.clientWidth < 600;
    view.set({ ...option, legend: { show: false }, grid: { show: true, backgroundColor: colour("line"), borderWidth: 0, left: narrow ? 118 : 190, right: 8, top: 6, bottom: 40 },
      tooltip: { ...option.tooltip, trigger: "item", axisPointer: undefined, formatter: ({ data: one }) => { const { cell } = one; return `<b>${label(cell)}</b><br>${minute(cell.timestamp)} UTC: ${WORDS[cell.worst]}<br>${count(cell.rows)} rows${cell.gaps ? `, ${cell.gaps} gaps, longest ${age(cell.gap_seconds)}` : ""}${cell.bad && cell.symbols > 1 ? `<br>${cell.bad} of ${cell.symbols} symbols not whole` : ""}`; } },
      xAxis: { ...axis, type: "category", data: times.map(minute), splitLine: { show: false }, axisLabel: { ...axis.axisLabel, hideOverlap: true } },
      yAxis: { ...axis, type: "category", data: names, splitLine: { show: false }, triggerEvent: true, axisLabel: { ...axis.axisLabel, fontSize: narrow ? 10 : 11, width: narrow ? 110 : 180, overflow: "truncate" } },
      visualMap: { show: false, type: "piecewise", dimension: 2, pieces: TONES.map((tone, value) => ({ value, color: colour(tone) })) },
      series: [{ id: "hours", type: "heatmap", data, progressive: 0, itemStyle: { borderColor: colour("panel"), borderWidth: total > 200 ? 0.5 : 1 } }] }, { notMerge: true });
    view.raw.resize();
    view.raw.off("click");
    view.raw.on("click", (click) => {
      if (feed) return;
      const text = click.componentType === "yAxis" ? click.value : names[click.data?.value?.[1]];
      const [exchange, dataset] = (text ?? "").split(" · ");
      if (dataset) open({ exchange, dataset });
    });
    view.node.dataset.cells = data.length;
    view.node.dataset.feeds = names.length;
  }

  return () => { reading.stop(); view.close(); };
}
