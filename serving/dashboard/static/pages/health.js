// Feed health: collectors, their sockets and streams as they say of themselves, and what was missed in a day.

import { h, panel, rows, segments, Table, text } from "../dom.js";
import { poll } from "../data.js";
import { age, count, moment, short } from "../format.js";
import { bar } from "../market.js";

export const title = "Feed health";

export function mount(root) {
  let found = null, which = "all";
  const figures = h("div", { class: "figures" });
  const head = panel("", figures);
  head.classList.remove("holds");
  head.style.minHeight = "96px";
  const good = (state) => (state === "live" || state === "connected" ? 1 : ["starting", "connecting", "quiet", "waiting"].includes(state) ? 0 : -1);
  const sockets = new Table([
    { title: "Socket", value: (each) => each.name }, { title: "Exchange", class: "dim", value: (each) => each.exchange },
    { title: "State", value: (each) => each.state, sign: good }, { title: "Frames", class: "num", value: (each) => each.frames, format: count },
    { title: "Last frame", class: "num", value: (each) => each.age, format: age }, { title: "Reconnects", class: "num", value: (each) => each.reconnects },
    { title: "Dead letters", class: "num", value: (each) => each.dead_letters, sign: (value) => -value },
  ]);
  const streams = new Table([
    { title: "Market", value: (each) => `${each.exchange} ${each.symbol}` }, { title: "Channel", value: (each) => each.channel },
    { title: "State", value: (each) => each.state, sign: good }, { title: "Rows a second", class: "num", value: (each) => each.rows_per_second, format: (value) => short(value) },
    { title: "Rows", class: "num", value: (each) => each.rows, format: count }, { title: "Last row", class: "num", value: (each) => each.age, format: age },
    { title: "Gaps", class: "num", value: (each) => each.gaps, sign: (value) => -value }, { title: "Why", class: "dim", value: (each) => each.reason },
  ]);
  const gaps = new Table([
    { title: "From, UTC", value: (each) => each.from_time, format: moment }, { title: "Of", value: (each) => [each.exchange, each.symbol].filter(Boolean).join(" ") },
    { title: "Channel", value: (each) => each.channel }, { title: "Kind", value: (each) => each.kind },
    { title: "Lasted", class: "num", value: (each) => (each.to_time === null ? null : (each.to_time - each.from_time) / 1000), format: (value) => (value === null ? "open" : age(value)), sign: (value) => (value === null ? -1 : 0) },
    { title: "Healed by", class: "dim", value: (each) => each.healed_by ?? "" },
  ]);
  streams.node.classList.add("high");
  gaps.node.classList.add("high");
  const boxes = [head, panel("Sockets", sockets.node), panel("Streams", streams.node), panel("Gaps of 24 hours", gaps.node)];
  root.append(bar(h("h1", {}, "Feed health"), segments("Streams", [["all", "all streams"], ["bad", "only those that are not live"]], "all", (value) => { which = value; draw(); })), h("div", { class: "grid" }, boxes));

  function draw() {
    if (!found) return;
    const running = found.collectors.filter((each) => each.running), every = found.collectors;
    const behind = Math.max(0, ...running.map((each) => each.wal.lag_seconds));
    const list = [["Collectors", running.length ? running.map((each) => each.collector).join(", ") : "none runs"], ["Streams live", `${running.flatMap((each) => each.streams).filter((each) => each.state === "live").length} of ${running.flatMap((each) => each.streams).length}`], ["In the log alone", running.length ? age(behind) : "–"], ["Rows a second", short(running.flatMap((each) => each.streams).reduce((sum, each) => sum + each.rows_per_second, 0))], ["Live feed of this server", found.feed.running ? `${found.feed.clients} viewers and programs` : found.feed.failure ?? "does not run"]];
    if (!figures.children.length) figures.append(...list.map(([name]) => h("div", {}, h("span", {}, name), h("b"))));
    list.forEach(([, value], place) => text(figures.children[place].lastChild, String(value)));
    head.ready();
    const since = (micros) => (micros ? Math.max(0, (found.now - micros / 1000) / 1000) : null);
    const stopped = (each, one) => ({ ...one, state: each.running ? one.state : "stopped", collector: each.collector });
    const own = every.flatMap((each) => each.connections.map((one) => ({ ...stopped(each, one), age: since(one.last_frame) })));
    const all = every.flatMap((each) => each.streams.map((one) => ({ ...stopped(each, one), age: since(one.last_event) })));
    const shown = all.filter((each) => which === "all" || good(each.state) < 0).sort((a, b) => good(a.state) - good(b.state) || (a.exchange + a.symbol < b.exchange + b.symbol ? -1 : 1));
    const none = ["No collector has run on this home.", "Start one with `tickhouse collect`, or everything with `tickhouse up`."];
    own.length ? boxes[1].ready() : boxes[1].empty(...none);
    shown.length ? boxes[2].ready() : boxes[2].empty(...(all.length ? ["Every stream is as it should be.", ""] : none));
    sockets.show(own, (each) => `${each.collector} ${each.name}`);
    streams.show(shown, (each) => `${each.collector} ${each.exchange} ${each.symbol} ${each.channel}`);
    const missed = rows(found.gaps);
    missed.length ? boxes[3].ready() : boxes[3].empty("Nothing was missed in 24 hours.", "");
    gaps.show(missed, (each) => `${each.exchange} ${each.symbol} ${each.channel} ${each.kind} ${each.from_time}`);
    root.dataset.streams = shown.length;
  }

  const reading = poll("health", () => ({}), 2000, (answer) => { found = answer; draw(); }, (error) => boxes.forEach((box) => box.failed(error)));
  return () => reading.stop();
}
