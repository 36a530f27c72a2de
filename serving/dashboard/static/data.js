// What pages read over HTTP: one answer, or the same one again and again while the page is seen.

export class Refused extends Error {
  constructor(message, hint) {
    super(message);
    this.hint = hint;
  }
}

export async function read(name, asked = {}, signal) {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== "" && value !== undefined && value !== null));
  let answer;
  try {
    answer = await fetch(`/dashboard/data/${name}?${query}`, { signal, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer.", "Start it with `tickhouse serve`; this page goes on by itself when it is back.");
  }
  if (answer.status === 401) {
    location.assign(`/dashboard/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Refused("Signing in is needed.", "");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok || body === null) {
    const hint = answer.status === 429 ? "It is tried again in a moment." : "It is tried again by itself; the log of the server says more.";
    throw new Refused(body?.error?.message || `The server answered ${answer.status}.`, hint);
  }
  return body;
}

// Reads every `pause` milliseconds while the page is seen; `asked()` gives the parameters. Returns {now, stop}.
export function poll(name, asked, pause, show, fail) {
  let timer = null, current = null, stopped = false;
  const once = async () => {
    clearTimeout(timer);
    current?.abort();
    const own = (current = new AbortController());
    let next = pause;
    try {
      const found = await read(name, asked(), own.signal);
      if (!stopped && current === own) show(found);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Refused)) throw error;
      if (!stopped && current === own) fail(error);
      next = Math.max(1500, pause / 4);
    } finally {
      if (!stopped && current === own && next !== Infinity) timer = setTimeout(() => (document.hidden ? null : once()), next);
    }
  };
  const seen = () => { if (!document.hidden && !stopped) once(); };
  document.addEventListener("visibilitychange", seen);
  once();
  return { now: once, stop: () => { stopped = true; clearTimeout(timer); current?.abort(); document.removeEventListener("visibilitychange", seen); } };
}
