// Run History: the table of runs, one of them opened, or several laid over one another with what differs first.

import { ask, Curve } from "./feed.js";
import { Charts } from "./charts.js";
import { ACTIVE, dot, el, keep, kept, openTab, show, stateChip } from "./dom.js";
import { RunView } from "./live.js";
import { Trash } from "./trash.js";
import * as words from "./words.js";

const REFRESH_MS = 4000, MOST_TICKED = 10;
const COLUMNS = [
  ["name", "Run", (run) => words.plain(run.name || run.run_id)],
  ["state", "State", null],
  ["step", "Step", (run) => words.number(run.step)],
  ["val_loss", "Val loss", (run) => words.loss(run.val_loss)],
  ["val_bits_per_byte", "Bits/byte", (run) => (run.val_bits_per_byte == null ? words.DASH : run.val_bits_per_byte.toFixed(3))],
  ["num_parameters", "Params", (run) => words.short(run.num_parameters)],
  ["tokens_per_s", "Tok/s", (run) => words.short(run.tokens_per_s)],
  ["corpus", "Corpus", (run) => words.plain(run.corpus ?? words.DASH)],
  ["created_at", "Created", (run) => words.day(run.created_at)],
];

// What the table and the view beside it share.
const chosen = { runs: [], open: null, ticked: new Set(), sort: ["created_at", -1], filter: "", table: null, view: null };

export const openedRun = () => chosen.open ?? "";

export async function reloadRuns() {
  const { value } = await ask("runs");
  chosen.runs = value.runs;
  const known = new Set(chosen.runs.map((run) => run.run_id));
  chosen.ticked = new Set([...chosen.ticked].filter((id) => known.has(id)));
  if (!known.has(chosen.open)) chosen.open = null;
  if (chosen.count !== undefined && chosen.count !== value.runs.length) chosen.trash?.();
  chosen.count = value.runs.length;
  changed();
}

function changed() {
  chosen.table?.();
  chosen.view?.();
  document.documentElement.dataset.ltOpened = String(Boolean(chosen.open) && chosen.ticked.size < 2);
}

const visible = (element) => document.visibilityState === "visible" && element.offsetParent !== null;

export function mountRuns(element, feed) {
  const box = element.querySelector(".lt-runs");
  const search = el("input", { type: "search", placeholder: "Filter by name, corpus or state", "aria-label": "Filter the runs", oninput: (event) => { chosen.filter = event.target.value.toLowerCase(); changed(); } });
  const list = el("div", { class: "lt-table-box" });
  const hint = el("p", { class: "lt-hint" }, "Open a run by its name; tick two or more to lay their curves over one another.");
  const trash = new Trash(() => reloadRuns());
  chosen.trash = () => trash.read();
  box.replaceChildren(el("div", { class: "lt-toolbar" }, search), list, hint, trash.fold);
  chosen.table = () => show(list, [chosen.runs, chosen.open, [...chosen.ticked], chosen.sort, chosen.filter], table);
  let state = null;
  feed.listen(() => {
    const now = `${feed.status?.run?.run_id}${feed.status?.run?.state}`;
    if (now !== state && visible(element)) reloadRuns();
    state = now;
  });
  setInterval(() => { if (visible(element)) reloadRuns().catch(() => {}); }, REFRESH_MS);
  reloadRuns();
}

function table() {
  if (!chosen.runs.length) return el("p", { class: "lt-empty-small" }, "No runs yet. Press Start on the Pretraining tab; every run is kept here, also those of the command line.");
  const rows = sorted(chosen.runs.filter(fitsFilter));
  if (!rows.length) return el("p", { class: "lt-empty-small" }, `No run fits “${chosen.filter}”.`);
  const [by, direction] = chosen.sort;
  return el("table", { class: "lt-table" },
    el("thead", {}, el("tr", {}, el("th", {}, el("span", { class: "lt-unseen" }, "Compare")), COLUMNS.map(([key, title]) =>
      el("th", { "aria-sort": key === by ? (direction > 0 ? "ascending" : "descending") : null }, el("button", { type: "button", onclick: () => sortBy(key) }, title, key === by ? (direction > 0 ? " ↑" : " ↓") : ""))))),
    el("tbody", {}, rows.map(tableRow)));
}

