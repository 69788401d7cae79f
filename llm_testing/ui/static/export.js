// What a tuned model can become, to be taken away; each form with the reason where it is not to be had here.

import { call } from "./call.js";
import { bugReport, el } from "./dom.js";
import * as words from "./words.js";

const TITLES = { adapter: "Adapter", merged: "Whole model", gguf: "GGUF", push: "Hugging Face Hub" };
const AGAIN_MS = 1500;

export async function askExport(row, place) {
  const close = () => place.replaceChildren();
  const list = el("div", {}, el("p", { class: "lt-hint" }, "Looking at what it can become …"));
  const box = el("div", { class: "lt-question lt-resume lt-export", role: "dialog", "aria-label": "Export", onkeydown: (event) => { if (event.key === "Escape") close(); } },
    el("strong", {}, `Take away step ${words.number(row.step)} of ${words.plain(row.run_name)}`), list,
    el("div", { class: "lt-doing" }, el("button", { type: "button", class: "lt-button", onclick: close }, "Close")));
  place.replaceChildren(box);
  box.querySelector("button").focus({ preventScroll: true });
  try {
    const { forms } = await call("GET", `fine-tuning/exports?adapter_path=${encodeURIComponent(row.id)}`);
    list.replaceChildren(...forms.map((form) => entry(row, form)), await repeated(row.run_id));
  } catch (error) {
    list.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
  }
}

function entry(row, { form, about, refused }) {
  const act = refused ? null : form === "push" ? pushing(row) : download(row, form);
  return el("section", { class: "lt-export-form", "data-form": form },
    el("p", {}, el("b", {}, `${TITLES[form]}. `), words.plain(about)),
    refused ? el("p", { class: "lt-hint" }, el("span", { class: "lt-kind" }, "not here"), ` ${words.plain(refused)}`) : act);
}

// A link, so that the browser keeps the file as it comes; what is refused on the way is said here all the same.
function download(row, form) {
  const said = el("span", { class: "lt-hint", role: "status" });
  const url = new URL(`../../api/fine-tuning/download?${new URLSearchParams({ adapter_path: row.id, form })}`, import.meta.url).href;
  const link = el("a", { class: "lt-link", href: url, download: "", onclick: () => {
    said.textContent = form === "adapter" ? " It comes as a zip." : " It is written first, which takes a while; then it comes as a zip.";
  } }, "Download");
  return el("p", {}, link, said);
}

function pushing(row) {
  const repo = el("input", { type: "text", class: "lt-input", placeholder: "owner/name", "aria-label": "Repository", maxlength: 200 });
  const form = el("select", { "aria-label": "Form" }, ["adapter", "merged", "gguf"].map((name) => el("option", { value: name }, TITLES[name])));
  const hidden = el("input", { type: "checkbox" });
  hidden.checked = true;
  const said = el("p", { class: "lt-hint", role: "status" });
  const go = el("button", { type: "button", class: "lt-button", onclick: async () => {
    go.disabled = true;
    try {
      await call("POST", "fine-tuning/push", { adapter_path: row.id, repo: repo.value.trim(), form: form.value, private: hidden.checked });
      await watch(repo.value.trim(), said);
    } catch (error) {
      said.replaceChildren(words.plain(error.message));
    }
    go.disabled = false;
  } }, "Send");
  return el("div", {}, el("div", { class: "lt-doing" }, repo, form, el("label", { class: "lt-inline" }, hidden, "private"), go), said);
}

async function watch(repo, said) {
  for (;;) {
    const { pushes } = await call("GET", "fine-tuning/pushes");
    const one = pushes.find((push) => push.repo === repo);
    if (!one) return;
    said.replaceChildren(...[].concat(
      one.state === "done" ? el("a", { class: "lt-link", href: one.url, target: "_blank", rel: "noreferrer" }, `It is there: ${repo}`)
      : one.state === "running" ? "On its way …" : [words.plain(one.error), bugReport(one.details) ?? ""])); // prettier-ignore
    if (one.state !== "running") return;
    await new Promise((later) => setTimeout(later, AGAIN_MS));
  }
}

// What repeats the run, as the form says it of a draft.
async function repeated(runId) {
  const texts = await call("GET", `fine-tuning/runs/${runId}/repeat`);
  const text = el("pre", { class: "lt-preview", tabindex: 0, hidden: true });
  const show = (name) => async () => {
    text.hidden = false;
    text.textContent = words.plain(texts[name]);
    try { await navigator.clipboard.writeText(texts[name]); } catch { /* it can be selected */ }
  };
  return el("section", { class: "lt-export-form" }, el("p", {}, el("b", {}, "The run itself. "), "What repeats it, as ",
    [["cli", "command line"], ["yaml", "YAML"], ["python", "Python"]].map(([name, title]) => el("button", { type: "button", class: "lt-link", onclick: show(name) }, title))), text);
}
