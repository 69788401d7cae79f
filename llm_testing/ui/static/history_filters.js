// Search and filters over the list of runs, kept in this browser, and the order of its rows.

import { el, keep, kept, show } from "./dom.js";
import { kindWords, modelOf, textOf, valueOf } from "./history_columns.js";
import { state } from "./history_state.js";
import * as words from "./words.js";

const PICKED = [
  ["kind", "Kind", (run) => [run.kind]],
  ["state", "State", (run) => [run.state]],
  ["tag", "Tag", (run) => run.tags ?? []],
  ["model", "Model", (run) => [modelOf(run)]],
  ["corpus", "Text", (run) => [textOf(run)]],
];
const SAID = { kind: kindWords };
const BLANK = { text: "", kind: "", state: "", tag: "", model: "", corpus: "", starred: false, archived: "no" };

export class Filters {
  constructor(onChange) {
    this.onChange = onChange;
    this.wanted = { ...BLANK, ...kept("history-filters", {}) };
    this.order = kept("history-order", ["created_at", -1]);
    this.search = el("input", {
      type: "search",
      id: "lt-history-search",
      placeholder: "Search names, tags, notes …",
      "aria-label": "Search the runs",
      oninput: () => this.set("text", this.search.value),
    });
    this.search.value = this.wanted.text;
    this.selects = PICKED.map(([name, title, read]) => [
      name,
      title,
      read,
      el("select", { "aria-label": title, onchange: (event) => this.set(name, event.target.value) }),
    ]);
    this.star = el(
      "button",
      {
        type: "button",
        class: "lt-chip-button",
        "aria-pressed": "false",
        onclick: () => this.set("starred", !this.wanted.starred),
      },
      "★ starred",
    );
    this.archived = el("select", { "aria-label": "Archived runs", onchange: () => this.set("archived", this.archived.value) },
      [["no", "Not archived"], ["only", "Archived only"], ["all", "Archived too"]].map(([value, title]) => el("option", { value }, title)),
    ); // prettier-ignore
    this.count = el("span", { class: "lt-hint", role: "status" });
    this.clear = el("button", { type: "button", class: "lt-link", onclick: () => this.none() }, "Show all");
    this.line = el("div", { class: "lt-history-filters" }, this.selects.map(([, , , select]) => select), this.archived, this.star);
    this.offer();
  }

  set(name, value) {
    this.wanted[name] = value;
    keep("history-filters", this.wanted);
    this.onChange();
  }

  none() {
    this.wanted = { ...BLANK };
    this.search.value = "";
    keep("history-filters", this.wanted);
    this.onChange();
  }

  any() {
    return Object.entries(BLANK).some(([name, value]) => this.wanted[name] !== value);
  }

  sortBy(key, numbers) {
    const [by, direction] = this.order;
    const first = key === "created_at" || key === "bytes" || (numbers && !key.includes("loss") && key !== "val_bits_per_byte") ? -1 : 1;
    this.order = [key, by === key ? -direction : first];
    keep("history-order", this.order);
    this.onChange();
  }

  // The lists offer what the runs have; a choice that no run has any more is still shown, as it still filters.
  offer() {
    for (const [name, title, read, select] of this.selects) {
      const values = new Set(state.runs.flatMap(read).filter(Boolean));
      if (this.wanted[name]) values.add(this.wanted[name]);
      const sorted = [...values].sort((a, b) => a.localeCompare(b));
      show(select, [sorted], () => [
        el("option", { value: "" }, `${title}: any`),
        ...sorted.map((value) => el("option", { value }, words.plain((SAID[name] ?? String)(value)))),
      ]);
      select.value = this.wanted[name];
      select.hidden = sorted.length < 2 && !this.wanted[name];
      select.classList.toggle("lt-filtering", Boolean(this.wanted[name]));
    }
    this.archived.value = this.wanted.archived;
    this.archived.hidden = this.wanted.archived === "no" && !state.runs.some((run) => run.archived);
    this.star.setAttribute("aria-pressed", String(this.wanted.starred));
    this.star.hidden = !this.wanted.starred && !state.runs.some((run) => run.starred);
    this.clear.hidden = !this.any();
  }

  // The runs that fit, in the chosen order.
  rows() {
    const found = state.runs.filter((run) => this.fits(run));
    const [by, direction] = this.order;
    const keyed = found.map((run) => [valueOf(run, by), run]);
    keyed.sort(([a], [b]) => {
      if (a == null || b == null) return (a == null) - (b == null);
      return direction * (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    });
    const rows = keyed.map(([, run]) => run);
    this.count.textContent = found.length === state.runs.length ? plural(found.length) : `${words.number(found.length)} of ${plural(state.runs.length)}`;
    return rows;
  }

  fits(run) {
    const { text, starred, archived } = this.wanted;
    if (starred && !run.starred) return false;
    if (archived !== "all" && Boolean(run.archived) !== (archived === "only")) return false;
    if (this.selects.some(([name, , read]) => this.wanted[name] && !read(run).includes(this.wanted[name]))) return false;
    if (!text.trim()) return true;
    const said = [run.name, run.run_id, textOf(run), run.state, run.notes, modelOf(run), run.tokenizer, ...(run.tags ?? [])].join("\n").toLowerCase();
    return text.toLowerCase().split(/\s+/).every((word) => said.includes(word));
  }
}

const plural = (count) => `${words.number(count)} ${count === 1 ? "run" : "runs"}`;