function tableRow(run) {
  const tick = el("input", { type: "checkbox", "aria-label": `compare ${words.plain(run.name || run.run_id)}`, disabled: Boolean(run.damaged), onchange: () => toggle(run.run_id) });
  tick.checked = chosen.ticked.has(run.run_id);
  if (run.damaged) {
    return el("tr", { class: "lt-damaged" }, el("td", {}, tick), el("td", { colspan: COLUMNS.length }, el("b", {}, words.plain(run.name || run.run_id)), ` damaged: ${words.plain(run.damaged)}`));
  }
  return el("tr", { class: run.run_id === chosen.open ? "lt-open" : "", "data-run": run.run_id, onclick: (event) => { if (!event.target.closest("input, button")) open(run.run_id); } }, el("td", {}, tick), COLUMNS.map(([key, title, words_]) => {
    if (key === "name") return el("td", {}, el("button", { type: "button", class: "lt-run-name", title: words.plain(run.name || run.run_id), onclick: () => open(run.run_id) }, dot(run.colour), words_(run)), run.tags?.includes("example") ? el("span", { class: "lt-kind" }, "example") : null);
    if (key === "state") return el("td", {}, stateChip(run.state));
    return el("td", { "data-title": title, class: ["corpus", "created_at"].includes(key) ? "" : "lt-number" }, words_(run));
  }));
}

function fitsFilter(run) {
  return !chosen.filter || [run.name, run.run_id, run.corpus, run.state, run.config_name].some((text) => String(text ?? "").toLowerCase().includes(chosen.filter));
}

function sorted(runs) {
  const [by, direction] = chosen.sort;
  const none = (value) => value == null;
  return [...runs].sort((a, b) => {
    if (none(a[by]) || none(b[by])) return none(a[by]) - none(b[by]);
    return direction * (typeof a[by] === "string" ? a[by].localeCompare(b[by]) : a[by] - b[by]);
  });
}

function sortBy(key) {
  const [by, direction] = chosen.sort;
  chosen.sort = [key, by === key ? -direction : key === "created_at" ? -1 : 1];
  changed();
}

function toggle(runId) {
  if (chosen.ticked.has(runId)) chosen.ticked.delete(runId);
  else if (chosen.ticked.size < MOST_TICKED) chosen.ticked.add(runId);
  changed();
}

// From another tab of the page.
export function openRunInHistory(runId) {
  openTab("Run History");
  reloadRuns().then(() => open(runId));
}

function open(runId) {
  chosen.open = runId;
  chosen.ticked.clear();
  keep("opened", runId);
  changed();
}

export function mountOpened(element) {
  const box = element.querySelector(".lt-opened");
  const one = el("div", {}), several = el("div", {}), none = el("p", { class: "lt-empty-small" }, "Open a run to see its curves, samples and settings.");
  box.replaceChildren(none, one, several);
  const single = { box: one, id: null }, overlay = { box: several, ids: "" };
  chosen.open ??= kept("opened", null);
  chosen.view = () => {
    const many = chosen.ticked.size >= 2;
    none.hidden = many || Boolean(chosen.open);
    one.hidden = many || !chosen.open;
    several.hidden = !many;
    if (many) compare(overlay).catch(said(several));
    else if (chosen.open) openOne(single).catch(said(one));
  };
  changed();
}

const said = (box) => (error) => { box.dataset.said = ""; box.replaceChildren(el("p", { class: "lt-warning" }, error.message)); };

async function openOne(single) {
  const run = chosen.runs.find((row) => row.run_id === chosen.open);
  if (!run) return;
  if (single.id !== run.run_id) {
    single.id = run.run_id;
    const view = el("div", { class: "lt-live" });
    single.facts = el("div", {});
    single.box.replaceChildren(view, single.facts);
    single.view = new RunView(view, "This run has no points yet: it has not come to its first step.", true);
  }
  const { value: record } = await ask("run", { run: run.run_id });
  if (single.id !== run.run_id) return;
  await single.view.show({ ...run, ...(run.damaged ? {} : { error: record.error, warnings: [] }) });
  show(single.facts, record, () => facts(record, run));
}

