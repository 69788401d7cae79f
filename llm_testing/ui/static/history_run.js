// One run opened: what is said about it, what it reached, its curves and texts, and how it was made.

import { Coach } from "./coach.js";
import { dot, el, show, stateChip } from "./dom.js";
import { ask } from "./feed.js";
import { RunActions } from "./history_actions.js";
import { kindWords, modelOf, textOf } from "./history_columns.js";
import { editor, mayAct, starButton, tagChips } from "./history_marks.js";
import { closeView, showComparison, state } from "./history_state.js";
import { RunView } from "./live.js";
import { factsOf } from "./run_facts.js";
import * as words from "./words.js";

const EMPTY = "This run has no points: it did not come to its first step.";

// What every step of a live run changes; its record is not asked for again because of these.
const MOVING = Object.fromEntries(["step", "train_loss", "tokens_per_s", "elapsed_s", "tokens_seen", "eta_s", "bytes", "peak_bytes"].map((name) => [name, null])); // prettier-ignore

export class OpenedRun {
  constructor(box, feed) {
    this.feed = feed;
    this.back = el("div", { class: "lt-back" });
    this.head = el("div", { class: "lt-run-head" });
    this.said = el("div", { role: "status" });
    this.actions = new RunActions(feed);
    this.figures = el("div", {});
    const view = el("div", { class: "lt-live" });
    this.facts = el("div", { class: "lt-run-facts" });
    this.view = new RunView(view, EMPTY, true);
    this.coach = new Coach(this.view.charts, (action) => this.actions.propose(action));
    box.replaceChildren(this.back, this.head, this.said, this.actions.element, this.figures, this.coach.element, view, this.facts);
    this.shown = null;
  }

  // Called at every look at the list; what has not changed is not asked for again.
  async show() {
    const run = state.byId.get(state.open);
    if (!run) return;
    const other = this.shown !== run.run_id;
    this.shown = run.run_id;
    if (other) this.forget(); // the last run's words must not stand under another's name
    this.heading(run);
    if (!run.usable) {
      this.trouble(`This run is damaged: ${run.damaged} The others are not touched by it.`);
      this.parts(false);
      return;
    }
    this.parts(true);
    show(this.figures, [run, this.peak], () => figures(run, this.peak));
    const steady = JSON.stringify({ ...run, ...MOVING });
    const news = JSON.stringify(run) !== this.asked, settled = steady === this.recorded; // prettier-ignore
    this.asked = JSON.stringify(run);
    this.recorded = steady;
    try {
      await Promise.all([settled ? null : this.record(run), news ? this.curves(run) : null]);
    } catch (error) {
      if (this.shown === run.run_id) this.trouble(error.message);
    }
  }

  forget() {
    this.trouble(null);
    for (const box of [this.figures, this.facts, this.head]) { box.replaceChildren(); delete box.dataset.said; } // prettier-ignore
    this.actions.about(null, null);
    this.coach.about(null);
    this.asked = this.recorded = this.error = this.peak = null;
  }

  parts(on) {
    for (const part of [this.actions.element, this.figures, this.coach.element, this.view.box, this.facts]) part.hidden = !on;
  }

  trouble(said) {
    this.said.replaceChildren(...(said ? [el("p", { class: "lt-warning" }, words.plain(said))] : []));
  }

  curves(run) {
    return this.view.show({ ...run, error: this.error, warnings: [] }, this.isFed(run.run_id) ? this.feed.status : {});
  }

  // Whether the feed brings the news of this run.
  isFed(runId) {
    return this.feed.status?.run?.run_id === runId;
  }

  cursors() {
    return this.view.run && this.view.run.run_id === this.shown && this.isFed(this.shown) ? this.view.cursors() : null;
  }

