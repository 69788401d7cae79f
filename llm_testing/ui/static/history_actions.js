// What can be done with a run. What cannot be done now stays in sight, and says why when it is pressed.

import { call } from "./call.js";
import { el, show } from "./dom.js";
import { mark } from "./history_marks.js";
import { closeView, reloadRuns } from "./history_state.js";
import { menu } from "./history_table.js";
import { chatWith } from "./chat.js";
import { askExport } from "./export.js";
import { fork } from "./forking.js";
import { playWith } from "./playground.js";
import { askResume } from "./resume.js";
import { showTab } from "./tabs.js";
import * as words from "./words.js";

// Of each kind of run: what the ids of its tab begin with, its part of the REST API, and its playground.
const KINDS = {
  pretrain: { of: "", track: "pretraining", tab: "pretraining", play: playWith },
  finetune: { of: "tune", track: "fine-tuning", tab: "finetuning", play: chatWith },
};
const at = (address) => new URL(`../../api/${address}`, import.meta.url).href;

export class RunActions {
  constructor(feed) {
    this.feed = feed;
    this.line = el("div", { class: "lt-doing lt-run-actions" });
    this.place = el("div", { class: "lt-action-place", "aria-live": "polite" });
    this.element = el("div", { id: "lt-actions" }, this.line, this.place);
  }

  about(run, record) {
    if (this.run?.run_id !== run?.run_id) this.place.replaceChildren();
    this.run = run;
    this.record = record;
    const can = record?.actions ?? {};
    show(this.line, [run?.run_id, run?.archived, can, record?.checkpoints?.map((c) => [c.id, c.damaged])], () => (run ? this.buttons(can) : []));
  }

  buttons(can) {
    const newest = (this.record.checkpoints ?? []).filter((c) => !c.damaged).at(-1)?.id;
    return [
      this.button("Resume", can.resume, () => askResume(this.run.run_id, this.place, this.kind.of)),
      this.button("Extend", can.extend, () => this.extend()),
      this.button("Fork with changes", can.fork, () => fork(newest, this.kind.of)),
      this.button("Use its settings", null, () => fork(null, this.kind.of, this.settings())),
      this.button("Generate", can.generate, () => { showTab(this.kind.tab); setTimeout(() => this.kind.play(newest), 300); }),
      this.exports(can),
      this.button(this.run.archived ? "Unarchive" : "Archive", null, () => mark(this.run.run_id, { archived: !this.run.archived }).catch((error) => this.say(error.message, true))),
      this.button("Delete", can.delete, () => this.remove(), "lt-danger"),
    ]; // prettier-ignore
  }

  get kind() {
    return KINDS[this.run.kind] ?? KINDS.pretrain;
  }

  // For a new run of its own, so without a name that is taken and without the checkpoint that this one began with.
  settings(changes = {}) {
    return { ...this.record.config, resume_from: null, name: `${this.run.name || this.run.run_id}, again`.slice(0, 80), ...changes };
  }

  // What the coach proposes: a new run from before the trouble with some options changed, a stop, or a look at memory.
  propose({ action, changes, step }) {
    if (action === "stop") return void call("POST", `${this.kind.track}/stop`, { run_id: this.run.run_id, mode: "save" }).then(() => this.say("It stops after this step, and is saved."), (error) => this.say(error.message, true)).finally(() => this.feed.wake());
    if (action === "estimate") return showTab("vram");
    const from = (this.record.checkpoints ?? []).find((c) => c.step === step && !c.damaged);
    if (from) fork(from.id, this.kind.of, changes);
    else fork(null, this.kind.of, this.settings(changes));
  } // prettier-ignore

  button(label, reason, act, kind = "") {
    return el("button", { type: "button", class: `lt-button ${kind}`, "data-action": label.split(" ")[0].toLowerCase(), "aria-disabled": reason ? "true" : null, title: reason ? words.plain(reason) : null,
      onclick: () => (reason ? this.say(`${label} is not possible: ${reason}`) : act()) }, label); // prettier-ignore
  }

  say(text, bad = false) {
    this.place.replaceChildren(el("p", { class: bad ? "lt-warning" : "lt-hint lt-reason" }, words.plain(text)));
  }

