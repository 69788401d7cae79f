// The run strip, the same on every tab, and the tab's title.

import { ACTIVE, dot, el, show, stateChip } from "./dom.js";
import * as words from "./words.js";

const TITLE = "LLM-Testing";

export function mountStrip(element, feed) {
  const strip = element.querySelector(".lt-strip");
  // Said by screen readers when the state changes, and at no other time.
  const said = el("span", { class: "lt-unseen", role: "status" });
  strip.after(said);
  let last = null;
  feed.listen(() => {
    const run = feed.status?.run ?? null;
    const root = document.documentElement;
    root.dataset.ltState = run?.state ?? "none";
    root.dataset.ltActive = String(ACTIVE.includes(run?.state));
    root.dataset.ltResumable = String(!ACTIVE.includes(run?.state) && run?.state !== "completed" && (feed.status?.here || run?.resumable_step != null));
    if (!ACTIVE.includes(run?.state)) root.dataset.ltAsk = "";
    show(strip, [run, feed.status?.queued], () => (run ? line(run, feed.status) : firstWords()));
    document.title = title(run);
    if (run && last && (run.state !== last.state || run.run_id !== last.run_id)) said.textContent = `${words.plain(run.name || run.run_id)}: ${run.state === "completed" ? "done" : run.state}`;
    tellEnd(last, run);
    last = run;
  });
}

function firstWords() {
  return el("p", { class: "lt-first" }, "No run yet. Press ", el("strong", {}, "Start"), " on the Pretraining tab: the recommended settings train a small GPT on this machine, without a download.");
}

function line(run, status) {
  const done = words.percent(run.step, run.total_steps);
  const active = ACTIVE.includes(run.state);
  const facts = [
    ["step", `${words.number(run.step)}${run.total_steps ? ` of ${words.number(run.total_steps)}` : ""}`],
    done != null && ["", `${done} %`],
    run.train_loss != null && ["loss", words.loss(run.train_loss)],
    run.tokens_per_s != null && ["", `${words.short(run.tokens_per_s)} tok/s`],
    active && run.eta_s != null && run.state === "running" && ["ETA", words.duration(run.eta_s)],
    status?.queued?.length ? ["queued", `${status.queued.length}`] : null,
  ].filter(Boolean);
  const notify = active && window.Notification?.permission === "default" && window.isSecureContext;
  return [
    el("span", { class: "lt-name", title: words.plain(run.name || run.run_id) }, dot(run.colour), words.plain(run.name || run.run_id)),
    stateChip(run.state),
    el("span", { class: "lt-facts" }, facts.map(([label, value]) => el("span", { class: "lt-fact" }, label ? `${label} ` : "", el("b", {}, value))), notify ? el("button", { type: "button", class: "lt-link lt-notify", onclick: (event) => { const { target } = event; Notification.requestPermission().then(() => target.remove()); } }, "Tell me when it ends") : null),
    done != null ? el("progress", { class: "lt-thin", max: 100, value: done, "aria-label": "progress of the run" }) : null,
  ];
}

function title(run) {
  if (!run || !ACTIVE.includes(run.state)) return TITLE;
  const done = words.percent(run.step, run.total_steps);
  const shown = run.train_loss == null ? run.phase || run.state : `loss ${run.train_loss.toFixed(2)}`;
  return `${done == null ? "" : `(${done} %) `}${shown} · ${TITLE}`;
}

// Said by the browser itself, if the user allowed it, when a run ends while another tab is in front.
function tellEnd(before, now) {
  if (!before || !now || before.run_id !== now.run_id || !ACTIVE.includes(before.state) || ACTIVE.includes(now.state)) return;
  if (window.Notification?.permission !== "granted") return;
  new Notification(`${words.plain(now.name || now.run_id)}: ${now.state}`, { body: now.train_loss == null ? "" : `loss ${words.loss(now.train_loss)} after ${words.number(now.step)} steps` });
}
