// What the form says about the draft: figures that follow from it, and every problem at its own field.

import { knowTokens, mountCorpus } from "./corpus.js";
import { el, id, show } from "./dom.js";
import { mountTuningFields } from "./tuningfields.js";
import { FitBar } from "./vram.js";
import * as words from "./words.js";

const COPIES = [["cli", "command line"], ["yaml", "YAML"], ["python", "Python"]];

const drafts = new Map();

// A draft's whole config, while it has no problems; of which form, as its elements' ids begin.
export const draftConfig = (of = "") => drafts.get(of) ?? null;
// Calls back with a form's whole config each time it changes, null while it has problems.
export function onDraft(of, listener) {
  document.addEventListener(`lt-draft${of}`, () => listener(draftConfig(of)));
  listener(draftConfig(of));
}

export function mountSummary(element, feed, props, watch, of) {
  const whole = element.querySelector(".lt-summary"), box = el("div", {}), fits = new FitBar(of ? modelFigures : null), fields = new Fields(of, element.closest(".lt-form") ?? element);
  const beside = of ? mountTuningFields : mountCorpus;
  whole.replaceChildren(box, fits.box);
  box.setAttribute("aria-live", "polite");
  const draw = () => {
    const said = props.value;
    if (!said || typeof said !== "object") return;
    drafts.set(of, said.config ?? null);
    show(box, said, () => (said.problems.length ? problems(said.problems, fields) : figures(said)));
    fields.mark(said.problems);
    fits.box.hidden = !said.config;
    if (said.config) fits.about(said.kind, said.config);
    if (said.config && !of) knowTokens(said.config.corpus, said.train_tokens);
    beside(said.config);
    document.dispatchEvent(new CustomEvent(`lt-draft${of}`));
    if (said.ask && said.problems.length) fields.goTo(said.problems[0].field);
  };
  watch("value", draw);
  // Gradio may build a field anew, for one when the fold is opened first.
  new MutationObserver(() => { fields.mark(props.value?.problems ?? []); beside(); }).observe(fields.form, { childList: true, subtree: true });
  draw();
}

function figures(said) {
  return [
    el("dl", { class: "lt-figures" }, said.facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))),
    said.warnings.map((warning) => el("p", { class: "lt-warning" }, warning)),
    said.copies ? copies(said.copies) : null,
  ];
}

// The figures of a fine-tuned model come with its memory: both ask for the model's configuration.
function modelFigures({ num_parameters: all, num_trainable: trained }) {
  const share = all ? (100 * trained) / all : 0;
  return el("p", { class: "lt-fit-model" }, "Trains ", el("b", {}, words.short(trained)), ` of ${words.short(all)} parameters`, trained < all ? ` (${share.toPrecision(2)} %)` : "", ".");
}

// The draft as text for a terminal, a file or a script; shown as well as copied, as a browser may refuse the clipboard.
function copies(texts) {
  const said = el("span", { role: "status" }), text = el("pre", { class: "lt-preview", tabindex: 0, hidden: true });
  const copy = async (name, title) => {
    text.hidden = false;
    text.textContent = words.plain(texts[name]);
    try { await navigator.clipboard.writeText(texts[name]); said.textContent = `Copied as ${title}.`; } catch { said.textContent = "Select the text below to copy it."; }
  };
  return el("div", { class: "lt-copies" }, "Copy as ", COPIES.map(([name, title]) => el("button", { type: "button", class: "lt-link", "data-copy": name, onclick: () => copy(name, title) }, title)), said, text);
}

function problems(found, fields) {
  return el("div", { class: "lt-problems", role: "alert" },
    el("strong", {}, found.length === 1 ? "One option needs a change before this can start" : `${found.length} options need a change before this can start`),
    el("ul", {}, found.map((problem) => el("li", {},
      problem.field ? el("button", { type: "button", class: "lt-link", onclick: () => fields.goTo(problem.field) }, problem.title || problem.field) : null,
      ` ${problem.message}`))));
}

// The fields of one form, and what is wrong at each.
class Fields {
  constructor(of, form) { Object.assign(this, { of, form }); }

  field(name) { return name ? document.getElementById(id(`option-${name}`, this.of)) : null; }

  input(name) { return this.field(name)?.querySelector("input, textarea, select"); }

  mark(found) {
    const wanted = new Map(found.map((problem) => [problem.field, problem.message]));
    for (const note of this.form.querySelectorAll(".lt-problem[data-field]")) {
      const name = note.dataset.field;
      if (wanted.get(name) === note.textContent) { wanted.delete(name); continue; }
      this.input(name)?.removeAttribute("aria-invalid");
      note.remove();
    }
    for (const [name, message] of wanted) {
      const field = this.field(name);
      if (!field) continue;
      const note = el("p", { class: "lt-problem", id: id(`problem-${name}`, this.of), "data-field": name }, message);
      field.append(note);
      this.input(name)?.setAttribute("aria-invalid", "true");
      this.input(name)?.setAttribute("aria-describedby", note.id);
    }
  }

  goTo(name) {
    const field = this.field(name);
    if (!field) return;
    const fold = field.closest(".lt-advanced");
    if (fold && field.offsetParent === null) fold.querySelector("button")?.click();
    requestAnimationFrame(() => {
      field.scrollIntoView({ block: "center", behavior: "smooth" });
      this.input(name)?.focus({ preventScroll: true });
    });
  }
}
