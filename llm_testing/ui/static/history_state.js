// What the list of runs and the view beside it share: the runs, which are chosen, and the address that brings both back.

import { ask } from "./feed.js";
import { inAddress, showTab, toAddress } from "./tabs.js";

export const MOST_DRAWN = 20; // curves laid over one another; more ticks are for bulk actions and the scatter

// showing: "run", "compare" or null, where nothing is chosen yet.
export const state = { runs: [], byId: new Map(), read: false, error: null, open: null, ticked: new Set(), showing: null };

const listeners = new Set();
export const onChange = (listener) => listeners.add(listener);

export function changed() {
  document.documentElement.dataset.ltHistory = state.showing ?? "list";
  if (state.read) {
    toAddress({
      run: state.showing === "run" ? state.open : null,
      compare: state.ticked.size > 1 ? [...state.ticked].slice(0, MOST_DRAWN).join() : null,
    });
  }
  for (const listener of listeners) listener();
}

// Where a link or a refresh left off.
export function fromAddress() {
  const run = inAddress("run"),
    compare = (inAddress("compare") ?? "").split(",").filter(Boolean);
  state.ticked = new Set(compare);
  state.open = run;
  state.showing = run ? "run" : compare.length > 1 ? "compare" : null;
}

let tag = null,
  reading = null,
  next = null;

// One look at a time. Whoever asks meanwhile gets the next one: this one may have begun before what they have changed.
export function reloadRuns() {
  if (reading) {
    next ??= reading.then(() => {
      next = null;
      return reloadRuns();
    });
    return next;
  }
  reading = look().finally(() => {
    reading = null;
  });
  return reading;
}

async function look() {
  try {
    const news = await ask("runs", { archived: "all" }, tag);
    state.error = null;
    if (news.same && state.read) return;
    tag = news.tag;
    state.runs = news.value.runs;
  } catch (error) {
    state.error = error.message;
    changed();
    return;
  }
  state.byId = new Map(state.runs.map((run) => [run.run_id, run]));
  state.read = true;
  for (const id of [...state.ticked]) if (!state.byId.has(id)) state.ticked.delete(id);
  if (state.ticked.size < 2 && state.showing === "compare") state.showing = null;
  if (state.open && !state.byId.has(state.open)) {
    state.open = null;
    if (state.showing === "run") state.showing = state.ticked.size > 1 ? "compare" : null;
  }
  changed();
}

// What the feed knows of the live run is newer than the list.
export function patchLive(live) {
  const run = live && state.byId.get(live.run_id);
  if (!run) return;
  const news = { state: live.state, step: live.step, train_loss: live.train_loss, tokens_per_s: live.tokens_per_s, elapsed_s: live.elapsed_s, tokens_seen: live.tokens_seen, total_steps: live.total_steps, eta_s: live.eta_s };
  if (live.val_loss != null) Object.assign(news, { val_loss: live.val_loss, val_bits_per_byte: live.val_bits_per_byte });
  if (Object.entries(news).every(([name, value]) => value === undefined || run[name] === value)) return;
  for (const [name, value] of Object.entries(news)) if (value !== undefined) run[name] = value;
  changed();
}

export function openRun(runId) {
  state.open = runId;
  state.showing = runId ? "run" : state.ticked.size > 1 ? "compare" : null;
  changed();
}

export function closeView() {
  state.showing = null;
  state.open = null;
  changed();
}

export function showComparison() {
  if (state.ticked.size > 1) state.showing = "compare";
  changed();
}

export function tick(runIds, on) {
  for (const id of runIds) {
    if (on) state.ticked.add(id);
    else state.ticked.delete(id);
  }
  if (state.ticked.size > 1) state.showing = "compare";
  else if (state.showing === "compare") state.showing = state.open ? "run" : null;
  changed();
}

// These alone, in place of what was ticked.
export function compareThese(runIds) {
  state.ticked.clear();
  tick(runIds, true);
}

// From another tab of the page.
export function openRunInHistory(runId) {
  showTab("history");
  reloadRuns().then(() => openRun(runId));
}

export const nameOf = (runId) => state.byId.get(runId)?.name || runId;
