// A sweep: one draft, up to three options with several values each, and every combination of them as a queued run.

import { call } from "./call.js";
import { el, show } from "./dom.js";
import { ask } from "./feed.js";
import { draftConfig } from "./form.js";
import { compareThese, onChange, openRun, reloadRuns, state } from "./history_state.js";
import { allOptions } from "./options.js";
import * as words from "./words.js";

const MOST = 3;
const NOT_SWEPT = ["name", "resume_from", "sample_prompts", "device", "threads"];
const OFFERED_FIRST = "learning_rate";
const TRIED = { learning_rate: "3e-4, 1e-3, 3e-3", seed: "1, 2, 3", batch_size: "4, 8, 16", dropout: "0, 0.1, 0.2" }; // prettier-ignore

export function mountSweep(box, feed) {
  const sweep = new Sweep(feed);
  box.replaceChildren(sweep.fold);
  onChange(() => sweep.bases());
}

class Sweep {
  constructor(feed) {
    this.feed = feed;
    this.axes = [];
    this.made = el("div", {});
    this.base = el("select", { "aria-label": "What the runs of the sweep have in common", onchange: () => this.open() });
    this.lines = el("div", { class: "lt-sweep-axes" });
    this.more = el("button", { type: "button", class: "lt-link", onclick: () => this.add() }, "+ another option");
    this.mode = el("select", { "aria-label": "How values are combined", onchange: () => this.look() },
      el("option", { value: "grid" }, "every combination"), el("option", { value: "list" }, "side by side: first with first, second with second")); // prettier-ignore
    this.tag = el("input", { type: "text", class: "lt-input", maxlength: 40, placeholder: "sweep", "aria-label": "Tag of the sweep", oninput: () => this.look() });
    this.said = el("div", { "aria-live": "polite" });
    this.go = el("button", { type: "submit", class: "lt-button lt-primary", id: "lt-sweep-start", disabled: true }, "Queue the runs");
    this.form = el("form", { class: "lt-sweep-form", onsubmit: (event) => { event.preventDefault(); this.start(); } },
      el("p", { class: "lt-hint" }, "Tries several values of up to three options. The runs wait in the queue and train one after the other; each carries the sweep's tag, so that they are found and compared together."),
      el("label", { class: "lt-inline" }, "Settings of ", this.base), this.lines, el("div", { class: "lt-doing" }, this.more, this.mode),
      el("label", { class: "lt-inline" }, "Tag ", this.tag), this.said, el("div", { class: "lt-doing" }, this.go)); // prettier-ignore
    this.fold = el("details", { class: "lt-fold lt-sweep", id: "lt-sweep", ontoggle: () => this.fold.open && this.open() }, el("summary", {}, "Sweeps: try several values"), this.form, this.made);
  }

