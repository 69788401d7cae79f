// The playground: any checkpoint or the live model continues a text, word by word as it is written.

import { lines } from "./call.js";
import { el, keep, kept } from "./dom.js";
import { checkpoints, LIVE, ModelPicker, onModels, readModels } from "./models.js";
import { onShown, showView } from "./views.js";
import * as words from "./words.js";

const FIRST = { prompt: "The ", temperature: 0.8, top_k: 50, top_p: 1, max_tokens: 120, seed: 0 };
const MOST_KEPT = 8;
const EMPTY = "Texts appear here, the newest on top, so that you can compare temperatures, seeds and checkpoints.";

let page = null;

// Used by the checkpoint browser.
export function playWith(id) {
  page?.picker.choose(id);
  showView("playground");
  page?.prompt.focus();
}

export function mountPlayground(element) {
  const box = element.querySelector(".lt-playground");
  const chosen = { ...FIRST, ...kept("playground", {}) };
  const set = (name, read) => (event) => {
    chosen[name] = read(event.target.value);
    keep("playground", chosen);
  };
  const picker = new ModelPicker("playground");
  const prompt = el("textarea", {
    rows: 3,
    maxlength: 20000,
    id: "lt-prompt",
    spellcheck: "false",
    oninput: set("prompt", String),
    onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
    },
  });
  prompt.value = chosen.prompt;
  const numbers = [
    slider(
      "Temperature",
      "temperature",
      { min: 0, max: 2, step: 0.05 },
      "0 always takes the likeliest token; higher surprises more.",
      (v) => v.toFixed(2),
    ),
    slider(
      "Top p",
      "top_p",
      { min: 0.05, max: 1, step: 0.05 },
      "Only the likeliest tokens that together have this share; 1 is all of them.",
      (v) => v.toFixed(2),
    ),
    field(
      "Top k",
      "top_k",
      { min: 1, max: 100000, placeholder: "all" },
      "Only this many of the likeliest tokens; empty is all.",
    ),
    field("Length", "max_tokens", { min: 1, max: 2048, required: true }, "How many tokens to write at most."),
    field("Seed", "seed", { min: 0, max: 4294967295, required: true }, "The same seed writes the same text."),
  ];
  const go = el(
    "button",
    { type: "button", class: "lt-button lt-primary", id: "lt-generate", onclick: () => write() },
    "Generate",
  );
  const other = el(
    "button",
    {
      type: "button",
      class: "lt-button",
      id: "lt-another",
      title: "With the next seed",
      onclick: () => {
        bump();
        write();
      },
    },
    "Another",
  );
  const halt = el(
    "button",
    { type: "button", class: "lt-button", id: "lt-halt", hidden: true, onclick: () => page.abort?.abort() },
    "Stop writing",
  );
  const trouble = el("div", { role: "alert" });
  const texts = el("div", { class: "lt-texts", "aria-live": "off" }, el("p", { class: "lt-empty-small" }, EMPTY));
  box.replaceChildren(
    el("div", { class: "lt-ask-model" }, el("label", { for: picker.select.id }, "Model"), picker.select),
    el("label", { for: "lt-prompt", class: "lt-label" }, "Beginning of the text"),
    prompt,
    el("div", { class: "lt-numbers" }, numbers),
    el("div", { class: "lt-doing" }, go, other, halt, el("span", { class: "lt-hint" }, "Ctrl + Enter")),
    trouble,
    texts,
  );
  page = { picker, prompt, abort: null };
  const ready = () => {
    if (!page.abort) go.disabled = other.disabled = !picker.value;
  };
  onModels(ready);
  ready();
  onShown("playground", readModels);

  function slider(label, name, range, help, say) {
    const said = el("output", {}, say(chosen[name]));
    const input = el("input", {
      type: "range",
      id: `lt-play-${name}`,
      ...range,
      oninput: (event) => {
        set(name, Number)(event);
        said.textContent = say(chosen[name]);
      },
    });
    input.value = chosen[name];
    return el(
      "div",
      { class: "lt-number-field", title: help },
      el("label", { for: input.id }, label, " ", said),
      input,
    );
  }

  function field(label, name, range, help) {
    const input = el("input", {
      type: "number",
      id: `lt-play-${name}`,
      step: 1,
      ...range,
      oninput: set(name, (text) => (text === "" ? null : Number(text))),
    });
    input.value = chosen[name] ?? "";
    return el("div", { class: "lt-number-field", title: help }, el("label", { for: input.id }, label), input);
  }

  function bump() {
    chosen.seed = ((chosen.seed ?? 0) + 1) % 2 ** 32;
    box.querySelector("#lt-play-seed").value = chosen.seed;
    keep("playground", chosen);
  }

  async function write() {
    if (page.abort || !picker.value) return;
    const wrong = [...box.querySelectorAll(".lt-numbers input")].find((input) => !input.checkValidity());
    if (wrong) {
      trouble.replaceChildren(
        el(
          "p",
          { class: "lt-warning" },
          `${wrong.labels[0].firstChild.textContent} takes a whole number from ${words.number(Number(wrong.min))} to ` +
            `${words.number(Number(wrong.max))}; received ${wrong.value || "no number"}.`,
        ),
      );
      wrong.focus();
      return;
    }
    const abort = (page.abort = new AbortController());
    go.disabled = other.disabled = true;
    halt.hidden = false;
    trouble.replaceChildren();
    const asked = { ...chosen, checkpoint_id: picker.value };
    if (asked.top_p >= 1) delete asked.top_p;
    const body = el("span", {}),
      about = el("p", { class: "lt-hint" }, "Opening the model …");
    const text = el(
      "article",
      { class: "lt-text" },
      el("blockquote", {}, el("b", {}, words.plain(asked.prompt)), body),
      about,
    );
    if (texts.querySelector(".lt-empty-small")) texts.replaceChildren();
    texts.prepend(text);
    while (texts.children.length > MOST_KEPT) texts.lastElementChild.remove();
    let from = "",
      written = "",
      tokens = 0;
    try {
      for await (const line of lines("pretraining/generate/stream", asked, abort.signal)) {
        if (line.error) throw new Error(line.error);
        if (line.checkpoint_id) from = fromWords(line);
        if (line.text) {
          written += line.text;
          body.textContent = words.plain(written);
        }
        tokens = line.tokens_generated ?? tokens;
        const speed = line.done && line.seconds > 0 ? `, ${words.short(tokens / line.seconds)} tokens/s` : "";
        const how = `temperature ${asked.temperature}, seed ${asked.seed ?? 0}`;
        about.textContent = `${from} · ${words.number(tokens)} tokens${speed} · ${how}`;
      }
      if (!tokens) about.textContent += " · the model ended the text at once";
    } catch (error) {
      if (error.name === "AbortError") about.textContent += " · stopped";
      else {
        trouble.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
        if (!written) text.remove();
        if (!texts.children.length) texts.replaceChildren(el("p", { class: "lt-empty-small" }, EMPTY));
      }
    }
    page.abort = null;
    halt.hidden = true;
    ready();
  }
}

function fromWords({ checkpoint_id: id, step }) {
  if (id === LIVE) return `live model at step ${words.number(step)}`;
  const row = checkpoints().find((one) => one.id === id);
  return `${words.plain(row?.run_name || id)}, step ${words.number(step)}`;
}
