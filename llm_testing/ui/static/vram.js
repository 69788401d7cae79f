// What a run's step takes in memory: a bar by term against the card's size, and a sentence that says whether it fits.

import { call, LOOKS_ON, whoAmI } from "./call.js";
import { el } from "./dom.js";
import * as words from "./words.js";

export const TERMS = {
  weights: "weights",
  gradients: "gradients",
  optimizer: "optimizer",
  activations: "activations",
  logits_and_loss: "logits and loss",
  temporaries: "temporaries",
  workspaces: "workspaces",
};
export const COLOURS = ["#3b6fb6", "#2a9db0", "#5a9e4b", "#c98a1b", "#c2556a", "#8a6fc2", "#8a93a0"];
const SIGNS = { fits: "✓", tight: "!", exceeds: "✕" };
const SETTLE_MS = 250; // the draft is asked about once a hand rests

// Asks about the newest draft alone: at once what is cheap, then the whole figure.
export class Asking {
  constructor(onAnswer, onFailure) {
    Object.assign(this, { onAnswer, onFailure, wanted: null, timer: 0 });
  }

  about(kind, body) {
    const wanted = JSON.stringify([kind, body]);
    if (wanted === this.wanted) return false;
    this.wanted = wanted;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(kind, body, wanted), SETTLE_MS);
    return true;
  }

  async run(kind, body, wanted) {
    try {
      if (LOOKS_ON.includes(await whoAmI())) throw new Error("who looks on may have nothing computed here.");
      for (const quick of [true, false]) {
        const answer = await call("POST", `${kind}/estimate`, { ...body, quick });
        if (wanted !== this.wanted) return;
        this.onAnswer(answer, quick);
      }
    } catch (error) {
      if (wanted === this.wanted) this.onFailure(error.message);
    }
  }
}

export function verdict(answer) {
  const need = (answer.reserved_bytes ?? answer.allocated_bytes) + answer.context_bytes;
  const sizes = `${words.bytes(need)} of ${words.bytes(answer.free_bytes)}`;
  const where = answer.device === "cpu" ? "of this machine's memory that is free" : `on ${answer.budget}`;
  const said = { fits: "Fits", tight: "Tight", exceeds: "Does not fit" }[answer.verdict];
  const likely = answer.certain ? said : `Likely: ${said.toLowerCase()}`;
  return el(
    "p",
    { class: `lt-verdict lt-verdict-${answer.verdict}` },
    el("b", {}, el("span", { "aria-hidden": "true" }, `${SIGNS[answer.verdict]} `), likely),
    ` ${sizes} ${where}`,
    answer.verdict === "tight" ? "; it runs only as torch gives back what it caches" : "",
    answer.certain ? "." : ". The exact figure follows.",
  );
}

// One bar; `scale` is the number of bytes of its whole width, so that two can be held against each other.
export function bar(answer, scale = Math.max(answer.free_bytes, total(answer))) {
  const parts = [...Object.keys(TERMS).map((name, i) => [TERMS[name], answer.terms[name], COLOURS[i]]), ...beside(answer)];
  const share = (bytes) => `${(100 * bytes) / scale}%`;
  return el(
    "div",
    { class: "lt-memory" },
    el(
      "div",
      { class: "lt-memory-bar", role: "img", "aria-label": parts.map(([name, bytes]) => `${name} ${words.bytes(bytes)}`).join(", ") },
      parts.map(([name, bytes, colour]) => el("span", { style: `width:${share(bytes)};background:${colour}`, title: `${name}: ${words.bytes(bytes)}` })),
      el("i", { class: "lt-memory-limit", style: `left:${share(answer.free_bytes)}`, title: `${words.bytes(answer.free_bytes)} free` }),
    ),
    el(
      "ul",
      { class: "lt-memory-terms" },
      parts.filter(([, bytes]) => bytes >= scale / 2000).map(([name, bytes, colour]) =>
        el("li", {}, el("span", { class: "lt-dot", style: `background:${colour}`, "aria-hidden": "true" }), `${name} `, el("b", {}, words.bytes(bytes)))),
    ),
  );
}

export const total = (answer) => Math.max(answer.allocated_bytes, answer.reserved_bytes ?? 0) + answer.context_bytes;

// What the process takes beside its tensors: torch's cache, and the context of CUDA.
function beside(answer) {
  const cached = answer.reserved_bytes == null ? 0 : answer.reserved_bytes - answer.allocated_bytes;
  return [
    ["torch's cache", Math.max(0, cached), "repeating-linear-gradient(45deg, #8a93a0 0 3px, transparent 3px 6px)"],
    ["CUDA context", answer.context_bytes, "#555d69"],
  ].filter(([, bytes]) => bytes > 0);
}

// The bar under a form: of this machine, for the draft as it is; `above` says more of an answer.
export class FitBar {
  constructor(above = null) {
    this.box = el("div", { class: "lt-fit", "aria-live": "polite" }, el("p", { class: "lt-fit-note" }, "Estimating the memory …"));
    this.asking = new Asking(
      (answer) => this.say([above?.(answer), verdict(answer), bar(answer)].filter(Boolean)),
      (reason) => this.say([el("p", { class: "lt-fit-note" }, `No memory estimate: ${reason}`)]),
    );
  }

  about(kind, config) {
    const given = Object.fromEntries(Object.entries(config).filter(([name, value]) => value != null && !UNASKED.has(name)));
    if (this.asking.about(kind, { ...given, here: true })) this.box.classList.add("lt-stale");
  }

  say(parts) {
    this.box.classList.remove("lt-stale");
    this.box.replaceChildren(...parts);
  }
}

// What changes no byte of a step would only make the same question look new.
const UNASKED = new Set([
  "name", "sample_prompts", "seed", "learning_rate", "request_id", "dataset", "dataset_config", "dataset_split", "data_format",
  "columns", "n_examples", "chat_template", "system_prompt", "num_epochs", "max_steps", "resume_from",
]);
