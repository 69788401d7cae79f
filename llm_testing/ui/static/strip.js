// Header and run strip: the same on every tab, and the tab's title.

import { ACTIVE, dot, el, show, stateChip } from "./dom.js";
import * as words from "./words.js";

const TITLE = "LLM-Testing";

export function mountHead(element, feed) {
  const head = element.querySelector(".lt-head");
  const draw = () => show(head, [feed.machine, feed.lost], () => [
    el("h1", {}, TITLE),
    el("span", { class: "lt-machine" }, ...machine(feed.machine), feed.lost ? el("strong", { class: "lt-lost", role: "alert" }, "No answer from the server; trying again.") : null),
  ]);
  feed.listen(draw);
  draw();
}

function machine(facts) {
  if (!facts) return [];
  const used = facts.memory_total_bytes - facts.memory_available_bytes;
  const device = facts.device === "cpu" ? "CPU" : "GPU";
  const memory = [el("meter", { min: 0, max: facts.memory_total_bytes, value: used, "aria-label": "memory in use" }),
    ` RAM ${(used / 2 ** 30).toFixed(1)} of ${words.bytes(facts.memory_total_bytes)}`];
  return [el("span", { title: `torch ${facts.torch_version}` }, facts.device_name.startsWith(device) ? words.plain(facts.device_name) : `${device} ${words.plain(facts.device_name)}`),
    el("span", {}, `${facts.threads} of ${facts.cores} cores`), el("span", {}, ...memory)];
}

export function mountStrip(element, feed) {
  const strip = element.querySelector(".lt-strip");
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
    tellEnd(last, run);
    last = run;
  });
}

function firstWords() {
  return el("p", { class: "lt-first" }, "No run yet. Press ", el("strong", {}, "Start"), " below: the recommended settings train a small GPT on this machine, without a download.");
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
  return [
    el("span", { class: "lt-name", title: words.plain(run.name || run.run_id) }, dot(run.colour), words.plain(run.name || run.run_id)),
    stateChip(run.state),
    el("span", { class: "lt-facts" }, facts.map(([label, value]) => el("span", { class: "lt-fact" }, label ? `${label} ` : "", el("b", {}, value)))),
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
