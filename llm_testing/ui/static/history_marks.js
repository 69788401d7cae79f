// What a person says about a run: its name, star, tags, notes and whether it is archived; written in place.

import { call, LOOKS_ON } from "./call.js";
import { el } from "./dom.js";
import { reloadRuns, state } from "./history_state.js";
import * as words from "./words.js";

export const mayAct = () => !LOOKS_ON.includes(document.documentElement.dataset.ltRole);

// Shown at once and taken back if the server refuses; throws the server's sentence.
export async function mark(runId, marks) {
  const run = state.byId.get(runId),
    before = run && Object.fromEntries(Object.keys(marks).map((name) => [name, run[name]]));
  if (run) Object.assign(run, marks);
  try {
    await call("POST", `runs/${runId}/mark`, marks);
  } catch (error) {
    if (run) Object.assign(run, before);
    throw error;
  } finally {
    await reloadRuns();
  }
}

export const tagsOf = (text) => [...new Set(text.split(",").map((tag) => tag.trim()).filter(Boolean))]; // prettier-ignore

// A field in the place of what it changes. Enter and leaving it write, Escape does not.
export function editor(run, field, onDone) {
  const before = field === "tags" ? (run.tags ?? []).join(", ") : (run[field] ?? "");
  const input = el("input", {
    type: "text",
    class: "lt-input lt-edit",
    "data-editing": field,
    maxlength: { name: 80, tags: 400, notes: 2000 }[field],
    "aria-label": { name: "Name of the run", tags: "Tags, with commas between them", notes: "Notes about the run" }[field],
    placeholder: { name: "a name", tags: "tags, with commas", notes: "what to remember" }[field],
    list: field === "tags" ? "lt-known-tags" : null,
    onkeydown: (event) => {
      if (event.key === "Enter") finish(true);
      if (event.key === "Escape") finish(false);
      event.stopPropagation();
    },
    onblur: () => finish(true),
  });
  input.value = before;
  let done = false;
  async function finish(write) {
    if (done) return;
    done = true;
    const value = input.value.trim();
    let trouble = null;
    if (write && value !== before && !(field === "name" && !value)) {
      try {
        await mark(run.run_id, { [field]: field === "tags" ? tagsOf(value) : value });
      } catch (error) {
        trouble = error.message;
      }
    }
    onDone(trouble);
  }
  return input;
}

export const tagChips = (run) => (run.tags ?? []).map((tag) => el("span", { class: "lt-kind lt-tag" }, words.plain(tag)));

export function starButton(run, onTrouble) {
  if (!mayAct()) return run.starred ? el("span", { class: "lt-star", role: "img", "aria-label": "starred" }, "★") : null;
  return el(
    "button",
    {
      type: "button",
      class: "lt-star",
      "data-act": "star",
      "aria-pressed": String(Boolean(run.starred)),
      "aria-label": `Star ${words.plain(run.name || run.run_id)}`,
      title: run.starred ? "Take the star away" : "Star it",
      onclick: () => mark(run.run_id, { starred: !run.starred }).catch((error) => onTrouble(error.message)),
    },
    run.starred ? "★" : "☆",
  );
}
