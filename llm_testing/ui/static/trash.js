// Deleted runs, which can be brought back until the trash is emptied.

import { call } from "./call.js";
import { el, show } from "./dom.js";
import * as words from "./words.js";

export class Trash {
  constructor(onRestored) {
    this.onRestored = onRestored;
    this.list = el("div", {});
    this.said = el("p", { class: "lt-hint", role: "status" });
    this.title = el("summary", {}, "Trash");
    this.fold = el(
      "details",
      {
        class: "lt-fold",
        id: "lt-trash",
        ontoggle: () => {
          if (this.fold.open) this.read();
        },
      },
      this.title,
      this.list,
      this.said,
    );
    this.read();
  }

  async read() {
    try {
      const { runs } = await call("GET", "pretraining/trash");
      this.title.textContent = `Trash (${runs.length})`;
      this.fold.hidden = !runs.length && !this.said.textContent;
      show(this.list, runs, () => this.table(runs));
    } catch (error) {
      this.said.textContent = words.plain(error.message);
    }
  }

  table(runs) {
    if (!runs.length) return el("p", { class: "lt-empty-small" }, "The trash is empty.");
    return [
      el(
        "table",
        { class: "lt-table" },
        runs.map((run) =>
          el(
            "tr",
            {},
            el("td", {}, words.plain(run.name || run.run_id)),
            el("td", {}, words.plain(run.damaged ?? run.run_id)),
            el(
              "td",
              { class: "lt-row-actions" },
              el(
                "button",
                {
                  type: "button",
                  class: "lt-link",
                  onclick: () =>
                    this.act(() => call("POST", `pretraining/runs/${run.run_id}/restore`), "It is back in the list."),
                },
                "Restore",
              ),
            ),
          ),
        ),
      ),
      el(
        "button",
        { type: "button", class: "lt-button lt-danger", id: "lt-empty-trash", onclick: () => this.ask(runs.length) },
        "Empty the trash",
      ),
    ];
  }

  ask(count) {
    const question = el(
      "div",
      { class: "lt-question", role: "alertdialog", "aria-label": "Empty the trash?" },
      el("span", {}, `Remove ${count === 1 ? "this run" : `these ${count} runs`} for good?`),
      el(
        "button",
        {
          type: "button",
          class: "lt-button lt-danger",
          onclick: () =>
            this.act(async () => {
              const gone = await call("DELETE", "pretraining/trash");
              return `${words.bytes(gone.deleted_bytes)} are free again.`;
            }),
        },
        "Remove",
      ),
      el(
        "button",
        {
          type: "button",
          class: "lt-button",
          onclick: () => {
            this.list.dataset.said = "";
            this.read();
          },
        },
        "Keep",
      ),
    );
    this.list.append(question);
    question.querySelector("button").focus();
  }

  async act(work, done) {
    try {
      const said = await work();
      this.said.textContent = done ?? said;
    } catch (error) {
      this.said.textContent = words.plain(error.message);
    }
    this.list.dataset.said = "";
    await this.read();
    this.onRestored();
  }
}
