// The rows of the draft as its model will see them: which tokens are learned, how long they are, what is wrong with some.

import { call } from "./call.js";
import { el, id } from "./dom.js";
import { draftConfig, onDraft } from "./form.js";
import * as words from "./words.js";

const OF = "tune", SHOWN = 8, PROBLEMS_SHOWN = 20;
const WHAT =
  "Before a run starts you can look at its rows token by token: what the model only reads, and what it learns to " +
  "write. Nothing is trained yet; a model or dataset of the Hub is fetched for it, of the model only its tokenizer. Without a network, tune a model that was pretrained here: such runs " +
  "stand first among the base models.";
// What decides how rows become tokens; another learning rate does not make a preview old.
const DECIDES = ["model_name", "dataset", "dataset_config", "dataset_split", "data_format", "columns", "n_examples", "chat_template", "system_prompt", "answers_only", "max_seq_length"];

export function mountExamples(element) {
  new Examples(element.querySelector(".lt-examples"));
}

class Examples {
  constructor(box) {
    this.asked = null;
    this.go = el("button", { type: "button", class: "lt-button lt-primary", id: id("preview", OF), onclick: () => this.read() }, "Preview rows");
    this.state = el("span", { class: "lt-hint", role: "status" });
    this.found = el("div", {}, el("p", { class: "lt-empty-small" }, WHAT));
    box.replaceChildren(el("div", { class: "lt-doing" }, this.go, this.state), this.found);
    onDraft(OF, (config) => this.edited(config));
  }

  edited(config) {
    if (this.reading) return;
    this.go.disabled = !config;
    const old = this.asked && config && key(config) !== this.asked;
    this.found.classList.toggle("lt-stale", Boolean(old));
    this.state.textContent = !config ? "The form has a problem to mend first." : old ? "The form has changed since." : "";
  }

  async read() {
    const config = draftConfig(OF);
    if (!config || this.reading) return;
    this.reading = true;
    this.go.disabled = true;
    this.state.textContent = "Reading the rows with the model's tokenizer …";
    const given = Object.fromEntries(Object.entries(config).filter(([, value]) => value != null));
    try {
      const view = await call("POST", "fine-tuning/examples", { ...given, num_shown: SHOWN });
      this.draw(view, config);
      this.asked = key(config);
    } catch (error) {
      this.asked = null;
      this.found.replaceChildren(el("p", { class: "lt-warning", role: "alert" }, words.plain(error.message)));
    }
    this.reading = false;
    this.edited(draftConfig(OF));
  }

  draw(view, config) {
    this.found.classList.remove("lt-stale");
    const learned = view.num_tokens ? view.num_learned / view.num_tokens : 0;
    const facts = [
      ["Rows", words.number(view.num_rows)],
      ["Read as", view.data_format.replaceAll("_", " ")],
      ["Written by", view.data_format === "text" ? "no template" : view.template === "model" ? "the model's own template" : `the ${view.template} template`],
      ["Tokens", words.short(view.num_tokens)],
      ["Learned", `${share(learned)}`],
      ["Masked", `${share(view.share_masked)}`],
      ["Truncated", `${share(view.share_cut)} of the rows`],
      ["Left out", words.number(view.num_left_out)],
      ["Makes", steps(view, config)],
    ];
    this.found.replaceChildren(...[
      view.num_learned ? null : el("p", { class: "lt-problem", role: "alert" }, "Nothing would be learned: no token of these rows is left to train on. Raise the sequence length, turn “Learn answers only” off, or mend the rows."),
      el("dl", { class: "lt-figures" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
      view.problems.length ? troubles(view) : null,
      view.histogram.length ? histogram(view.histogram, config.max_seq_length) : null,
      view.sequences.length ? el("section", {}, el("h2", {}, view.sequences.length < view.num_sequences ? `The first ${view.sequences.length} of ${words.number(view.num_sequences)} examples` : "All examples"), legend(config), view.sequences.map(sequence)) : null,
    ].filter(Boolean));
  }
}

const key = (config) => JSON.stringify(DECIDES.map((name) => config[name]));
const share = (value) => `${(100 * value).toFixed(value > 0 && value < 0.0995 ? 1 : 0)} %`;

// How many updates that are, about: packed sequences are filled nearly whole.
function steps(view, config) {
  if (config.max_steps) return `${words.number(config.max_steps)} steps, as the form says`;
  const packs = config.packing ?? config.fast_mode;
  const sequences = packs ? view.num_tokens / Math.min(config.max_seq_length, view.num_tokens || 1) : view.num_sequences;
  const each = Math.ceil((sequences * (1 - config.val_share)) / (config.batch_size * config.gradient_accumulation));
  return `about ${words.number(config.num_epochs * Math.max(1, each))} steps`;
}

function troubles({ problems, num_rows: rows }) {
  return el("section", { class: "lt-problems", role: "alert" },
    el("strong", {}, `${words.number(problems.length)} of ${words.number(rows)} rows cannot be learned from; a run refuses to start with them`),
    el("ul", {}, problems.slice(0, PROBLEMS_SHOWN).map((problem) => el("li", {}, words.plain(problem.message)))),
    problems.length > PROBLEMS_SHOWN ? el("p", { class: "lt-hint" }, `And ${words.number(problems.length - PROBLEMS_SHOWN)} more.`) : null);
}

function legend(config) {
  return el("p", { class: "lt-hint lt-legend" }, el("span", { class: "lt-learned" }, "underlined and tinted"), " is learned; ", el("span", { class: "lt-masked" }, "grey"),
    config.answers_only ? " is only read, and counts nothing." : " is only read.", " A dotted line stands between tokens.");
}

function sequence(seen) {
  const counts = [`${words.number(seen.num_tokens)} tokens`, `${words.number(seen.num_learned)} learned`, seen.cut ? `${words.number(seen.cut)} cut off` : null].filter(Boolean).join(", ");
  const pieces = seen.pieces.map(([text, learned]) => el("span", { class: learned ? "lt-learned" : "lt-masked" }, words.plain(text)));
  return el("article", { class: "lt-example" }, el("p", { class: "lt-hint" }, el("b", {}, words.plain(seen.where)), `: ${counts}`),
    el("div", { class: "lt-seen", tabindex: 0, "aria-label": `${seen.where} as the model sees it` }, pieces, seen.cut ? el("span", { class: "lt-cut", title: "what did not fit" }, " ✂") : null));
}

// How many examples are how long, before cutting; bars beyond the sequence length lose their end.
function histogram(bars, longest) {
  const most = Math.max(...bars.map(([, , count]) => count));
  const label = bars.filter(([, , count]) => count).map(([from, to, count]) => `${count} of ${from} to ${to} tokens`).join(", ");
  return el("section", {}, el("h2", {}, "Lengths in tokens"),
    el("div", { class: "lt-histogram", role: "img", "aria-label": label },
      bars.map(([from, to, count]) => el("span", { class: from > longest ? "lt-too-long" : "", title: `${from} to ${to} tokens: ${words.number(count)} ${count === 1 ? "example" : "examples"}${from > longest ? ", cut" : ""}` },
        el("i", { style: `height:${count ? Math.max(3, (100 * count) / most) : 0}%` })))),
    el("p", { class: "lt-histogram-ends" }, el("span", {}, words.number(bars[0][0])), el("span", {}, bars.at(-1)[1] > longest ? `cut beyond ${words.number(longest)}` : `none reaches ${words.number(longest)}`), el("span", {}, words.number(bars.at(-1)[1]))));
}
