// The texts of several runs side by side: the same beginning, each at the step that the slider stands at.

import { ACTIVE, badge, el, show } from "./dom.js";
import { Texts } from "./feed.js";
import { continued } from "./timeline.js";
import * as words from "./words.js";

export class SampleColumns {
  constructor() {
    this.texts = new Map();
    this.at = null; // null follows the newest
    this.prompt = "";
    this.body = el("div", {});
    this.element = el("section", { class: "lt-part", hidden: true }, el("h2", {}, "Samples side by side"), this.body);
  }

  async show(runs, others) {
    this.runs = runs;
    const due = runs.filter((run) => !this.texts.has(run.run_id) || ACTIVE.includes(run.state));
    for (const run of due) if (!this.texts.has(run.run_id)) this.texts.set(run.run_id, new Texts(run.run_id));
    await Promise.all(due.map((run) => this.texts.get(run.run_id).more()));
    if (others) this.at = null;
    this.draw();
  }

  rows(run) {
    return this.texts.get(run.run_id)?.samples.rows ?? [];
  }

  seek(step) {
    this.at = step;
    this.draw();
  }

  draw() {
    const steps = [...new Set(this.runs.flatMap((run) => this.rows(run).map((row) => row.step)))].sort((a, b) => a - b);
    const prompts = [...new Set(this.runs.flatMap((run) => this.rows(run).map((row) => row.prompt)))];
    this.element.hidden = !steps.length;
    if (!steps.length) return;
    if (!prompts.includes(this.prompt)) this.prompt = shared(prompts, this.runs.map((run) => this.rows(run))); // prettier-ignore
    const step = this.at == null ? steps.at(-1) : (steps.findLast((one) => one <= this.at) ?? steps[0]);
    show(this.body, [steps, step, this.prompt, this.runs.map((run) => [run.run_id, run.name, run.letter, this.rows(run).length])], () => {
      const slide = el("input", { type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": "Step of the samples", "aria-valuetext": `step ${step}`, "data-move": "slide",
        oninput: () => { this.at = steps[Number(slide.value)]; this.draw(); this.body.querySelector("[data-move=slide]")?.focus(); } });
      slide.value = steps.indexOf(step);
      const pick = el("select", { "aria-label": "Beginning of the texts", "data-move": "pick", onchange: () => { this.prompt = pick.value; this.draw(); this.body.querySelector("[data-move=pick]")?.focus(); } },
        prompts.map((prompt) => el("option", { value: prompt, selected: prompt === this.prompt }, words.plain(prompt.slice(0, 60)))));
      return [
        el("div", { class: "lt-scrub" }, prompts.length > 1 ? pick : null, steps.length > 1 ? slide : null, el("b", {}, `step ${words.number(step)}`)),
        el("div", { class: "lt-side lt-samples" }, this.runs.map((run) => this.column(run, step))),
      ];
    }); // prettier-ignore
  }

  // What a run wrote at that step or last before it; a run that had ended by then says so by its step.
  column(run, step) {
    const found = this.rows(run).findLast((row) => row.prompt === this.prompt && row.step <= step);
    return el("figure", {},
      el("figcaption", {}, badge(run.letter, run.colour), ` ${words.plain(run.name || run.run_id)}`, found && found.step !== step ? el("span", { class: "lt-hint" }, ` at step ${words.number(found.step)}`) : null),
      found ? el("blockquote", {}, el("b", {}, words.plain(found.prompt)), words.plain(continued(found))) : el("p", { class: "lt-empty-small" }, "It wrote nothing to this beginning.")); // prettier-ignore
  }
}

// The beginning that most of the runs have.
function shared(prompts, rows) {
  const count = (prompt) => rows.filter((mine) => mine.some((row) => row.prompt === prompt)).length;
  return prompts.reduce((a, b) => (count(b) > count(a) ? b : a), prompts[0] ?? "");
}
