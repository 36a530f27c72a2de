// How figures and times are written: times are UTC everywhere.

export function price(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const digits = size >= 10000 ? 1 : size >= 100 ? 2 : size >= 1 ? 4 : 8;
  return value.toLocaleString("en-US", { minimumFractionDigits: Math.min(2, digits), maximumFractionDigits: digits });
}

export function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  for (const [unit, name] of [[1e9, "B"], [1e6, "M"], [1e3, "k"]]) if (size >= unit) return `${(value / unit).toFixed(size >= 100 * unit ? 0 : 2)}${name}`;
  return size >= 100 ? value.toFixed(0) : size >= 1 ? value.toFixed(2) : value === 0 ? "0" : value.toPrecision(3);
}

export const amount = (value) => (value === null || value === undefined ? "–" : value >= 1000 ? short(value) : value.toLocaleString("en-US", { maximumFractionDigits: value >= 1 ? 4 : 6 }));
export const percent = (value) => (value === null || value === undefined ? "–" : `${value > 0 ? "+" : ""}${value.toFixed(2)}%`);
export const bps = (value) => (value === null || value === undefined ? "–" : value.toFixed(Math.abs(value) >= 10 ? 1 : 2));
export const count = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-US"));

const iso = (ms) => new Date(ms).toISOString();
export const clock = (ms) => (ms ? iso(ms).slice(11, 19) : "–");
export const moment = (ms) => (ms ? `${iso(ms).slice(5, 10)} ${iso(ms).slice(11, 19)}` : "–");
export const minute = (ms) => (ms ? `${iso(ms).slice(5, 10)} ${iso(ms).slice(11, 16)}` : "–");
export const axis = (ms, span) => (span >= 86400000 ? iso(ms).slice(0, 10) : span >= 3600000 ? `${iso(ms).slice(5, 10)} ${iso(ms).slice(11, 16)}` : iso(ms).slice(11, 16));

export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return `${Math.max(0, seconds).toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}