function facts(record, run) {
  const size = [["Size on disk", words.bytes(record.bytes)], ["Time spent", words.duration(run.elapsed_s)], ["Tokens seen", words.short(run.tokens_seen)], ["Best validation", words.loss(run.best_val_loss)], ["Can go on from step", run.resumable_step == null ? words.DASH : words.number(run.resumable_step)]];
  return [
    el("dl", { class: "lt-figures" }, size.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))),
    fold(`Settings of this run (${Object.keys(record.config ?? {}).length})`, pairs(record.config)),
    fold("Environment and data", pairs({ ...record.environment, ...record.data })),
    fold(`Checkpoints (${(record.checkpoints ?? []).length})`, el("table", { class: "lt-table" }, (record.checkpoints ?? []).map((c) => el("tr", {}, el("td", { class: "lt-number" }, words.number(c.step)), el("td", {}, words.bytes(c.bytes)), el("td", {}, words.plain(c.damaged ?? "whole")))))),
    el("p", { class: "lt-hint lt-take" }, "Download ", link(run, "download?checkpoints=false", "the run without weights"), (record.checkpoints ?? []).length ? link(run, "download", `with its checkpoints (${words.bytes(record.bytes)})`) : null, link(run, "metrics.csv", "curves as CSV"), link(run, "samples.csv", "samples as CSV")),
    el("p", { class: "lt-hint" }, `Run id ${run.run_id}`),
  ];
}

const link = (run, what, label) => el("a", { class: "lt-link", href: new URL(`../../api/pretraining/runs/${run.run_id}/${what}`, import.meta.url).href, download: "" }, label);
const fold = (title, inside) => el("details", { class: "lt-fold" }, el("summary", {}, title), el("div", { class: "lt-table-box" }, inside));
const text = (value) => (value == null ? words.DASH : typeof value === "object" ? JSON.stringify(value) : String(value));
const pairs = (values) => el("table", { class: "lt-table lt-pairs" }, Object.entries(values ?? {}).map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, words.plain(text(value))))));

async function compare(overlay) {
  const runs = chosen.runs.filter((run) => chosen.ticked.has(run.run_id));
  const ids = runs.map((run) => run.run_id).join();
  if (overlay.ids !== ids) {
    overlay.ids = ids;
    overlay.differs = el("div", { class: "lt-table-box" });
    const charts = el("div", { class: "lt-charts" });
    overlay.box.replaceChildren(el("h2", {}, "What differs"), overlay.differs, charts);
    overlay.charts = new Charts(charts, { note: "None of these runs has a point yet." });
    overlay.curves = runs.map((run) => ({ curve: new Curve(run.run_id), runId: run.run_id, name: run.name || run.run_id, colour: run.colour }));
  }
  const fresh = overlay.fresh !== ids;
  overlay.fresh = ids;
  const live = overlay.curves.filter((one) => fresh || ACTIVE.includes(runs.find((run) => run.run_id === one.runId)?.state));
  if (live.length) await Promise.all(live.map((one) => one.curve.more()));
  if (overlay.ids !== ids) return;
  if (live.length) await overlay.charts.show(overlay.curves);
  const { value } = await ask("compare", { runs: ids });
  show(overlay.differs, [value, ids], () => differences(value, runs));
}

function differences(found, runs) {
  const sameBytes = new Set(runs.map((run) => run.tokenizer)).size < 2 && !("vocab_size" in found.differing) && !("corpus" in found.differing);
  const results = [["val_loss", "Validation loss", words.loss], ["val_bits_per_byte", "Validation bits/byte", (v) => (v == null ? words.DASH : v.toFixed(3))], ["num_parameters", "Parameters", words.short], ["tokens_per_s", "Tokens/s", words.short], ["elapsed_s", "Time", words.duration]];
  return [
    el("table", { class: "lt-table" },
      el("thead", {}, el("tr", {}, el("th", {}, ""), runs.map((run) => el("th", {}, dot(run.colour), words.plain(run.name || run.run_id))))),
      el("tbody", {},
        Object.entries(found.differing).map(([option, values]) => el("tr", {}, el("th", { scope: "row" }, option), runs.map((run) => el("td", {}, words.plain(text(values[run.run_id])))))),
        results.map(([key, title, say]) => el("tr", { class: "lt-result" }, el("th", { scope: "row" }, title), runs.map((run) => el("td", { class: "lt-number" }, say(found.results[run.run_id]?.[key]))))))),
    Object.keys(found.differing).length ? null : el("p", { class: "lt-hint" }, "These runs have the same settings."),
    sameBytes ? null : el("p", { class: "lt-hint" }, "Their tokens differ, so losses a token cannot be compared; bits a byte can."),
  ];
}
