// News from the server, only while the tab is in view: status, curves and texts of the run that is followed in one answer.

import { ACTIVE } from "./dom.js";

const BUSY_MS = 1000, IDLE_MS = 3000, HIDDEN_MS = 15000, MACHINE_MS = 3000, MACHINE_IDLE_MS = 10000;
const ON_CPU = 2; // times as long between two looks: page and trainer share the cores, and a look stops all of its threads
const MOST_POINTS = 1200; // as many as a chart has pixels; twice that are thinned again
const SPIKY = ["train_loss", "lr", "grad_norm", "tokens_per_s"], RARE = ["val_loss", "final_val_loss"];

export async function ask(name, params = {}, tag = null) {
  const url = new URL(`../${name}`, import.meta.url);
  url.search = new URLSearchParams(params);
  const reply = await fetch(url, { cache: "no-store", headers: tag ? { "If-None-Match": tag } : {} });
  if (reply.status === 304) return { same: true, tag };
  const value = await reply.json();
  if (!reply.ok || value.gone) throw new Error(value.gone ?? value.error ?? `The server answered ${reply.status}.`);
  return { value, tag: reply.headers.get("etag") };
}

export class Feed {
  constructor() {
    this.listeners = new Set();
    this.machineListeners = new Set();
    this.status = null;
    this.machine = null;
    this.lost = false;
    this.tag = null;
    this.followers = [];
    this.timer = null;
    this.machineAt = 0;
    document.addEventListener("visibilitychange", () => this.wake());
    this.wake();
  }

  listen(listener) {
    this.listeners.add(listener);
    if (this.status) listener(this);
    return () => this.listeners.delete(listener);
  }

  // `cursors` says up to where the active run is known by what is in sight, or null where that shows no run. Its news
  // then come with each answer. Out of sight nothing is asked for.
  follow(cursors) { this.followers.push(cursors); }

  cursors() {
    for (const follower of this.followers) {
      const found = follower();
      if (found) return found;
    }
    return {};
  }

  listenToMachine(listener) { this.machineListeners.add(listener); }

  wake() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), document.visibilityState === "visible" ? 0 : HIDDEN_MS);
  }

  async look() {
    clearTimeout(this.timer);
    if (this.looking) return;
    this.looking = true;
    try {
      const now = Date.now();
      if (now - this.machineAt > (this.active() || this.watched ? this.pace * MACHINE_MS : MACHINE_IDLE_MS)) {
        this.machineAt = now;
        this.machine = (await ask("machine")).value;
        for (const listener of this.machineListeners) listener();
      }
      const news = await ask("status", this.cursors(), this.tag);
      const found = this.lost;
      this.lost = false;
      if (!news.same) { this.status = news.value; this.tag = news.tag; }
      if (!news.same || found) this.tell();
    } catch {
      if (!this.lost) { this.lost = true; this.tell(); }
    }
    this.looking = false;
    clearTimeout(this.timer);
    const hidden = document.visibilityState !== "visible";
    // Out of sight only the end of a run matters, and only to who asked to be told of it.
    if (hidden && !(this.active() && window.Notification?.permission === "granted")) return;
    this.timer = setTimeout(() => this.look(), hidden ? HIDDEN_MS : this.active() ? this.pace * BUSY_MS : IDLE_MS);
  }

  get pace() { return this.machine?.device === "cpu" ? ON_CPU : 1; }

  active() { return ACTIVE.includes(this.status?.run?.state); }

  tell() { for (const listener of this.listeners) listener(this); }
}

// The curve of one run, kept as columns that grow.
export class Curve {
  constructor(runId) {
    this.runId = runId;
    this.clear();
  }

  // Begins with what another answer told of it; more() goes on from there.
  begin({ columns, next, thinned: thin }) {
    Object.assign(this, { columns, next, thin, detail: null });
  }

  clear() { this.columns = null; this.next = -1; this.thin = false; this.detail = null; }

  get length() { return this.columns?.step.length ?? 0; }

  // True where something is new.
  async more() {
    return this.take((await ask("points", { run: this.runId, after: this.next })).value);
  }

