// The playground of tuned models: a question goes to the base model and to the adapter, whose answers come side by side.

import { lines } from "./call.js";
import { el, id } from "./dom.js";
import { fromWords, liveRun, LIVE, ModelPicker, onModels, readModels, runOf } from "./models.js";
import { SamplingFields } from "./sampling.js";
import { onShown, showView } from "./views.js";
import * as words from "./words.js";

const OF = "tune";
const FIRST = { prompt: "What is your name?", temperature: 0.7, top_k: 50, top_p: 1, max_tokens: 120, seed: 0, sides: "both" };
const SIDES = { base: "Base model", adapter: "Tuned" };
const WHO = [["both", "base and tuned"], ["adapter", "tuned alone"], ["base", "base alone"]];
const EMPTY =
  "Ask something that the rows teach, and something that they do not: side by side you see what was learned, and " +
  "whether anything was forgotten. While a run trains or is paused, its live adapter can be asked.";

let chat = null;

// Used by the list of adapters.
export function chatWith(adapter) {
  chat?.picker.choose(adapter);
  chat?.begin();
  showView("chat", OF);
  chat?.prompt.focus();
}

export function mountChat(element) {
  chat = new Chat(element.querySelector(".lt-chat"));
}

class Chat {
  constructor(box) {
    this.picker = new ModelPicker("chat", () => this.begin(), OF);
    this.sampling = new SamplingFields(FIRST, "tune-playground", OF);
    this.abort = null;
    this.prompt = el("textarea", { rows: 2, maxlength: 20000, id: "lt-tune-prompt", onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.ask();
    } });
    this.prompt.value = this.sampling.chosen.prompt;
    this.who = el("select", { id: "lt-tune-who", onchange: () => this.sampling.set("sides", this.who.value) },
      WHO.map(([value, title]) => el("option", { value, selected: value === this.sampling.chosen.sides }, title)));
    const button = (name, title, act, props = {}) => el("button", { type: "button", class: "lt-button", id: id(name, OF), onclick: act, ...props }, title);
    this.go = button("ask", "Ask", () => this.ask(), { class: "lt-button lt-primary" });
    this.another = button("another", "Another answer", () => this.again(), { title: "The last question again, with the next seed" });
    this.halt = button("halt", "Stop writing", () => this.abort?.abort(), { hidden: true });
    this.anew = button("anew", "New conversation", () => this.begin());
    this.trouble = el("div", { role: "alert" });
    this.turns = el("div", { class: "lt-turns", "aria-live": "off" });
    box.replaceChildren(
      el("div", { class: "lt-ask-model" },
        el("label", { for: this.picker.select.id }, "Adapter"), this.picker.select,
        el("label", { for: "lt-tune-who" }, "Who answers"), this.who),
      this.turns,
      el("label", { for: "lt-tune-prompt", class: "lt-label" }, "Your message"),
      this.prompt,
      el("div", { class: "lt-doing" }, this.go, this.another, this.halt, this.anew, el("span", { class: "lt-hint" }, "Ctrl + Enter")),
      this.trouble,
      el("div", { class: "lt-numbers" }, this.sampling.fields),
    );
    onModels(() => this.ready(), OF);
    onShown("chat", () => readModels(OF), OF);
    this.begin();
  }

  // An empty conversation; what each side was told and said differs from its first answer on.
  begin() {
    this.abort?.abort();
    this.told = { base: [], adapter: [] };
    this.last = null;
    this.turns.replaceChildren(el("p", { class: "lt-empty-small" }, EMPTY));
    this.ready();
  }

  ready() {
    const busy = Boolean(this.abort);
    this.go.disabled = busy || !this.picker.value;
    this.another.disabled = busy || !this.last;
    this.anew.disabled = !this.last;
    this.halt.hidden = !busy;
  }

  again() {
    if (!this.last || this.abort) return;
    this.sampling.nextSeed();
    this.told = this.last.before;
    this.write(this.last.question);
  }

  ask() {
    const question = this.prompt.value.trim();
    if (question && !this.abort && this.picker.value) {
      this.sampling.set("prompt", question);
      this.write(question);
    }
  }

  async write(question) {
    const wrong = this.sampling.wrong();
    if (wrong) return this.trouble.replaceChildren(wrong);
    const abort = (this.abort = new AbortController());
    const before = this.told, user = { role: "user", content: question };
    const turn = new Turn(question, this.sampling.chosen, this.runId());
    if (!this.turns.querySelector(".lt-turn")) this.turns.replaceChildren();
    this.turns.append(turn.box);
    turn.box.scrollIntoView({ block: "nearest" });
    this.trouble.replaceChildren();
    this.ready();
    const { prompt, ...how } = this.sampling.asked();
    const asked = { ...how, adapter_path: this.picker.value, messages: [...before.adapter, user], base_messages: [...before.base, user] };
    try {
      for await (const line of lines("fine-tuning/chat", asked, abort.signal)) {
        if (line.error) throw new Error(line.error);
        turn.read(line);
      }
    } catch (error) {
      if (error.name === "AbortError") turn.stopped();
      else this.trouble.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
      if (!turn.text.base && !turn.text.adapter) turn.box.remove();
    }
    if (this.abort === abort) {
      this.abort = null;
      // A side that was not asked goes on as if it had not heard the question.
      this.told = Object.fromEntries(Object.keys(SIDES).map((side) => [side, turn.text[side] ? [...before[side], user, { role: "assistant", content: turn.text[side] }] : before[side]]));
      this.last = { question, before };
    }
    this.ready();
  }

  runId() {
    const value = this.picker.value;
    return value === LIVE ? liveRun(OF)?.run_id : value.split("/")[0];
  }
}

// One question and its answers.
class Turn {
  constructor(question, how, runId) {
    this.how = `temperature ${how.temperature}, seed ${how.seed ?? 0}`;
    this.base = words.plain(runOf(runId)?.model_name ?? "");
    this.text = { base: "", adapter: "" };
    this.sides = {};
    this.about = el("p", { class: "lt-hint" }, "Opening the model …");
    this.answers = el("div", { class: "lt-answers" });
    this.box = el("article", { class: "lt-turn" }, el("p", { class: "lt-question-asked" }, words.plain(question)), this.answers, this.about);
  }

  read(line) {
    if (line.sides) {
      this.about.textContent = `${fromWords(line, OF)} · ${this.how}`;
      for (const side of line.sides) {
        const body = el("div", { class: "lt-answer-text" }), about = el("span", { class: "lt-hint" }, "thinking …");
        this.sides[side] = { body, about };
        const title = side === "base" && this.base ? `${SIDES.base}, ${this.base}` : SIDES[side];
        this.answers.append(el("section", { class: `lt-answer lt-answer-${side}`, "data-side": side }, el("h3", {}, title), body, about));
      }
    }
    const side = this.sides[line.side];
    if (!side) return;
    if (line.text) {
      this.text[line.side] += line.text;
      side.body.textContent = words.plain(this.text[line.side]);
    }
    const speed = line.done && line.seconds > 0 ? `, ${words.short(line.tokens_generated / line.seconds)} tokens/s` : "";
    side.about.textContent = `${words.number(line.tokens_generated)} tokens${speed}${line.cut ? ", cut at the length" : ""}${line.done && !this.text[line.side] ? " · it ended at once" : ""}`;
  }

  stopped() { this.about.textContent += " · stopped"; }
}
