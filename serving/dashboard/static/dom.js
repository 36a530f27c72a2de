// Elements: making them, tables whose cells change in place, and the states a panel can be in.

export function h(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return made;
}

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// A panel that says what it waits for, what it lacks, or what went wrong, above whatever it showed last.
export function panel(title, ...content) {
  const said = h("strong"), more = h("span");
  const state = h("div", { class: "state", role: "status" }, said, more);
  const box = h("section", { class: "panel holds" }, title ? h("h2", {}, title) : null, ...content, state);
  const show = (kind, what, hint) => {
    if (kind === "error" && box.dataset.state === "ready") kind = "stale";
    box.dataset.state = kind;
    state.hidden = kind === "ready" || kind === "stale";
    state.classList.toggle("error", kind === "error");
    box.title = kind === "stale" ? `${what} ${hint}` : "";
    text(said, what);
    text(more, hint);
  };
  box.loading = () => show("loading", "Reading the lake …", "");
  box.empty = (what, hint) => show("empty", what, hint);
  box.failed = (error) => show("error", error.message, error.hint || "It is tried again by itself.");
  box.ready = () => show("ready", "", "");
  box.loading();
  return box;
}

// A table by keys: rows move and cells change in place, so nothing flickers and a selection stays.
export class Table {
  constructor(columns, { click, flash } = {}) {
    this.columns = columns;
    this.click = click;
    this.flash = flash;
    this.rows = new Map();
    this.body = h("tbody");
    this.node = h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((each) => h("th", { class: each.class, title: each.says }, each.title)))), this.body));
  }

  show(items, keyOf) {
    const seen = new Set();
    let before = this.body.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      if (seen.has(key)) continue;
      seen.add(key);
      let row = this.rows.get(key);
      if (!row) {
        row = h("tr", { "data-key": key }, this.columns.map((each) => h("td", { class: each.class })));
        if (this.click) {
          row.dataset.href = "";
          row.addEventListener("click", () => this.click(row.item));
        }
        this.rows.set(key, row);
      }
      row.item = item;
      this.columns.forEach((column, place) => this.fill(row.children[place], column, item));
      if (row === before) before = before.nextElementSibling;
      else this.body.insertBefore(row, before);
    }
    for (const [key, row] of this.rows) {
      if (!seen.has(key)) {
        row.remove();
        this.rows.delete(key);
      }
    }
  }

  fill(cell, column, item) {
    const value = column.value(item);
    if (column.draw) {
      if (cell.value !== value) column.draw(cell, value, item);
      cell.value = value;
      return;
    }
    const shown = column.format ? column.format(value, item) : value ?? "";
    if (column.flash && cell.value !== undefined && value !== cell.value && typeof value === "number") {
      cell.classList.remove("flash-up", "flash-down");
      void cell.offsetWidth;
      cell.classList.add(value > cell.value ? "flash-up" : "flash-down");
    }
    cell.value = value;
    text(cell, String(shown));
    const sign = column.sign ? column.sign(value, item) : null;
    if (column.sign) {
      cell.classList.toggle("up", sign > 0);
      cell.classList.toggle("down", sign < 0);
    }
  }
}

export function select(label, options, chosen, change) {
  const box = h("select", { "aria-label": label, onchange: () => change(box.value) });
  box.fillWith = (list, now) => {
    const wanted = list.map((each) => (Array.isArray(each) ? each : [each, each]));
    if (now && !wanted.some(([value]) => value === now)) wanted.push([now, now]);
    const before = JSON.stringify(wanted);
    if (box.filled !== before) box.replaceChildren(...wanted.map(([value, shown]) => h("option", { value }, shown)));
    box.filled = before;
    box.value = now;
  };
  box.fillWith(options, chosen);
  return box;
}

export function segments(label, options, chosen, change) {
  const buttons = options.map(([value, shown]) => h("button", { type: "button", "data-value": value, "aria-pressed": String(value === chosen), onclick: () => pick(value, true) }, shown));
  const pick = (value, tell) => {
    for (const each of buttons) each.setAttribute("aria-pressed", String(each.dataset.value === String(value)));
    if (tell) change(value);
  };
  const made = h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
  made.pick = (value) => pick(value, false);
  return made;
}

export function toggles(label, options, chosen, change) {
  const on = new Set(chosen);
  return h("div", { class: "segments", role: "group", "aria-label": label }, options.map(([value, shown]) => {
    const button = h("button", { type: "button", "data-value": value, "aria-pressed": String(on.has(value)), onclick: () => {
      on.has(value) ? on.delete(value) : on.add(value);
      button.setAttribute("aria-pressed", String(on.has(value)));
      change([...on]);
    } }, shown);
    return button;
  }));
}

// Rows of the columns a page is sent.
export function rows(columns) {
  const names = Object.keys(columns);
  return (columns[names[0]] || []).map((_, place) => Object.fromEntries(names.map((name) => [name, columns[name][place]])));
}

// `work` at most once in `pause` milliseconds, the last call always done.
export function throttled(work, pause) {
  let waiting = null, last = 0;
  const made = () => {
    if (waiting !== null) return;
    waiting = setTimeout(() => requestAnimationFrame(() => { waiting = null; last = performance.now(); work(); }), Math.max(0, pause - (performance.now() - last)));
  };
  made.cancel = () => { clearTimeout(waiting); waiting = null; work = () => {}; };
  return made;
}
