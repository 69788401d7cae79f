// Before a run is resumed: where it goes on, what the form says differently, and what of that may be taken over.

import { call } from "./call.js";
import { el } from "./dom.js";
import { ask } from "./feed.js";
import { draftConfig } from "./form.js";
import { showView } from "./views.js";
import * as words from "./words.js";

const TRACK = { "": "pretraining", tune: "fine-tuning" };
const NOT_COMPARED = ["name", "resume_from"];
const options = {};

export async function askResume(runId, place, of = "") {
  const close = () => place.replaceChildren();
  const box = el("div", {
    class: "lt-question lt-resume",
    role: "dialog",
    "aria-label": "Resume this run",
    onkeydown: (event) => {
      if (event.key === "Escape") close();
    },
  });
  place.replaceChildren(box);
  try {
    options[of] ??= (await call("GET", of ? "fine-tuning/options" : "options")).options;
    const { value: record } = await ask("run", { run: runId });
    draw(box, runId, record, close, of);
  } catch (error) {
    box.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)), button("Close", close));
  }
}

function draw(box, runId, record, close, of) {
  const draft = draftConfig(of),
    config = record.config ?? {};
  const differing = draft
    ? options[of].filter(({ name }) => !NOT_COMPARED.includes(name) && same(draft[name]) !== same(config[name]))
    : [];
  const free = differing.filter((option) => option.show.resume === "change"),
    fixed = differing.filter((option) => option.show.resume !== "change");
  const taken = new Set();
  const steps = el("input", {
    type: "number",
    min: 1,
    step: 1,
    id: "lt-resume-steps",
    placeholder: String(record.summary?.total_steps ?? config.max_steps ?? ""),
    oninput: look,
  });
  const said = el("div", { "aria-live": "polite" });
  const go = el("button", { type: "button", class: "lt-button lt-primary", onclick: resume }, "Resume");
  box.replaceChildren(
    ...[
      el("strong", {}, `Resume ${words.plain(record.name || runId)}`),
      said,
      el("label", { class: "lt-inline" }, "Total steps, if more than planned ", steps),
      fixed.length
        ? el(
            "details",
            {},
            el(
              "summary",
              { class: "lt-hint" },
              `The form says otherwise for ${fixed.length === 1 ? "an option" : `${fixed.length} options`} ` +
                "that a resumed run keeps. To change them, fork the checkpoint instead.",
            ),
            table(fixed, config, draft),
          )
        : null,
      free.length
        ? el(
            "div",
            {},
            el("p", { class: "lt-hint" }, "These differ too and may change; tick what to take over from the form."),
            table(free, config, draft, (name, on) => {
              if (on) taken.add(name);
              else taken.delete(name);
              look();
            }),
          )
        : null,
      el("div", { class: "lt-doing" }, go, button("Cancel", close)),
    ].filter(Boolean),
  );
  look();
  go.focus({ preventScroll: true });

  function changes() {
    const found = Object.fromEntries([...taken].map((name) => [name, draft[name]]));
    return steps.value ? { ...found, max_steps: Number(steps.value) } : found;
  }

  async function look() {
    try {
      const { sentences, refused } = await call("POST", `${TRACK[of]}/resume/preview`, { run_id: runId, ...changes() });
      said.replaceChildren(
        ...(refused
          ? [el("p", { class: "lt-warning" }, words.plain(refused))]
          : sentences.map((sentence) => el("p", { class: "lt-hint" }, words.plain(sentence)))),
      );
      go.disabled = Boolean(refused);
    } catch (error) {
      said.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
      go.disabled = true;
    }
  }

  async function resume() {
    go.disabled = true;
    try {
      await call("POST", `${TRACK[of]}/resume`, { run_id: runId, ...changes() });
      close();
      showView("live", of);
    } catch (error) {
      said.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
      go.disabled = false;
    }
  }
}

function table(rows, config, draft, onTick) {
  return el(
    "div",
    { class: "lt-table-box" },
    el(
      "table",
      { class: "lt-table lt-differs" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          onTick ? el("th", {}, el("span", { class: "lt-unseen" }, "Take over")) : null,
          ["Option", "This run", "The form"].map((title) => el("th", {}, title)),
        ),
      ),
      el(
        "tbody",
        {},
        rows.map(({ name, show }) =>
          el(
            "tr",
            {},
            onTick
              ? el(
                  "td",
                  {},
                  el("input", {
                    type: "checkbox",
                    "aria-label": `take ${show.title} from the form`,
                    onchange: (event) => onTick(name, event.target.checked),
                  }),
                )
              : null,
            el("th", { scope: "row" }, show.title),
            el("td", {}, text(config[name])),
            el("td", {}, text(draft[name])),
          ),
        ),
      ),
    ),
  );
}

const button = (label, onclick) => el("button", { type: "button", class: "lt-button", onclick }, label);
const same = (value) => JSON.stringify(value ?? null);
const text = (value) =>
  words.plain(value == null ? "automatic" : Array.isArray(value) ? value.join(" | ") : String(value));
