// What is done with all ticked runs at once; deleting says the size and can be undone until the trash is emptied.

import { call } from "./call.js";
import { el, show } from "./dom.js";
import { mayAct, tagsOf } from "./history_marks.js";
import { MOST_DRAWN, reloadRuns, state, tick } from "./history_state.js";
import * as words from "./words.js";

export class BulkBar {
  constructor() {
    this.bar = el("div", { class: "lt-bulk" });
    this.ask = el("div", {});
    this.said = el("div", { role: "status" });
    this.element = el("div", {}, this.bar, this.ask, this.said);
    document.addEventListener("lt-deleted", (event) => this.deleted([event.detail.run_id], event.detail.bytes));
  }

  draw() {
    const runs = this.runs();
    show(this.bar, [runs.map((run) => [run.run_id, run.archived, run.bytes]), mayAct()], () => {
      if (!runs.length) return [];
      const bytes = runs.reduce((sum, run) => sum + (run.bytes ?? 0), 0), archived = runs.every((run) => run.archived); // prettier-ignore
      return [
        el("span", {}, el("b", {}, `${words.number(runs.length)} selected`), ` · ${words.bytes(bytes)}`),
        runs.length > MOST_DRAWN ? el("span", { class: "lt-hint" }, `the first ${MOST_DRAWN} are drawn`) : null,
        ...(mayAct() ? [
          action("Tag", () => this.tag(runs)),
          action(archived ? "Unarchive" : "Archive", () => this.bulk({ action: archived ? "unarchive" : "archive" }, runs, archived ? "back from the archive" : "archived")),
          action("Export", () => this.export(runs)),
          action("Delete", () => this.remove(runs, bytes)),
        ] : []),
        el("span", { class: "lt-spring" }),
        action("Clear", () => tick(runs.map((run) => run.run_id), false)),
      ];
    }); // prettier-ignore
    if (!runs.length) this.ask.replaceChildren();
  }

  runs() {
    return [...state.ticked].map((id) => state.byId.get(id)).filter(Boolean);
  }

  async bulk(body, runs, done) {
    this.ask.replaceChildren();
    try {
      const { done: all, refused } = await call("POST", "runs/bulk", { runs: runs.map((run) => run.run_id), ...body });
      this.say(`${plural(all.length)} ${done}.`, Object.values(refused));
    } catch (error) {
      this.say("", [error.message]);
    }
    await reloadRuns();
  }

  tag(runs) {
    const input = el("input", { type: "text", class: "lt-input", placeholder: "tags, with commas; -tag takes one away", "aria-label": "Tags to add", list: "lt-known-tags" });
    const form = el("form", { class: "lt-question", onkeydown: (event) => { if (event.key === "Escape") this.ask.replaceChildren(); }, onsubmit: async (event) => {
      event.preventDefault();
      const tags = tagsOf(input.value), off = tags.filter((tag) => tag.startsWith("-")).map((tag) => tag.slice(1)), on = tags.filter((tag) => !tag.startsWith("-")); // prettier-ignore
      if (on.length) await this.bulk({ action: "tag", tags: on }, runs, `tagged ${on.join(", ")}`);
      if (off.length) await this.bulk({ action: "untag", tags: off }, runs, `without ${off.join(", ")}`);
    } }, input, el("button", { type: "submit", class: "lt-button" }, "Tag"), el("button", { type: "button", class: "lt-button", onclick: () => this.ask.replaceChildren() }, "Cancel")); // prettier-ignore
    this.ask.replaceChildren(form);
    input.focus();
  }

  remove(runs, bytes) {
    const question = el("div", { class: "lt-question", role: "alertdialog", "aria-label": "Delete?", onkeydown: (event) => { if (event.key === "Escape") this.ask.replaceChildren(); } },
      el("span", {}, `Move ${plural(runs.length)} (${words.bytes(bytes)}) to the trash? They can be restored until it is emptied.`),
      el("button", { type: "button", class: "lt-button lt-danger", onclick: () => this.delete(runs) }, "Delete"),
      el("button", { type: "button", class: "lt-button", onclick: () => this.ask.replaceChildren() }, "Keep")); // prettier-ignore
    this.ask.replaceChildren(question);
    question.querySelector("button").focus();
  }

  async delete(runs) {
    this.ask.replaceChildren();
    try {
      const { done, refused, bytes } = await call("POST", "runs/bulk", { runs: runs.map((run) => run.run_id), action: "delete" });
      this.deleted(done, bytes, Object.values(refused));
    } catch (error) {
      this.say("", [error.message]);
    }
    await reloadRuns();
  }

  // Said with its undo, for as long as nothing else is.
  deleted(ids, bytes, troubles = []) {
    const undo = el("button", { type: "button", class: "lt-link", id: "lt-undo", onclick: async () => {
      try {
        const { done, refused } = await call("POST", "runs/bulk", { runs: ids, action: "restore" });
        this.say(`${plural(done.length)} back in the list.`, Object.values(refused));
      } catch (error) { this.say("", [error.message]); }
      await reloadRuns();
    } }, "Undo"); // prettier-ignore
    this.said.replaceChildren(
      ...(ids.length ? [el("p", { class: "lt-hint" }, `${plural(ids.length)} (${words.bytes(bytes)}) moved to the trash. `, undo)] : []),
      ...troubles.map(warning),
    );
  }

  export(runs) {
    const ids = runs.map((run) => run.run_id).join(), close = () => this.ask.replaceChildren(); // prettier-ignore
    const link = (address, label) => el("a", { class: "lt-button", href: new URL(`../../api/${address}`, import.meta.url).href, download: "" }, label);
    const several = runs.length <= MOST_DRAWN && runs.every((run) => run.usable);
    const box = el("div", { class: "lt-question", role: "dialog", "aria-label": "Export", onkeydown: (event) => { if (event.key === "Escape") close(); } },
      several ? link(`compare/report?runs=${ids}`, "Report: one page that opens without a network") : el("span", { class: "lt-hint" }, `A report takes at most ${MOST_DRAWN} whole runs.`),
      link(`runs/export?runs=${ids}&checkpoints=false`, "Zip without weights"), link(`runs/export?runs=${ids}&checkpoints=true`, "Zip with checkpoints"), link(`runs/tensorboard?runs=${ids}`, "TensorBoard"),
      el("button", { type: "button", class: "lt-button", onclick: close }, "Close")); // prettier-ignore
    this.ask.replaceChildren(box);
    box.querySelector("a").focus();
  }

  say(text, troubles = []) {
    this.said.replaceChildren(...(text ? [el("p", { class: "lt-hint" }, words.plain(text))] : []), ...troubles.map(warning));
  }
}

const warning = (said) => el("p", { class: "lt-warning" }, words.plain(said));
const action = (label, onclick) => el("button", { type: "button", class: "lt-link", onclick }, label);
const plural = (count) => `${words.number(count)} ${count === 1 ? "run" : "runs"}`;
