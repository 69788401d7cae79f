// The texts of several runs side by side: the same beginning, each at the step that the slider stands at.

import { badge, el, show } from "./dom.js";
import { continued } from "./timeline.js";
import * as words from "./words.js";

export class SampleColumns {
  constructor() {
    this.at = null; // null follows the newest
    this.prompt = "";
    this.body = el("div", {});
    this.element = el("section", { class: "lt-part", hidden: true }, el("h2", {}, "Samples side by side"), this.body);
  }

  // prompts: [{prompt, steps: [{step, texts: {run_id: text}}]}], as /live/side_by_side answers.
  show(runs, prompts, others) {
    this.runs = runs;
    this.prompts = prompts.filter(({ steps }) => steps.length);
    if (others) this.at = null;
    this.element.hidden = !this.prompts.length;
    if (this.prompts.length) this.draw();
  }

  seek(step) {
    this.at = step;
    this.draw();
  }

  draw() {
    const told = ({ steps }) => new Set(steps.flatMap(({ texts }) => Object.keys(texts))).size;
    if (!this.prompts.some(({ prompt }) => prompt === this.prompt)) this.prompt = this.prompts.reduce((a, b) => (told(b) > told(a) ? b : a)).prompt; // the beginning that most of them have
    const rows = this.prompts.find(({ prompt }) => prompt === this.prompt).steps;
    const steps = rows.map((row) => row.step);
    const step = this.at == null ? steps.at(-1) : (steps.findLast((one) => one <= this.at) ?? steps[0]);
    show(this.body, [this.prompts, step, this.prompt, this.runs.map((run) => [run.run_id, run.name, run.letter])], () => {
      const slide = el("input", { type: "range", min: 0, max: steps.length - 1, step: 1, "aria-label": "Step of the samples", "aria-valuetext": `step ${step}`, "data-move": "slide",
        oninput: () => { this.at = steps[Number(slide.value)]; this.draw(); this.body.querySelector("[data-move=slide]")?.focus(); } });
      slide.value = steps.indexOf(step);
      const pick = el("select", { "aria-label": "Beginning of the texts", "data-move": "pick", onchange: () => { this.prompt = pick.value; this.draw(); this.body.querySelector("[data-move=pick]")?.focus(); } },
        this.prompts.map(({ prompt }) => el("option", { value: prompt, selected: prompt === this.prompt }, words.plain(prompt.slice(0, 60)))));
      return [
        el("div", { class: "lt-scrub" }, this.prompts.length > 1 ? pick : null, steps.length > 1 ? slide : null, el("b", {}, `step ${words.number(step)}`)),
        el("div", { class: "lt-side lt-samples" }, this.runs.map((run) => this.column(run, step, rows))),
      ];
    }); // prettier-ignore
  }

  // What a run wrote at that step or last before it; a run that had ended by then says so by its step.
  column(run, step, rows) {
    const found = rows.findLast((row) => row.step <= step && run.run_id in row.texts);
    const sample = found && { prompt: this.prompt, text: found.texts[run.run_id] };
    return el("figure", {},
      el("figcaption", {}, badge(run.letter, run.colour), ` ${words.plain(run.name || run.run_id)}`, found && found.step !== step ? el("span", { class: "lt-hint" }, ` at step ${words.number(found.step)}`) : null),
      sample ? el("blockquote", {}, el("b", {}, words.plain(this.prompt)), words.plain(continued(sample))) : el("p", { class: "lt-empty-small" }, "It wrote nothing to this beginning.")); // prettier-ignore
  }
}
