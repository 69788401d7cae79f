// What a corpus is, at its field: first lines, size, documents; a download with its progress where it is not here yet.

import { call } from "./call.js";
import { bugReport, el, show } from "./dom.js";
import { mountUpload } from "./uploads.js";
import * as words from "./words.js";

const LOOK_MS = 700;
const corpora = { rows: [], downloads: new Map(), read: null };

const field = () => document.getElementById("lt-option-corpus");
const named = () => field()?.querySelector("input")?.value.trim() ?? "";

// Called whenever the draft has changed, and when Gradio has built the field anew.
export function mountCorpus() {
  const place = field();
  if (!place || place.querySelector(".lt-corpus")) return drawCorpus();
  const line = el("p", { class: "lt-hint" }),
    box = el("div", {});
  place.append(el("div", { class: "lt-corpus" }, line, box));
  corpora.line = line;
  corpora.box = box;
  corpora.shown = null;
  readCorpora().then(drawCorpus);
}

async function readCorpora() {
  try {
    corpora.rows = (await call("GET", "corpora")).corpora;
    const { downloads } = await call("GET", "corpora/downloads");
    corpora.downloads = new Map(downloads.map((one) => [one.name, one]));
  } catch {
    /* the header says that the server is away */
  }
}

function drawCorpus() {
  for (const option of ["corpus", "val_corpus"]) mountUpload(option, "");
  const { line, box } = corpora,
    name = named();
  if (!line?.isConnected) return;
  const row = corpora.rows.find((one) => one.name === name),
    download = corpora.downloads.get(name);
  const afar = row ? !row.at_hand : /^(https?:|hf:)/.test(name);
  if (corpora.shown !== name) {
    corpora.shown = name;
    box.replaceChildren();
  }
  show(line, [name, row, download, afar], () => {
    if (!name) return [];
    if (download?.state === "running") return progress(name, download);
    const about = row
      ? `${words.plain(row.about)} ${sizeWords(row)}. `
      : afar
        ? "A download; a run fetches it when it starts. "
        : name.startsWith("upload:") ? "A text of yours, brought here. " : "Your own text. ";
    return [
      about,
      afar
        ? el(
            "button",
            { type: "button", class: "lt-link", id: "lt-corpus-download", onclick: () => fetchIt(name) },
            "Download now",
          )
        : el(
            "button",
            { type: "button", class: "lt-link", id: "lt-corpus-preview", onclick: () => preview(name) },
            "Preview",
          ),
      download?.state === "failed" ? el("span", { class: "lt-problem" }, words.plain(download.error), bugReport(download.details)) : null,
      download?.state === "cancelled" ? " Given up; what has come is kept." : null,
    ];
  });
}

function sizeWords({ kind, at_hand: here, bytes, approx_bytes: about }) {
  if (kind !== "download") return `About ${words.bytes(bytes ?? about)}, at hand`;
  return here ? `Downloaded, ${words.bytes(bytes)}` : `A download of about ${words.bytes(about)}`;
}

function progress(name, download) {
  const share = download.total ? download.done / download.total : null;
  const amount =
    download.unit === "bytes"
      ? `${words.bytes(download.done)}${download.total ? ` of ${words.bytes(download.total)}` : ""}`
      : "";
  return [
    el("progress", { class: "lt-progress", max: 1, value: share, "aria-label": `download of ${words.plain(name)}` }),
    `${words.plain(download.phase || "asking for it")} ${amount} `,
    el(
      "button",
      {
        type: "button",
        class: "lt-link",
        id: "lt-corpus-cancel",
        onclick: () => call("POST", "corpora/download/cancel", { name }).catch(() => {}),
      },
      "Give up",
    ),
  ];
}

async function preview(name) {
  const { box } = corpora;
  box.replaceChildren(el("p", { class: "lt-hint" }, "Reading …"));
  try {
    const seen = await call("GET", `corpora/preview?name=${encodeURIComponent(name)}`);
    const size = [
      seen.bytes == null ? null : words.bytes(seen.bytes),
      seen.documents == null ? null : `${words.number(seen.documents)} documents`,
      tokens(name),
    ]
      .filter(Boolean)
      .join(", ");
    box.replaceChildren(
      el("p", { class: "lt-hint" }, `${size ? `${size}. ` : ""}It begins:`),
      el("pre", { class: "lt-preview", tabindex: 0, "aria-label": "beginning of the corpus" }, words.plain(seen.text)),
      el("button", { type: "button", class: "lt-link", onclick: () => box.replaceChildren() }, "Close the preview"),
    );
  } catch (error) {
    box.replaceChildren(el("p", { class: "lt-problem" }, words.plain(error.message)));
  }
}

// How many tokens it has is known once a run here has read it with this tokenizer.
function tokens(name) {
  const known = corpora.known;
  return known?.corpus === name && known.tokens
    ? `${words.number(known.tokens)} tokens to train on with this tokenizer`
    : null;
}

export function knowTokens(corpus, count) {
  corpora.known = { corpus, tokens: count };
}

async function fetchIt(name) {
  try {
    const begun = await call("POST", "corpora/download", { name });
    corpora.downloads.set(name, begun);
  } catch (error) {
    corpora.downloads.set(name, { name, state: "failed", error: error.message });
  }
  drawCorpus();
  watch();
}

function watch() {
  if (corpora.timer || ![...corpora.downloads.values()].some((one) => one.state === "running")) return;
  corpora.timer = setTimeout(async () => {
    corpora.timer = null;
    await readCorpora();
    drawCorpus();
    watch();
  }, LOOK_MS);
}
