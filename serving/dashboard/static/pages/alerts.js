// Alerts as they fired, newest first; new ones come with the live feed.

import { h, panel, rows, segments, Table } from "../dom.js";
import { poll } from "../data.js";
import { moment, short } from "../format.js";
import { bar } from "../market.js";

export const title = "Alerts";

const TONE = { LOW: "dim", MEDIUM: "warn", HIGH: "bad", CRITICAL: "bad" };
const RANK = ["LOW", "MEDIUM", "HIGH", "CRITICAL"];

export function mount(root, live) {
  let found = [], least = "LOW", hours = 168, due = null;
  const table = new Table([
    { title: "Fired, UTC", value: (each) => each.local_timestamp, format: moment },
    { title: "Severity", value: (each) => each.severity, draw: (cell, value) => cell.replaceChildren(h("span", { class: `tag ${TONE[value] ?? ""}` }, value)) },
    { title: "Rule", value: (each) => each.rule },
    { title: "What happened", class: "wrap", value: (each) => each.message },
    { title: "Of", class: "dim", value: (each) => [each.exchange, each.symbol, each.subject].filter(Boolean).join(" ") },
    { title: "Value", class: "num", value: (each) => (each.value === null ? "" : `${short(each.value)} ${each.unit}`) },
    { title: "Threshold", class: "num dim", value: (each) => (each.threshold === null ? "" : `${short(each.threshold)} ${each.unit}`) },
  ]);
  const box = panel("", table.node);
  root.append(bar(h("h1", {}, "Alerts"), h("label", {}, "From", segments("Least severity", RANK.map((each) => [each, each.toLowerCase()]), "LOW", (value) => { least = value; draw(); })), segments("Range", [["24", "24 h"], ["168", "7 d"], ["744", "31 d"]], "168", (value) => { hours = Number(value); reading.now(); })), box);

  function draw() {
    const shown = found.filter((each) => RANK.indexOf(each.severity) >= RANK.indexOf(least));
    if (shown.length) box.ready();
    else box.empty(found.length ? `No alert of ${least.toLowerCase()} severity or above in this range.` : "No alert in this range.", "Rules stand in alerts.toml; `tickhouse alerts list` shows them, `tickhouse alerts test` sends one to try.");
    table.show(shown, (each) => each.alert_id + each.local_timestamp);
    box.dataset.alerts = shown.length;
  }

  const reading = poll("alerts", () => ({ hours }), 10000, (answer) => { found = rows(answer.alerts); draw(); }, box.failed);
  const leave = live.follow([{ channel: "alerts" }], () => { due ||= setTimeout(() => { due = null; reading.now(); }, 500); }, reading.now);
  return () => { clearTimeout(due); leave(); reading.stop(); };
}
