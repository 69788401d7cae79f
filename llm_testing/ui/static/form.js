// What the form says about the draft: figures that follow from it, and every problem at its own field.

import { drawCorpus, knowTokens, mountCorpus } from "./corpus.js";
import { el, show } from "./dom.js";
import { FitBar } from "./vram.js";
import { plain } from "./words.js";

const COPIES = [["cli", "command line"], ["yaml", "YAML"], ["python", "Python"]];

let draft = null;

// The draft's whole config, while it has no problems.
export const draftConfig = () => draft;

export function mountSummary(element, feed, props, watch) {
  const whole = element.querySelector(".lt-summary"), box = el("div", {}), fits = new FitBar();
  whole.replaceChildren(box, fits.box);
  box.setAttribute("aria-live", "polite");
  const draw = () => {
    const said = props.value;
    if (!said || typeof said !== "object") return;
    draft = said.config ?? null;
    show(box, said, () => (said.problems.length ? problems(said.problems) : figures(said)));
    mark(said.problems);
    fits.box.hidden = !draft;
    if (draft) fits.about("pretraining", draft);
    if (draft) knowTokens(draft.corpus, said.train_tokens);
    mountCorpus();
    drawCorpus();
    if (said.ask && said.problems.length) toField(said.problems[0].field);
  };
  watch("value", draw);
  // Gradio may build a field anew, for one when the fold is opened first.
  new MutationObserver(() => { mark(props.value?.problems ?? []); mountCorpus(); }).observe(document.querySelector(".lt-form") ?? element, { childList: true, subtree: true });
  draw();
}

function figures(said) {
  return [
    el("dl", { class: "lt-figures" }, said.facts.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))),
    said.warnings.map((warning) => el("p", { class: "lt-warning" }, warning)),
    said.copies ? copies(said.copies) : null,
  ];
}

// The draft as text for a terminal, a file or a script; shown as well as copied, as a browser may refuse the clipboard.
function copies(texts) {
  const said = el("span", { role: "status" }), text = el("pre", { class: "lt-preview", tabindex: 0, hidden: true });
  const copy = async (name, title) => {
    text.hidden = false;
    text.textContent = plain(texts[name]);
    try { await navigator.clipboard.writeText(texts[name]); said.textContent = `Copied as ${title}.`; } catch { said.textContent = "Select the text below to copy it."; }
  };
  return el("div", { class: "lt-copies" }, "Copy as ", COPIES.map(([name, title]) => el("button", { type: "button", class: "lt-link", "data-copy": name, onclick: () => copy(name, title) }, title)), said, text);
}

function problems(found) {
  return el("div", { class: "lt-problems", role: "alert" },
    el("strong", {}, found.length === 1 ? "One option needs a change before this can start" : `${found.length} options need a change before this can start`),
    el("ul", {}, found.map((problem) => el("li", {},
      problem.field ? el("button", { type: "button", class: "lt-link", onclick: () => toField(problem.field) }, problem.title || problem.field) : null,
      ` ${problem.message}`))));
}

const fieldOf = (name) => (name ? document.getElementById(`lt-option-${name}`) : null);

function mark(found) {
  const wanted = new Map(found.map((problem) => [problem.field, problem.message]));
  for (const note of document.querySelectorAll(".lt-problem")) {
    const name = note.dataset.field;
    if (wanted.get(name) === note.textContent) { wanted.delete(name); continue; }
    inputOf(name)?.removeAttribute("aria-invalid");
    note.remove();
  }
  for (const [name, message] of wanted) {
    const field = fieldOf(name);
    if (!field) continue;
    const note = el("p", { class: "lt-problem", id: `lt-problem-${name}`, "data-field": name }, message);
    field.append(note);
    inputOf(name)?.setAttribute("aria-invalid", "true");
    inputOf(name)?.setAttribute("aria-describedby", note.id);
  }
}

const inputOf = (name) => fieldOf(name)?.querySelector("input, textarea, select");

function toField(name) {
  const field = fieldOf(name);
  if (!field) return;
  const fold = field.closest("#lt-advanced");
  if (fold && field.offsetParent === null) fold.querySelector("button")?.click();
  requestAnimationFrame(() => {
    field.scrollIntoView({ block: "center", behavior: "smooth" });
    inputOf(name)?.focus({ preventScroll: true });
  });
}
