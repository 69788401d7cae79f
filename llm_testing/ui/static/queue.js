// The runs that wait for the trainer: their order, and going on with them after a restart.

import { call } from "./call.js";
import { ACTIVE, el, show } from "./dom.js";
import { ask } from "./feed.js";
import * as words from "./words.js";

export function mountQueue(box, feed) {
  const list = el("div", {}),
    said = el("p", { class: "lt-hint", role: "status" });
  box.replaceChildren(list, said);
  let names = new Map();
  const draw = async () => {
    const waiting = feed.status?.queued ?? [];
    box.hidden = !waiting.length && !said.textContent;
    if (waiting.some((id) => !names.has(id)))
      names = new Map((await ask("runs")).value.runs.map((run) => [run.run_id, run.name]));
    const free = !ACTIVE.includes(feed.status?.run?.state);
    show(list, [waiting, free, [...names]], () =>
      waiting.length
        ? [
            el("h2", {}, `Queue (${waiting.length})`),
            free
              ? el(
                  "p",
                  { class: "lt-first" },
                  waiting.length === 1 ? "A run waits for its turn. " : `${waiting.length} runs wait for their turn. `,
                  el(
                    "button",
                    {
                      type: "button",
                      class: "lt-button lt-primary",
                      id: "lt-run-queue",
                      onclick: () => act("POST", "pretraining/queue/run"),
                    },
                    "Go on with the queue",
                  ),
                )
              : null,
            el(
              "ol",
              { class: "lt-queue" },
              waiting.map((id, i) =>
                el(
                  "li",
                  { "data-run": id },
                  el("span", { class: "lt-name" }, words.plain(names.get(id) || id)),
                  small("Up", `Earlier: ${names.get(id) || id}`, () => move(id, i), i > 0),
                  small("Down", `Later: ${names.get(id) || id}`, () => move(id, i + 2), i < waiting.length - 1),
                  small("Take out", `Take ${names.get(id) || id} out of the queue`, () =>
                    act("POST", "pretraining/stop", { run_id: id }),
                  ),
                ),
              ),
            ),
          ]
        : [],
    );
  };
  feed.listen(() => draw().catch(() => {}));

  const move = (id, position) => act("POST", "pretraining/queue/move", { run_id: id, position });

  async function act(method, address, body) {
    try {
      await call(method, address, body);
      said.textContent = "";
    } catch (error) {
      said.textContent = words.plain(error.message);
    }
    feed.wake();
  }
}

const small = (label, title, onclick, on = true) =>
  el("button", { type: "button", class: "lt-link", title: words.plain(title), disabled: !on, onclick }, label);
