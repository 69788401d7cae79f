// How the next token is drawn: the controls of a playground, whose values this browser keeps.

import { el, id, keep, kept } from "./dom.js";
import * as words from "./words.js";

const SLIDERS = {
  temperature: ["Temperature", { min: 0, max: 2, step: 0.05 }, "0 always takes the likeliest token; higher surprises more."],
  top_p: ["Top p", { min: 0.05, max: 1, step: 0.05 }, "Only the likeliest tokens that together have this share; 1 is all of them."],
};
const NUMBERS = {
  top_k: ["Top k", { min: 1, max: 100000, placeholder: "all" }, "Only this many of the likeliest tokens; empty is all."],
  max_tokens: ["Length", { min: 1, max: 2048, required: true }, "How many tokens to write at most."],
  seed: ["Seed", { min: 0, max: 4294967295, required: true }, "The same seed writes the same text."],
};

export class SamplingFields {
  // `first`: values of a new visitor; `name`: what they are kept under.
  constructor(first, name, of = "") {
    Object.assign(this, { name, of, chosen: { ...first, ...kept(name, {}) } });
    const sliders = Object.entries(SLIDERS).map(([option, about]) => this.slider(option, ...about));
    const numbers = Object.entries(NUMBERS).map(([option, about]) => this.number(option, ...about));
    this.fields = [...sliders, ...numbers];
  }

  set(option, value) {
    this.chosen[option] = value;
    keep(this.name, this.chosen);
  }

  nextSeed() {
    this.set("seed", ((this.chosen.seed ?? 0) + 1) % 2 ** 32);
    this.seed.value = this.chosen.seed;
  }

  // As a request takes them; a top p of 1 leaves nothing out.
  asked() {
    const asked = { ...this.chosen };
    if (asked.top_p >= 1) delete asked.top_p;
    return asked;
  }

  // What to say of the first number that cannot be asked with, which gets the focus; null if all are well.
  wrong() {
    const input = this.fields.map((field) => field.querySelector("input")).find((one) => !one.checkValidity());
    if (!input) return null;
    input.focus();
    const range = `${words.number(Number(input.min))} to ${words.number(Number(input.max))}`;
    const text = `${input.labels[0].firstChild.textContent} takes a whole number from ${range}; received ${input.value || "no number"}.`;
    return el("p", { class: "lt-warning" }, text);
  }

  slider(option, label, range, help) {
    const said = el("output", {}, this.chosen[option].toFixed(2));
    const input = el("input", { type: "range", id: id(`play-${option}`, this.of), ...range, oninput: () => {
      this.set(option, Number(input.value));
      said.textContent = this.chosen[option].toFixed(2);
    } });
    input.value = this.chosen[option];
    return el("div", { class: "lt-number-field", title: help }, el("label", { for: input.id }, label, " ", said), input);
  }

  number(option, label, range, help) {
    const input = el("input", { type: "number", id: id(`play-${option}`, this.of), step: 1, ...range, oninput: () => this.set(option, input.value === "" ? null : Number(input.value)) });
    input.value = this.chosen[option] ?? "";
    if (option === "seed") this.seed = input;
    return el("div", { class: "lt-number-field", title: help }, el("label", { for: input.id }, label), input);
  }
}
