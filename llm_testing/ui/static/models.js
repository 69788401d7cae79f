// Which models can be asked: the live one and the checkpoints of all runs. One list for every place that offers them.

import { call } from "./call.js";
import { el, id, show } from "./dom.js";
import { ask } from "./feed.js";
import * as words from "./words.js";

export const LIVE = "live";
const BUILT = ["running", "pausing", "paused"];

// What is kept of each kind of run: the rows of its checkpoints, and its live model.
class Shelf {
  constructor(kind, address) {
    Object.assign(this, { kind, address, rows: [], read: false, error: null, live: null, listeners: new Set() });
  }
}
const shelves = {
  "": new Shelf("pretrain", "pretraining/checkpoints?config_name=all"),
  tune: new Shelf("finetune", "fine-tuning/checkpoints"),
};
let runs = new Map(),
  seen = null;

export const checkpoints = (of = "") => shelves[of].rows;
export const shelfError = (of = "") => shelves[of].error;
export const wasRead = (of = "") => shelves[of].read;
export const liveRun = (of = "") => shelves[of].live;
export const runOf = (runId) => runs.get(runId);
export const allRuns = () => [...runs.values()];

export function onModels(listener, of = "") {
  shelves[of].listeners.add(listener);
}

export async function readModels(of = "") {
  const shelf = shelves[of],
    asked = (shelf.asked = {});
  try {
    const [rows, { value }] = await Promise.all([call("GET", shelf.address), ask("runs")]);
    if (asked !== shelf.asked) return; // a later look tells more, and may have been answered first
    runs = new Map(value.runs.map((run) => [run.run_id, run]));
    shelf.rows = rows.filter((row) => (runs.get(row.run_id)?.kind ?? shelf.kind) === shelf.kind);
    shelf.error = null;
  } catch (error) {
    if (asked !== shelf.asked) return;
    shelf.error = error.message;
  }
  shelf.read = true;
  for (const listener of shelf.listeners) listener();
}

// Reads the lists again when a run begins or ends: then there are other models.
export function followRuns(feed) {
  feed.listen(() => {
    const run = feed.status?.run;
    const now = `${run?.run_id} ${run?.state}`;
    if (now === seen) return;
    seen = now;
    for (const [of, shelf] of Object.entries(shelves)) {
      const built = run && feed.status.here && run.kind === shelf.kind && BUILT.includes(run.state);
      shelf.live = built ? run : null;
      readModels(of);
    }
  });
}

// A list to choose a model from, which keeps its choice while the list behind it changes.
export class ModelPicker {
  constructor(name, onChange = () => {}, of = "") {
    this.of = of;
    this.wanted = null;
    this.select = el("select", {
      id: id(`model-${name}`, of),
      "aria-label": "Model",
      onchange: () => {
        this.wanted = this.select.value;
        onChange();
      },
    });
    onModels(() => this.draw(), of);
    this.draw();
  }

  get value() {
    return this.select.value;
  }

  choose(wanted) {
    this.wanted = wanted;
    this.draw();
  }

  draw() {
    const live = liveRun(this.of),
      rows = checkpoints(this.of).filter((row) => !row.damaged);
    show(this.select, [live?.run_id, live?.name, rows.map((row) => [row.id, row.run_name, row.kinds])], () => {
      const groups = grouped(rows).map((group) =>
        el(
          "optgroup",
          { label: words.plain(group[0].run_name || group[0].run_id) },
          group.map((row) =>
            el(
              "option",
              { value: row.id },
              [`step ${words.number(row.step)}`, ...row.kinds.filter((kind) => ["best", "final"].includes(kind))].join(
                ", ",
              ) + ` · ${words.plain(row.run_name || row.run_id)}`,
            ),
          ),
        ),
      );
      return [
        live ? el("option", { value: LIVE }, `the live model of ${words.plain(live.name || live.run_id)}`) : null,
        ...groups,
        live || rows.length ? null : el("option", { value: "" }, "no model yet"),
      ];
    });
    const there = [...this.select.options].some((option) => option.value === this.wanted);
    this.select.value = there ? this.wanted : (this.select.options[0]?.value ?? "");
    this.select.disabled = !live && !rows.length;
  }
}

// The words for where an answer comes from.
export function fromWords({ checkpoint_id: id, step }, of = "") {
  if (id === LIVE) return `live model at step ${words.number(step)}`;
  const row = checkpoints(of).find((one) => one.id === id);
  return `${words.plain(row?.run_name || id)}, step ${words.number(step)}`;
}

// Checkpoints by run, in the order in which the runs first come.
export function grouped(rows) {
  const found = new Map();
  for (const row of rows) found.set(row.run_id, [...(found.get(row.run_id) ?? []), row]);
  return [...found.values()];
}
