// Which models can be asked: the live one and the checkpoints of all runs. One list for every place that offers them.

import { call } from "./call.js";
import { el, show } from "./dom.js";
import { ask } from "./feed.js";
import * as words from "./words.js";

export const LIVE = "live";
const BUILT = ["running", "pausing", "paused"];

const shelf = { rows: [], runs: new Map(), read: false, error: null, listeners: new Set(), seen: null };

export const checkpoints = () => shelf.rows;
export const shelfError = () => shelf.error;
export const wasRead = () => shelf.read;
export const runOf = (runId) => shelf.runs.get(runId);

export function onModels(listener) {
  shelf.listeners.add(listener);
}

export async function readModels() {
  try {
    const [rows, { value }] = await Promise.all([call("GET", "pretraining/checkpoints?config_name=all"), ask("runs")]);
    shelf.rows = rows;
    shelf.runs = new Map(value.runs.map((run) => [run.run_id, run]));
    shelf.error = null;
  } catch (error) {
    shelf.error = error.message;
  }
  shelf.read = true;
  for (const listener of shelf.listeners) listener();
}

// Reads the list again when a run begins or ends: then there are other models.
export function followRuns(feed) {
  feed.listen(() => {
    const run = feed.status?.run;
    const now = `${run?.run_id} ${run?.state}`;
    if (now === shelf.seen) return;
    shelf.seen = now;
    shelf.live = run && feed.status.here && BUILT.includes(run.state) ? run : null;
    readModels();
  });
}

// A list to choose a model from, which keeps its choice while the list behind it changes.
export class ModelPicker {
  constructor(name, onChange = () => {}) {
    this.wanted = null;
    this.select = el("select", {
      id: `lt-model-${name}`,
      "aria-label": "Model",
      onchange: () => {
        this.wanted = this.select.value;
        onChange();
      },
    });
    onModels(() => this.draw());
    this.draw();
  }

  get value() {
    return this.select.value;
  }

  choose(id) {
    this.wanted = id;
    this.draw();
  }

  draw() {
    const live = shelf.live,
      rows = shelf.rows.filter((row) => !row.damaged);
    show(this.select, [live?.run_id, live?.name, rows.map((row) => [row.id, row.run_name, row.kinds])], () => {
      const runs = grouped(rows);
      const groups = runs.map((group) =>
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

function grouped(rows) {
  const found = new Map();
  for (const row of rows) found.set(row.run_id, [...(found.get(row.run_id) ?? []), row]);
  return [...found.values()];
}
