// What differs between runs and what each reached. Few runs stand side by side, many below one another.

import { badge, el } from "./dom.js";
import * as words from "./words.js";

const SIDE_BY_SIDE = 6;
const bits = (value) => (value == null ? words.DASH : value.toFixed(3));
// key, title, words, and whether the lowest or the highest is the best of them.
export const RESULTS = [
  ["val_bits_per_byte", "Val bits/byte", bits, "low"],
  ["best_val_bits_per_byte", "Best bits/byte", bits, "low"],
  ["val_loss", "Final val loss", words.loss, "low"],
  ["best_val_loss", "Best val loss", words.loss, "low"],
  ["tokens_per_s", "Tokens/s", words.short, "high"],
  ["peak_bytes", "Peak memory", words.bytes, "low"],
  ["elapsed_s", "Time", words.duration, "low"],
  ["tokens_seen", "Tokens", words.short, null],
  ["flops", "FLOPs", (value) => (value == null ? words.DASH : value.toExponential(1)), null],
  ["num_parameters", "Parameters", words.short, null],
];

const A_TOKEN = ["val_loss", "best_val_loss"];

export function differences(found, runs, titles) {
  const options = Object.entries(found.differing).map(([name, values]) => ({ title: (titles[name] ?? name).split(",")[0], name, cells: shortened(runs.map((run) => values[run.run_id])), kind: "option" }));
  const asFar = new Set(runs.map((run) => found.results[run.run_id]?.tokens_seen)).size === 1;
  const results = RESULTS.map(([key, title, say, wanted]) => {
    // A loss a token of other tokens is no better or worse, nor is the time of a run that has learned less.
    const best = (found.why && A_TOKEN.includes(key)) || (key === "elapsed_s" && !asFar) ? null : wanted;
    const values = runs.map((run) => found.results[run.run_id]?.[key] ?? null);
    return { title, name: key, cells: values.map(say), best: values.map((value) => isBest(value, values, best)), kind: "result", known: values.some((value) => value != null) };
  }).filter((row) => row.known); // prettier-ignore
  const rows = [...options, ...results];
  const head = (run) => el("span", { class: "lt-run-head-cell", title: words.plain(run.name || run.run_id) }, badge(run.letter, run.colour), " ", el("span", {}, words.plain(run.name || run.run_id)));
  const cell = (row, i) => el("td", { class: `${row.kind === "result" ? "lt-number" : ""} ${row.best?.[i] ? "lt-best" : ""}` }, row.cells[i], row.best?.[i] ? el("span", { class: "lt-best-word" }, " best") : null);
  const made = runs.length <= SIDE_BY_SIDE
    ? el("table", { class: `lt-table lt-differ lt-beside${runs.length > 4 ? " lt-tight" : ""}` },
        el("thead", {}, el("tr", {}, el("th", {}, el("span", { class: "lt-unseen" }, "What")), runs.map((run) => el("th", { scope: "col" }, head(run))))),
        el("tbody", {}, rows.map((row) => el("tr", { class: `lt-${row.kind}` }, el("th", { scope: "row", title: row.name }, row.title), runs.map((_, i) => cell(row, i))))))
    : el("table", { class: "lt-table lt-differ" },
        el("thead", {}, el("tr", {}, el("th", {}, "Run"), rows.map((row) => el("th", { scope: "col", title: row.name, class: row.kind === "result" ? "lt-number" : "" }, row.title)))),
        el("tbody", {}, runs.map((run, i) => el("tr", {}, el("th", { scope: "row" }, head(run)), rows.map((row) => cell(row, i)))))); // prettier-ignore
  return [options.length ? null : el("p", { class: "lt-hint" }, "All settings are the same; only what came out differs."), made];
}

// No more digits than tell the values from each other, and four where they do.
function shortened(values) {
  const cut = (value, digits) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(digits)) : value);
  const distinct = (some) => new Set(some.map((value) => JSON.stringify(value))).size;
  const digits = [4, 6, 9].find((count) => distinct(values.map((value) => cut(value, count))) === distinct(values)) ?? 17;
  return values.map((value) => words.value(cut(value, digits)));
}

function isBest(value, values, best) {
  const known = values.filter((one) => one != null);
  if (value == null || !best || known.length < 2 || new Set(known).size < 2) return false;
  return value === (best === "low" ? Math.min(...known) : Math.max(...known));
}