  take(news) {
    if (news.from !== this.next) return false; // another answer came first
    const rewound = news.rewound_to != null && this.columns;
    if (rewound) this.cut(news.rewound_to);
    this.next = news.next;
    if (!this.columns) this.columns = news.columns;
    else for (const [name, values] of Object.entries(this.columns)) values.push(...(news.columns[name] ?? news.columns.step.map(() => null)));
    this.thin ||= news.thinned || this.length > 2 * MOST_POINTS;
    if (this.length > 2 * MOST_POINTS) this.columns = thinned(this.columns, MOST_POINTS);
    return rewound || news.columns.step.length > 0;
  }

  // What a chart draws: all points, and where someone looks closely every point that the server gave of that stretch.
  get shown() {
    if (!this.detail || !this.columns) return this.columns;
    const { from, to, columns } = this.detail;
    const { step } = this.columns;
    const first = step.findIndex((s) => s >= from), after = step.findIndex((s) => s > to); // prettier-ignore
    if (first < 0) return this.columns;
    const rest = after < 0 ? step.length : after;
    return Object.fromEntries(Object.entries(this.columns).map(([name, values]) => [name, [...values.slice(0, first), ...columns[name], ...values.slice(rest)]]));
  }

  // Finer points of a stretch of x (step, tokens, time); nothing where all of them are here already. True where
  // something is new.
  async closer({ x, from, to }) {
    if (!this.thin || !this.columns) return false;
    const asked = this.detail?.asked;
    if (asked?.x === x && asked.from <= from && asked.to >= to && !this.detail.thin) return false;
    const { value } = await ask("points", { run: this.runId, x, from_x: from, to_x: to });
    const { step } = value.columns; // one point more at either side
    if (!step.length) return false;
    const own = Object.keys(this.columns).map((name) => [name, value.columns[name] ?? step.map(() => null)]);
    this.detail = { asked: { x, from, to }, from: step[0], to: step.at(-1), columns: Object.fromEntries(own), thin: value.thinned };
    return true;
  }

  farther() {
    const had = this.detail !== null;
    this.detail = null;
    return had;
  }

  cut(step) {
    this.detail = null;
    const first = this.columns.step.findIndex((s) => s > step);
    if (first >= 0) for (const values of Object.values(this.columns)) values.length = first;
  }
}

// As service/curves.py thins: every stretch keeps its extremes and its gap, and no validation is dropped.
export function thinned(columns, most) {
  const length = columns.step.length;
  const width = Math.ceil(length / Math.max(1, Math.floor(most / (2 * SPIKY.length))));
  const keep = new Set([0, length - 1]);
  for (let first = 0; first < length; first += width) {
    const end = Math.min(first + width, length);
    for (const name of SPIKY) {
      let low = -1, high = -1;
      const values = columns[name];
      for (let i = first; i < end; i++) {
        if (values[i] == null) { if (name === "train_loss") keep.add(i); continue; }
        if (low < 0 || values[i] < values[low]) low = i;
        if (high < 0 || values[i] > values[high]) high = i;
      }
      if (low >= 0) keep.add(low).add(high);
    }
  }
  for (const name of RARE) columns[name].forEach((value, i) => { if (value != null) keep.add(i); });
  const kept = [...keep].sort((a, b) => a - b);
  return Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, kept.map((i) => values[i])]));
}

// Samples and events of one run.
export class Texts {
  constructor(runId) {
    this.runId = runId;
    this.samples = { rows: [], next: -1 };
    this.events = { rows: [], next: -1 };
  }

  async more() {
    return this.take((await ask("texts", { run: this.runId, samples: this.samples.next, events: this.events.next })).value);
  }

  take(news) {
    let changed = false;
    for (const name of ["samples", "events"]) {
      const { rows, from, next, rewound_to: rewound } = news[name];
      if (from !== this[name].next) continue; // another answer came first
      if (rewound != null) this[name].rows = this[name].rows.filter((row) => (row.step ?? 0) <= rewound);
      changed ||= rows.length > 0 || rewound != null;
      this[name].rows.push(...rows);
      this[name].next = next;
    }
    return changed;
  }
}