  async record(run) {
    const { value: record } = await ask("run", { run: run.run_id });
    if (this.shown !== run.run_id) return;
    const failed = record.error && !this.error;
    this.error = record.error ?? null;
    this.view.flops = record.flops?.per_token;
    this.trouble(record.damaged && `Some of this run is damaged and left out. ${record.damaged}`);
    if (failed) this.curves(run);
    this.actions.about(run, record);
    this.peak = record.memory.measured_bytes;
    show(this.figures, [run, this.peak], () => figures(run, this.peak));
    show(this.facts, record, () => factsOf(run, record));
    this.coach.about(run).catch((error) => this.trouble(error.message));
  }

  heading(run) {
    const many = state.ticked.size;
    show(this.back, [many], () => [
      el("button", { type: "button", class: "lt-link lt-to-list", onclick: closeView }, "← All runs"),
      many > 1 ? el("button", { type: "button", class: "lt-link", onclick: showComparison }, `← Comparison of ${many} runs`) : null,
    ]); // prettier-ignore
    if (this.head.querySelector("[data-editing]")) return;
    show(this.head, [run.run_id, run.name, run.state, run.starred, run.archived, run.tags, run.notes, run.kind, run.corpus, run.damaged, mayAct()], () => {
      const name = words.plain(run.name || run.run_id);
      const about = [kindWords(run.kind), textOf(run), modelOf(run), words.day(run.created_at)].filter((part) => part && part !== words.DASH);
      return [
        el("div", { class: "lt-run-title" }, starButton(run, (said) => this.trouble(said)), dot(run.colour), el("h2", {}, name), this.pencil(run, "name", "✎", `Rename ${name}`), run.state ? stateChip(run.state) : null, run.archived ? el("span", { class: "lt-kind" }, "archived") : null),
        el("p", { class: "lt-hint lt-about" }, words.plain(about.join(" · "))),
        !run.usable ? null : el("div", { class: "lt-marks" }, tagChips(run), this.pencil(run, "tags", run.tags?.length ? "✎" : "+ tags", "Edit the tags"), run.notes ? el("span", { class: "lt-notes" }, words.plain(run.notes)) : null, this.pencil(run, "notes", run.notes ? "✎" : "+ notes", "Edit the notes")),
      ];
    }); // prettier-ignore
  }

  pencil(run, field, sign, label) {
    if (!mayAct() || !run.usable) return null;
    const button = el("button", { type: "button", class: "lt-link lt-mark-button", "data-mark": field, "aria-label": label, title: label, onclick: () => {
      const input = editor(run, field, (said) => {
        delete this.head.dataset.said;
        input.remove();
        this.trouble(said);
        this.heading(state.byId.get(run.run_id) ?? run);
        this.head.querySelector(`[data-mark=${field}]`)?.focus();
      });
      const place = field === "name" ? this.head.querySelector("h2") : field === "notes" ? this.head.querySelector(".lt-notes") : null;
      place?.replaceWith(input);
      if (!place) button.before(input);
      button.hidden = true;
      input.focus();
    } }, sign); // prettier-ignore
    return button;
  }
}

function figures(run, peak) {
  const rows = [
    ["Validation loss", words.loss(run.val_loss)],
    ["Bits a byte", run.val_bits_per_byte == null ? words.DASH : run.val_bits_per_byte.toFixed(3)],
    ["Best validation", words.loss(run.best_val_loss)],
    ["Steps", run.total_steps && run.total_steps !== run.step ? `${words.number(run.step)} of ${words.number(run.total_steps)}` : words.number(run.step)],
    ["Tokens", words.short(run.tokens_seen)],
    ["Speed", run.tokens_per_s == null ? words.DASH : `${words.short(run.tokens_per_s)} tok/s`],
    ["Time", words.duration(run.elapsed_s)],
    ["Peak memory", words.bytes(peak ?? run.peak_bytes)],
    ["Parameters", words.short(run.num_parameters)],
    ["On disk", words.bytes(run.bytes)],
  ];
  return el("dl", { class: "lt-figures" }, rows.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))); // prettier-ignore
}
