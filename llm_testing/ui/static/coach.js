// What the curves of a run say, in plain words: each finding with its evidence shaded in the chart, and one thing to do.

import { el, show } from "./dom.js";
import { ask } from "./feed.js";
import { mayAct } from "./history_marks.js";
import * as words from "./words.js";

const SIGNS = { bad: "✕", warn: "▲", note: "i" };
const WORDS = { bad: "Trouble", warn: "Watch out", note: "Good to know" };
const COLOURS = { bad: "--lt-bad", warn: "--lt-paused", note: "--lt-running" };

const AGAIN_MS = 10_000;

export class Coach {
  // `act` does what a finding proposes.
  constructor(charts, act) {
    this.charts = charts;
    this.act = act;
    this.element = el("section", { class: "lt-coach", "aria-label": "What the curves say" });
  }

  async about(run) {
    const id = run?.run_id ?? null;
    if (id !== this.runId) {
      this.runId = id;
      this.found = [];
      this.draw();
    }
    if (!id) return;
    // A live run is looked at again now and then; what is said of it changes slowly.
    if (this.lookedAt === id && this.state === run.state && performance.now() - this.looked < AGAIN_MS) return;
    [this.lookedAt, this.state, this.looked] = [id, run.state, performance.now()];
    const { value } = await ask("coach", { run: id });
    if (this.runId !== id) return;
    this.found = value.findings ?? [];
    this.draw();
  }

  draw() {
    const css = getComputedStyle(document.body);
    show(this.element, [this.runId, this.found, mayAct()], () => {
      this.charts.shade(this.found.map((one) => ({ from: one.evidence.from_step, to: one.evidence.to_step, colour: css.getPropertyValue(COLOURS[one.level] ?? COLOURS.note).trim() })));
      return this.found.map((one) => this.card(one));
    });
  }

  card(one) {
    return el("div", { class: `lt-finding lt-finding-${one.level}` },
      el("span", { class: "lt-sign", "aria-hidden": "true" }, SIGNS[one.level] ?? SIGNS.note),
      el("div", {}, el("strong", {}, el("span", { class: "lt-unseen" }, `${WORDS[one.level] ?? ""}: `), words.plain(one.title)), el("p", {}, words.plain(one.text)),
        el("div", { class: "lt-doing" },
          el("button", { type: "button", class: "lt-link", onclick: () => this.charts.lookAt(one.evidence.from_step, one.evidence.to_step) }, stretch(one.evidence)),
          one.action && !one.action.how ? el("span", { class: "lt-hint" }, words.plain(one.action.title)) : null,
          one.action?.how && mayAct() ? el("button", { type: "button", class: "lt-link", onclick: () => this.act(one.action) }, words.plain(one.action.title)) : null))); // prettier-ignore
  }
}

const stretch = ({ from_step: from, to_step: to }) => (from === to ? `Show step ${words.number(from)}` : `Show steps ${words.number(from)} to ${words.number(to)}`);
