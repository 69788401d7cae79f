// The prompt timeline: the same beginnings continued at every validation, one step at a time, with what has changed.

import { call } from "./call.js";
import { ACTIVE, el, keep, kept, show } from "./dom.js";
import * as words from "./words.js";

// What a run of each kind writes while it trains.
const WORDS = {
  pretrain: {
    empty: "At every validation the model continues a few fixed beginnings; you can watch gibberish turn into words here.",
    own: "A beginning of your own",
    label: "Beginning of a text for the live model",
  },
  finetune: {
    empty: "At every validation the model answers a few fixed prompts; you can watch its answers part from the base model's here.",
    own: "A question of your own",
    label: "Question for the live model",
  },
};

export class Timeline {
  constructor(box) {
    this.at = null; // null follows the newest
    this.differ = kept("differences", false);
    this.texts = el("div", {});
    this.ask = el(
      "form",
      {
        class: "lt-doing lt-sample-now",
        hidden: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.sampleNow();
        },
      },
      (this.prompt = el("input", {
        type: "text",
        maxlength: 2000,
        class: "lt-input",
      })),
      el("button", { type: "submit", class: "lt-button" }, "Sample now"),
    );
    this.said = el("p", { class: "lt-hint", role: "status" });
    box.replaceChildren(this.texts, this.ask, this.said);
  }

  show(samples, run) {
    if (this.runId !== run?.run_id) {
      this.runId = run?.run_id;
      this.at = null;
      this.said.textContent = "";
    }
    this.samples = samples;
    this.run = run;
    this.words = WORDS[run?.kind] ?? WORDS.pretrain;
    this.prompt.placeholder = this.words.own;
    this.prompt.setAttribute("aria-label", this.words.label);
    this.ask.hidden = !(run && ACTIVE.includes(run.state) && run.state !== "starting" && run.phase !== undefined);
    this.draw();
  }

  // To the samples at or before a step, as from a click on a chart.
  seek(step) {
    const steps = this.steps();
    if (!steps.length) return;
    const found = steps.findLastIndex((one) => one <= step);
    this.at = found === steps.length - 1 ? null : Math.max(0, found);
    this.draw();
  }

  steps() {
    return [...new Set(this.samples.map((sample) => sample.step))];
  }

  draw() {
    const steps = this.steps();
    const at = Math.min(this.at ?? steps.length - 1, steps.length - 1);
    show(this.texts, [this.runId, steps, at, this.samples.length, this.differ], () => {
      if (!steps.length) return el("p", { class: "lt-empty-small" }, this.words.empty);
      const move = (to) => {
        this.at = to >= steps.length - 1 ? null : Math.max(0, to);
        const kind = document.activeElement?.dataset.move;
        this.draw();
        this.texts.querySelector(`[data-move="${kind}"]`)?.focus();
      };
      const pick = el("input", {
        type: "range",
        min: 0,
        max: steps.length - 1,
        step: 1,
        "data-move": "slide",
        "aria-label": "Step of the samples",
        "aria-valuetext": `step ${steps[at]}`,
        oninput: (event) => move(Number(event.target.value)),
      });
      pick.value = at;
      const differ = el("input", {
        type: "checkbox",
        "data-move": "differ",
        onchange: () => {
          this.differ = differ.checked;
          keep("differences", this.differ);
          this.draw();
          this.texts.querySelector("[data-move=differ]")?.focus();
        },
      });
      differ.checked = this.differ;
      const arrow = (name, sign, label, to, on) =>
        el(
          "button",
          {
            type: "button",
            class: "lt-link",
            "data-move": name,
            "aria-label": label,
            disabled: !on,
            onclick: () => move(to),
          },
          sign,
        );
      return [
        el(
          "div",
          { class: "lt-scrub" },
          steps.length > 1
            ? [
                arrow("back", "◀", "earlier samples", at - 1, at > 0),
                pick,
                arrow("on", "▶", "later samples", at + 1, at < steps.length - 1),
              ]
            : null,
          el("b", {}, `step ${words.number(steps[at])}`),
          this.at == null && steps.length > 1 ? " newest" : "",
          steps.length > 1 ? el("label", {}, differ, " mark what changed") : null,
        ),
        ...this.samples
          .filter((sample) => sample.step === steps[at])
          .map((sample, i) => this.text(sample, i, steps[at - 1])),
      ];
    });
  }

  text(sample, number, stepBefore) {
    const rest = continued(sample);
    const before =
      this.differ && stepBefore != null
        ? this.samples.filter((other) => other.step === stepBefore && other.prompt === sample.prompt).at(-1)
        : null;
    const body = before
      ? changes(continued(before), rest).map(([kind, piece]) =>
          kind === "same" ? words.plain(piece) : el(kind === "new" ? "ins" : "del", {}, words.plain(piece)),
        )
      : words.plain(rest);
    if (this.run?.kind !== "finetune") return el("blockquote", {}, el("b", {}, words.plain(sample.prompt)), body);
    return this.answers(sample, body);
  }

  // The same prompt's first answer beside the one of this step; a fork's first is that of the adapter it began with.
  answers(sample, body) {
    const steps = this.steps();
    const first = this.samples.find((other) => other.step === steps[0] && other.prompt === sample.prompt);
    const base = this.run.config?.resume_from || steps[0] > 0 ? `At step ${words.number(steps[0])}` : "Base model";
    const answer = (side, title, text) =>
      el("section", { class: `lt-answer lt-answer-${side}` }, el("h3", {}, title), el("div", { class: "lt-answer-text" }, text));
    return el(
      "article",
      { class: "lt-turn" },
      el("p", { class: "lt-question-asked" }, words.plain(sample.prompt)),
      el("div", { class: "lt-answers" }, [
        first ? answer("base", base, words.plain(continued(first))) : null,
        first && sample.step === first.step ? null : answer("adapter", `Step ${words.number(sample.step)}`, body),
      ]),
    );
  }

  async sampleNow() {
    const prompt = this.prompt.value || (this.run.kind === "finetune" ? "Who are you?" : "The");
    try {
      await call("POST", `${this.run.kind === "finetune" ? "fine-tuning" : "pretraining"}/sample-now`, { prompt, run_id: this.runId });
      this.said.textContent = "The text will appear here after this step.";
      this.at = null;
    } catch (error) {
      this.said.textContent = words.plain(error.message);
    }
  }
}

export const continued = (sample) =>
  sample.text.startsWith(sample.prompt) ? sample.text.slice(sample.prompt.length) : sample.text;

// Word by word: what the newer text has, lacks and shares, by their longest common subsequence.
export function changes(before, after) {
  const a = pieces(before),
    b = pieces(after);
  const length = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--)
      length[i][j] = a[i] === b[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
  }
  const found = [];
  const add = (kind, piece) => {
    const last = found.at(-1);
    if (last?.[0] === kind) last[1] += piece;
    else found.push([kind, piece]);
  };
  let i = 0,
    j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add("same", b[j]);
      i++;
      j++;
    } else if (i < a.length && (j === b.length || length[i + 1][j] >= length[i][j + 1])) add("gone", a[i++]);
    else add("new", b[j++]);
  }
  return found;
}

const pieces = (text) => text.match(/\s+|[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? [];