  async open() {
    this.bases();
    const kind = this.kind;
    const options = (await allOptions(kind)).filter(({ name }) => !NOT_SWEPT.includes(name));
    if (this.optionsOf !== kind) {
      this.optionsOf = kind;
      this.options = options;
      this.axes = [];
      this.lines.replaceChildren();
    }
    if (!this.axes.length) this.add();
    this.look();
    await this.sweeps().catch((error) => this.made.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message))));
  }

  // Of the settings that the runs share.
  get kind() {
    return this.base.value === "tune" ? "finetune" : (state.byId.get(this.base.value)?.kind ?? "pretrain");
  }

  // What was swept so far: how far each is, and its best; its runs are compared with one click.
  async sweeps() {
    const { sweeps } = await call("GET", "sweeps");
    show(this.made, [sweeps], () => (sweeps.length ? el("table", { class: "lt-table" },
      el("thead", {}, el("tr", {}, ["Sweep", "Over", "Runs", "Best"].map((title) => el("th", {}, title)))),
      el("tbody", {}, sweeps.map((sweep) => {
        const best = state.byId.get(sweep.best), runs = state.runs.filter((run) => run.tags?.includes(sweep.tag)).map((run) => run.run_id); // prettier-ignore
        return el("tr", {}, el("td", {}, el("button", { type: "button", class: "lt-link", title: "Compare its runs", onclick: () => compareThese(runs) }, words.plain(sweep.name))), el("td", {}, words.plain(sweep.options.join(", "))),
          el("td", {}, Object.entries(sweep.states).map(([name, count]) => `${count} ${name}`).join(", ")), el("td", {}, best ? el("button", { type: "button", class: "lt-link", onclick: () => openRun(best.run_id) }, words.plain(best.name)) : words.DASH));
      }))) : []));
  } // prettier-ignore

  bases() {
    const run = state.open && state.byId.get(state.open);
    const own = run?.usable ? run : null;
    show(this.base, [own?.run_id, own?.name, Boolean(draftConfig("tune"))], () => [
      el("option", { value: "" }, "the form on the Pretraining tab"),
      draftConfig("tune") ? el("option", { value: "tune" }, "the form on the Fine-tuning tab") : null,
      own ? el("option", { value: own.run_id }, `the run ${words.plain(own.name || own.run_id)}`) : null,
    ]);
  }

  add() {
    if (this.axes.length >= MOST) return;
    const taken = new Set(this.axes.map(({ pick }) => pick.value));
    const first = taken.has(OFFERED_FIRST) ? ["seed", "batch_size", "dropout"].find((name) => !taken.has(name)) : OFFERED_FIRST;
    const pick = el("select", { "aria-label": "Option", onchange: () => { values.value = TRIED[pick.value] ?? ""; hint(); this.look(); } },
      this.options.map(({ name, show: { title } }) => el("option", { value: name, selected: name === first }, title))); // prettier-ignore
    const values = el("input", { type: "text", class: "lt-input", value: TRIED[first] ?? "", "aria-label": "Values, with commas between them", placeholder: "values, with commas", oninput: () => this.look() });
    const hint = () => { values.title = this.options.find(({ name }) => name === pick.value)?.accepts ?? ""; }; // prettier-ignore
    hint();
    const axis = { pick, values };
    axis.line = el("div", { class: "lt-sweep-axis" }, pick, values,
      el("button", { type: "button", class: "lt-chip-off", "aria-label": "Take this option away", onclick: () => { this.axes.splice(this.axes.indexOf(axis), 1); axis.line.remove(); this.look(); } }, "×")); // prettier-ignore
    this.axes.push(axis);
    this.lines.append(axis.line);
    this.look();
  }

  async body() {
    const kind = this.kind, form = ["", "tune"].includes(this.base.value); // prettier-ignore
    const config = form ? draftConfig(this.base.value) : (await ask("run", { run: this.base.value })).value.config;
    const options = Object.fromEntries(this.axes.map(({ pick, values }) => [pick.value, this.read(pick.value, values.value)]));
    return { kind, config, options, mode: this.mode.value, tag: this.tag.value.trim() || null };
  }

  // Values as their option's type; what is none is sent as it was written, and refused in words.
  read(name, text) {
    const kind = this.options.find((option) => option.name === name)?.kind;
    return text.split(",").map((part) => part.trim()).filter(Boolean).map((part) => {
      if (kind === "int" || kind === "float") return Number.isFinite(Number(part)) ? Number(part) : part;
      return kind === "bool" ? { yes: true, true: true, no: false, false: false }[part.toLowerCase()] ?? part : part;
    }); // prettier-ignore
  }

  look() {
    this.more.hidden = this.axes.length >= MOST;
    this.mode.hidden = this.axes.length < 2;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.preview(), 250);
  }

  async preview() {
    const asked = (this.asking = {});
    try {
      if (["", "tune"].includes(this.base.value) && !draftConfig(this.base.value)) throw new Error("The form has a problem; mend it first, or take the settings of a run.");
      const seen = await call("POST", "sweeps/preview", await this.body());
      if (asked !== this.asking) return;
      this.go.disabled = false;
      this.go.textContent = `Queue ${seen.num_runs} runs`;
      this.said.replaceChildren(...seen.sentences.map((one) => el("p", { class: "lt-hint" }, words.plain(one))));
    } catch (error) {
      if (asked !== this.asking) return;
      this.go.disabled = true;
      this.said.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
    }
  }

  async start() {
    this.go.disabled = true;
    try {
      const made = await call("POST", "sweeps", await this.body());
      this.feed.wake();
      await reloadRuns();
      await this.sweeps();
      this.said.replaceChildren(el("p", { class: "lt-hint" }, `${made.run_ids.length} runs are queued, tagged ${words.plain(made.tag)}. `,
        el("button", { type: "button", class: "lt-link", onclick: () => compareThese(made.run_ids) }, "Compare them"))); // prettier-ignore
    } catch (error) {
      this.said.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
      this.go.disabled = false;
    }
  }
}
