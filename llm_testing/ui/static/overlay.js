// Earlier runs laid under the live curves, by choice; the choice is this browser's.

import { dot, el, keep, kept, show } from "./dom.js";
import { ask, Curve } from "./feed.js";
import * as words from "./words.js";

const MOST = 5;

export class Overlay {
  constructor(onChange) {
    this.ids = kept("overlay", []);
    this.curves = new Map();
    this.runs = [];
    this.onChange = onChange;
    this.list = el("div", { class: "lt-menu" });
    this.fold = el(
      "details",
      {
        class: "lt-overlay",
        ontoggle: () => {
          if (this.fold.open) this.offer();
        },
        onkeydown: (event) => {
          if (event.key === "Escape") {
            this.fold.open = false;
            this.fold.firstChild.focus();
          }
        },
      },
      el("summary", {}, "Compare with …"),
      this.list,
    );
    document.addEventListener("click", (event) => {
      if (!this.fold.contains(event.target)) this.fold.open = false;
    });
  }

  async offer() {
    this.runs = (await ask("runs")).value.runs.filter(
      (run) => run.usable && run.run_id !== this.live && run.step > 0,
    );
    this.draw();
  }

  draw() {
    show(this.list, [this.runs.map((run) => [run.run_id, run.name, run.val_loss]), this.ids], () => {
      if (!this.runs.length) return el("p", { class: "lt-empty-small" }, "There is no other run with a point yet.");
      return this.runs.map((run) => {
        const tick = el("input", {
          type: "checkbox",
          disabled: !this.ids.includes(run.run_id) && this.ids.length >= MOST,
          onchange: () => this.toggle(run.run_id, tick.checked),
        });
        tick.checked = this.ids.includes(run.run_id);
        return el(
          "label",
          {},
          tick,
          dot(run.colour),
          el("span", {}, words.plain(run.name || run.run_id)),
          el("span", { class: "lt-hint" }, `${words.number(run.step)} steps, val ${words.loss(run.val_loss)}`),
        );
      });
    });
  }

  toggle(id, on) {
    this.ids = on ? [...this.ids, id] : this.ids.filter((other) => other !== id);
    keep("overlay", this.ids);
    this.draw();
    this.onChange();
  }

  // What is laid beside the run that is shown; a run that is gone is left out and forgotten.
  async beside(live) {
    this.live = live;
    const wanted = this.ids.filter((id) => id !== live);
    if (wanted.some((id) => !this.curves.has(id))) {
      const known = new Map((await ask("runs")).value.runs.map((run) => [run.run_id, run]));
      for (const id of wanted.filter((one) => !this.curves.has(one))) {
        const run = known.get(id);
        if (!run?.usable) {
          this.ids = this.ids.filter((other) => other !== id);
          keep("overlay", this.ids);
          continue;
        }
        const curve = new Curve(id);
        await curve.more();
        this.curves.set(id, { curve, runId: id, name: run.name || id, colour: run.colour });
      }
    }
    return wanted.flatMap((id) => this.curves.get(id) ?? []);
  }
}
