// The playground: any checkpoint or the live model continues a text, word by word as it is written.

import { lines } from "./call.js";
import { el } from "./dom.js";
import { fromWords, ModelPicker, onModels, readModels } from "./models.js";
import { SamplingFields } from "./sampling.js";
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
  const picker = new ModelPicker("playground");
  const prompt = el("textarea", {
    rows: 3,
    maxlength: 20000,
    id: "lt-prompt",
    spellcheck: "false",
    oninput: () => sampling.set("prompt", prompt.value),
    onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) write();
    },
  });
  const sampling = new SamplingFields(FIRST, "playground");
  prompt.value = sampling.chosen.prompt;
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
        sampling.nextSeed();
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
    el("div", { class: "lt-numbers" }, sampling.fields),
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
  onShown("playground", () => readModels());

  async function write() {
    if (page.abort || !picker.value) return;
    const wrong = sampling.wrong();
    if (wrong) return trouble.replaceChildren(wrong);
    const abort = (page.abort = new AbortController());
    go.disabled = other.disabled = true;
    halt.hidden = false;
    trouble.replaceChildren();
    const asked = { ...sampling.asked(), checkpoint_id: picker.value };
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