  extend() {
    const total = this.run.total_steps ?? this.run.step ?? 0;
    const more = el("input", { type: "number", min: 1, step: 1, value: Math.max(100, Math.round(total / 4 / 100) * 100), "aria-label": "Steps more" });
    const said = el("div", { "aria-live": "polite" }), go = el("button", { type: "submit", class: "lt-button lt-primary" }, "Extend"); // prettier-ignore
    const body = () => ({ run_id: this.run.run_id, max_steps: total + Number(more.value) });
    const look = async () => {
      try {
        const { sentences, refused } = await call("POST", `${this.kind.track}/resume/preview`, body());
        said.replaceChildren(...(refused ? [el("p", { class: "lt-warning" }, words.plain(refused))] : sentences.map((one) => el("p", { class: "lt-hint" }, words.plain(one)))));
        go.disabled = Boolean(refused);
      } catch (error) {
        said.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
        go.disabled = true;
      }
    };
    more.addEventListener("input", look);
    const form = el("form", { class: "lt-question lt-resume", role: "dialog", "aria-label": "Extend this run", onkeydown: (event) => { if (event.key === "Escape") this.place.replaceChildren(); },
      onsubmit: async (event) => {
        event.preventDefault();
        go.disabled = true;
        try { await call("POST", `${this.kind.track}/resume`, body()); this.say("It goes on; its curve grows below."); this.feed.wake(); reloadRuns(); } catch (error) { this.say(error.message, true); }
      } },
      el("strong", {}, `Train ${words.plain(this.run.name || this.run.run_id)} for longer`), el("label", { class: "lt-inline" }, "Steps more ", more, ` on top of ${words.number(total)}`), said,
      el("div", { class: "lt-doing" }, go, el("button", { type: "button", class: "lt-button", onclick: () => this.place.replaceChildren() }, "Cancel"))); // prettier-ignore
    this.place.replaceChildren(form);
    more.focus();
    more.select();
    look();
  }

  exports(can) {
    const run = this.run.run_id;
    const weights = (this.record.checkpoints ?? []).length > 0;
    const list = el("div", { class: "lt-menu" }, [
      weights ? [`pretraining/runs/${run}/download`, `Everything as zip, with its checkpoints (${words.bytes(this.record.bytes)})`] : null,
      [`pretraining/runs/${run}/download?checkpoints=false`, "Zip without weights, to read elsewhere"],
      [`runs/${run}/report`, "Report: one page with its charts, opens without a network"],
      [`pretraining/runs/${run}/metrics.csv`, "Curves as CSV"],
      [`pretraining/runs/${run}/samples.csv`, "Samples as CSV"],
      [`runs/${run}/tensorboard`, "TensorBoard event files"],
    ].filter(Boolean).map(([address, label]) => el("a", { class: "lt-menu-link", href: at(address), download: "" }, label))); // prettier-ignore
    const model = (this.record.checkpoints ?? []).filter((c) => !c.damaged).at(-1);
    if (this.run.kind === "finetune" && model) {
      const row = { id: model.id, step: model.step, run_id: run, run_name: this.run.name };
      list.append(el("button", { type: "button", class: "lt-menu-link", onclick: () => { fold.open = false; askExport(row, this.place); } }, "As adapter, whole model, GGUF or to the Hub …")); // prettier-ignore
    }
    const fold = menu("Export", list, () => {}, "lt-export");
    return fold;
  }

  remove() {
    const { run_id: id, bytes } = this.run, name = words.plain(this.run.name || id); // prettier-ignore
    const close = () => this.place.replaceChildren();
    const question = el("div", { class: "lt-question", role: "alertdialog", "aria-label": "Delete?", onkeydown: (event) => { if (event.key === "Escape") close(); } },
      el("span", {}, `Move ${name} (${words.bytes(bytes)}) to the trash? It can be restored until the trash is emptied.`),
      el("button", { type: "button", class: "lt-button lt-danger", onclick: async () => {
        try {
          await call("DELETE", `pretraining/runs/${id}`);
          close();
          document.dispatchEvent(new CustomEvent("lt-deleted", { detail: { run_id: id, bytes } }));
          closeView();
          await reloadRuns();
        } catch (error) { this.say(error.message, true); }
      } }, "Delete"),
      el("button", { type: "button", class: "lt-button", onclick: close }, "Keep")); // prettier-ignore
    this.place.replaceChildren(question);
    question.querySelector("button").focus();
  }
}
