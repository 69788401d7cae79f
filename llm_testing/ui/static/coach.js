// What the curves of a run say, in plain words: each finding with its evidence shaded in the chart, and one thing to do.

import { el, show } from "./dom.js";
import { ask } from "./feed.js";
import { mayAct } from "./history_marks.js";
import * as words from "./words.js";

const SIGNS = { problem: "✕", hint: "i" };
const WORDS = { problem: "Trouble", hint: "Worth knowing" };
const COLOURS = { problem: "--lt-bad", hint: "--lt-paused" };

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
    const { value } = await ask("coach", { run: id });
    if (this.runId !== id) return;
    this.found = value.findings;
    this.draw();
  }

  draw() {
    const css = getComputedStyle(document.body);
    show(this.element, [this.runId, this.found, mayAct()], () => {
      this.charts.shade(this.found.flatMap((one) => (one.regions.length ? one.regions : [[one.from_step, one.to_step]]).map(([from, to]) => ({ from, to, series: one.series, colour: css.getPropertyValue(COLOURS[one.severity] ?? COLOURS.hint).trim() }))));
      return this.found.map((one) => this.card(one));
    });
  }

  card(one) {
    return el("div", { class: `lt-finding lt-finding-${one.severity}` },
      el("span", { class: "lt-sign", "aria-hidden": "true" }, SIGNS[one.severity] ?? SIGNS.hint),
      el("div", {}, el("strong", {}, el("span", { class: "lt-unseen" }, `${WORDS[one.severity] ?? ""}: `), words.plain(one.title)), el("p", {}, words.plain(one.why)),
        el("div", { class: "lt-doing" },
          el("button", { type: "button", class: "lt-link", onclick: () => this.charts.lookAt(one.from_step, one.to_step) }, one.from_step === one.to_step ? `Show step ${words.number(one.from_step)}` : `Show steps ${words.number(one.from_step)} to ${words.number(one.to_step)}`),
          mayAct() ? el("button", { type: "button", class: "lt-link", onclick: () => this.act(one) }, words.plain(one.label)) : null))); // prettier-ignore
  }
}
