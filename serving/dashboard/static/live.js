// The live feed of the server, over one socket: it reconnects by itself, subscribes again, and says when pages must read anew.

const FIRST = 400, LONGEST = 5000, SILENT = 20000;

export class Live {
  constructor(tell) {
    this.tell = tell;
    this.held = new Map();
    this.wait = FIRST;
    this.opened = 0;
    this.heard = 0;
    this.number = 0;
    this.connect();
    setInterval(() => this.check(), 5000);
    addEventListener("online", () => this.again(0));
  }

  // This browser was too slow: whoever follows the channel reads anew. Books need not: the server sends them whole again.
  missed(channel) {
    if (channel !== "books") for (const each of [...this.held.values()]) if (each.channels.has(channel)) each.restart?.();
  }

  connect() {
    this.tell(this.opened ? "offline" : "connecting");
    const address = new URL("/v1/live", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(address));
    socket.onopen = () => {
      this.wait = FIRST;
      this.heard = performance.now();
      this.opened += 1;
      this.tell("live");
      this.send("subscribe", [...new Set([...this.held.values()].flatMap((each) => each.keys))]);
      if (this.opened > 1) for (const each of [...this.held.values()]) each.restart?.();
    };
    socket.onmessage = (packet) => {
      this.heard = performance.now();
      for (const event of JSON.parse(packet.data)) {
        if (event.type === "dropped") this.missed(event.topic.split("|")[0]);
        else for (const each of this.held.values()) if (each.wants(event)) each.take(event);
      }
    };
    socket.onclose = () => {
      if (this.socket === socket) this.again(this.wait * (0.75 + Math.random() / 2));
    };
  }

  again(pause) {
    if (this.socket.readyState === WebSocket.OPEN || this.socket.readyState === WebSocket.CONNECTING) return;
    this.tell("offline");
    clearTimeout(this.timer);
    this.wait = Math.min(LONGEST, this.wait * 1.7);
    this.timer = setTimeout(() => this.connect(), pause);
  }

  // A server that vanished without a word (a laptop that slept) is noticed because it does not answer.
  check() {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (performance.now() - this.heard > SILENT) {
      const old = this.socket;
      old.onclose = old.onmessage = null;
      old.close();
      this.socket = { readyState: WebSocket.CLOSED };
      this.again(0);
    } else if (performance.now() - this.heard > 5000) this.socket.send(JSON.stringify({ op: "ping" }));
  }

  // Subscribe to wishes ({channel, exchange?, symbol?, timeframe?}); `take` gets their events, `restart` is called after a pause of the feed.
  follow(wishes, take, restart) {
    const id = (this.number += 1);
    const keys = wishes.map((wish) => JSON.stringify(wish));
    const before = new Set([...this.held.values()].flatMap((each) => each.keys));
    this.held.set(id, { keys, take, restart, wants: wanting(wishes), channels: new Set(wishes.map((wish) => wish.channel)) });
    this.send("subscribe", keys.filter((key) => !before.has(key)));
    return () => {
      this.held.delete(id);
      const left = new Set([...this.held.values()].flatMap((each) => each.keys));
      this.send("unsubscribe", keys.filter((key) => !left.has(key)));
    };
  }

  send(op, keys) {
    if (keys.length && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ op, channels: keys.map((key) => JSON.parse(key)) }));
  }
}

const CHANNEL = { trade: "trades", book: "books", book_delta: "books", book_top: "tops", candle: "candles", indicators: "indicators", window: "windows", liquidation: "liquidations", alert: "alerts", gap: "gaps", derivative: "derivatives" };

function wanting(wishes) {
  return (event) => {
    const channel = CHANNEL[event.type];
    return channel !== undefined && wishes.some((wish) => wish.channel === channel && (!wish.exchange || wish.exchange === event.exchange) && (!wish.symbol || wish.symbol === event.symbol) && (!wish.timeframe || wish.timeframe === event.timeframe));
  };
}
