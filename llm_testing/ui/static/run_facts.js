// How a run was made and what it left: its saved settings, how to repeat it, memory, files, environment.

import { el, show } from "./dom.js";
import { optionTitles } from "./options.js";
import * as words from "./words.js";

const COPIES = [["cli", "Command line"], ["yaml", "YAML"], ["python", "Python"]]; // prettier-ignore

export function factsOf(run, record) {
  return [
    settings(record),
    repeat(record.repeat),
    memory(record),
    files(run, record),
    damaged(record.damage),
    fold("Environment and data", pairs({ ...record.data, ...record.environment })),
    el("p", { class: "lt-hint" }, `Run id ${run.run_id}`, parentWords(record)),
  ];
}

// Only the run's own saved config; the form's is somewhere else.
function settings(record) {
  const config = record.config ?? {}, box = el("div", {}); // prettier-ignore
  optionTitles([record.kind]).then((titles) =>
    show(box, [config], () =>
      el("table", { class: "lt-table lt-pairs" }, Object.entries(config).map(([name, value]) => el("tr", {}, el("th", { scope: "row", title: name }, titles[name] ?? name), el("td", {}, words.value(value))))),
    ),
  ); // prettier-ignore
  return fold(`Settings it was made with (${Object.keys(config).length})`, box);
}

function repeat(copies) {
  if (!copies?.cli) return copies?.reason ? fold("Repeat this run", el("p", { class: "lt-hint" }, words.plain(copies.reason))) : null; // not for viewers
  const said = el("span", { role: "status", class: "lt-hint" }), code = el("pre", { class: "lt-preview", tabindex: 0 }); // prettier-ignore
  let shown = "cli";
  const tabs = COPIES.map(([name, title]) =>
    el("button", { type: "button", class: "lt-chip-button", "data-copy": name, "aria-pressed": "false", onclick: () => choose(name) }, title),
  ); // prettier-ignore
  function choose(name) {
    shown = name;
    code.textContent = words.plain(copies[name]);
    said.textContent = "";
    tabs.forEach((tab) => tab.setAttribute("aria-pressed", String(tab.dataset.copy === name)));
  }
  const copy = async () => {
    try { await navigator.clipboard.writeText(copies[shown]); said.textContent = "Copied."; } catch { said.textContent = "Select the text to copy it."; } // prettier-ignore
  };
  choose(shown);
  return fold("Repeat this run", el("div", {}, el("div", { class: "lt-doing" }, tabs, el("button", { type: "button", class: "lt-link", onclick: copy }, "Copy"), said), code));
}

function memory(record) {
  const { estimated_bytes: estimated, measured_bytes: measured, terms } = record.memory;
  if (estimated == null && measured == null) return null;
  const most = Math.max(estimated ?? 0, measured ?? 0) || 1;
  const line = (title, value) =>
    el("div", { class: "lt-against" }, el("span", {}, title), el("span", { class: "lt-bar-ground" }, el("span", { class: "lt-bar", style: `width:${(100 * (value ?? 0)) / most}%` })), el("b", {}, words.bytes(value))); // prettier-ignore
  const off = estimated && measured ? (100 * (estimated - measured)) / measured : null;
  return fold("Memory: estimate against measured", el("div", {}, line("Estimated", estimated), line("Measured peak", measured),
    el("p", { class: "lt-hint" }, off === null ? "There is only one of the two, so nothing can be said about the estimate." : Math.abs(off) < 0.5 ? "The estimate was right." : `The estimate was ${Math.abs(off).toFixed(0)} % too ${off > 0 ? "high" : "low"}.`),
    terms ? el("table", { class: "lt-table lt-pairs" }, Object.entries(terms).map(([name, bytes]) => el("tr", {}, el("th", { scope: "row" }, name.replaceAll("_", " ")), el("td", { class: "lt-number" }, words.bytes(bytes))))) : null)); // prettier-ignore
}

function files(run, record) {
  const rows = record.files ?? [];
  const checkpoints = record.checkpoints ?? [];
  return fold(
    `Files (${words.bytes(record.bytes)})`,
    el("div", {},
      rows.length ? el("table", { class: "lt-table" }, rows.map((file) => el("tr", {}, el("td", {}, words.plain(file.path)), el("td", { class: "lt-number" }, words.bytes(file.bytes))))) : null,
      checkpoints.length ? el("table", { class: "lt-table" }, el("thead", {}, el("tr", {}, ["Checkpoint at step", "Size", ""].map((title) => el("th", {}, title)))), el("tbody", {}, checkpoints.map((c) => el("tr", {}, el("td", {}, words.number(c.step)), el("td", {}, words.bytes(c.bytes)), el("td", {}, words.plain(c.damaged ? `damaged: ${c.damaged}` : "whole")))))) : el("p", { class: "lt-hint" }, "It has no checkpoints.")),
  ); // prettier-ignore
}

// Where values stood that cannot be used; they are empty everywhere else.
function damaged(damage) {
  if (!damage) return null;
  const heads = ["File", "First line", "Field", "What was found first", "Times"];
  const cells = (one) => [one.file, one.line ?? "", one.field, one.found, one.count].map((value) => el("td", {}, words.plain(value)));
  return fold("Damaged values", el("table", { class: "lt-table" }, el("thead", {}, el("tr", {}, heads.map((head) => el("th", {}, head)))), el("tbody", {}, damage.places.map((one) => el("tr", {}, cells(one)))))); // prettier-ignore
}

function parentWords(record) {
  const parent = record.parent;
  return parent?.run_id ? `, forked from step ${words.number(parent.step)} of ${parent.run_id}` : "";
}

const pairs = (values) => el("table", { class: "lt-table lt-pairs" }, Object.entries(values ?? {}).filter(([, value]) => value != null && value.length !== 0).map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, name.replaceAll("_", " ")), el("td", {}, value == null ? words.DASH : words.value(value)))));

// What is unfolded stays so from run to run, and while a live run's facts change.
const unfolded = new Set();
function fold(title, inside) {
  const key = title.split(" (")[0];
  const box = el("details", { class: "lt-fold", open: unfolded.has(key), ontoggle: () => (box.open ? unfolded.add(key) : unfolded.delete(key)) }, el("summary", {}, title), el("div", { class: "lt-table-box" }, inside)); // prettier-ignore
  return box;
}
