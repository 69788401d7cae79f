// What a first visitor sees: where to begin, and what there is to look at meanwhile.

import { call } from "./call.js";
import { el, show } from "./dom.js";
import { ask } from "./feed.js";
import { openRunInHistory } from "./history_state.js";
import * as words from "./words.js";

const FIRST = { preset: "fast", name: "My first run" };

export function mountWelcome(box, feed) {
  let examples = null,
    trouble = "";
  const draw = async () => {
    const first = feed.status != null && !feed.status.run && !feed.status.queued.length;
    box.hidden = !first;
    if (!first) return;
    examples ??= (await ask("runs")).value.runs.filter((run) => run.tags?.includes("example"));
    show(box, [examples, trouble], () => [
      el("h2", {}, "Train your first GPT"),
      el(
        "p",
        {},
        "A small model learns from Python's own documentation, on this machine, without a download. It takes " +
          "about a minute; you watch its loss fall and its gibberish turn into words.",
      ),
      el(
        "div",
        { class: "lt-doing" },
        el(
          "button",
          { type: "button", class: "lt-button lt-primary", id: "lt-first-run", onclick: begin },
          "Start a first run",
        ),
        el("span", { class: "lt-hint" }, "or choose on the left, and press Start"),
      ),
      trouble ? el("p", { class: "lt-warning" }, words.plain(trouble)) : null,
      examples.length
        ? el(
            "p",
            { class: "lt-examples" },
            "Finished examples to look at: ",
            examples.map((run) =>
              el(
                "button",
                { type: "button", class: "lt-link", onclick: () => openRunInHistory(run.run_id) },
                words.plain(run.name),
              ),
            ),
          )
        : null,
      el(
        "ol",
        { class: "lt-steps" },
        el(
          "li",
          {},
          el("b", {}, "Watch"),
          " the curves and the sample texts while it learns; pause, save or stop at any time.",
        ),
        el("li", {}, el("b", {}, "Play"), " with the live model or any checkpoint, and see what it looks at."),
        el(
          "li",
          {},
          el("b", {}, "Change one thing"),
          " and run again: Run History lays the runs over one another and says what differs.",
        ),
      ),
    ]);
  };
  feed.listen(() => draw().catch(() => {}));

  async function begin() {
    try {
      // A public demo has one run, whose options are fixed.
      await call("POST", "pretraining/start", document.documentElement.dataset.ltRole === "guest" ? {} : FIRST);
      trouble = "";
    } catch (error) {
      trouble = error.message;
      draw();
    }
    feed.wake();
  }
}
