// The live view: what the run is doing, its curves, its samples and what happened to it.

import { Charts } from "./charts.js";
import { ACTIVE, bugReport, el, inSight, openTab, show } from "./dom.js";
import { ask, Curve, Texts } from "./feed.js";
import { Overlay } from "./overlay.js";
import { mountQueue } from "./queue.js";
import { Timeline } from "./timeline.js";
import { mountWelcome } from "./welcome.js";
import * as words from "./words.js";

// What each of the two tabs shows live.
const SHOWN = {
  "": { kind: "pretrain", title: "Pretraining", other: "A fine-tuning run", empty: "The first point comes a few seconds after Start, once the text is read and the model is built." },
  tune: { kind: "finetune", title: "Fine-tuning", other: "A pretraining run", empty: "The first point comes after Start, once the model is here, its rows are tokens and the first update is done." },
};

export function mountLive(element, feed, props, watch, of) {
  const box = element.querySelector(".lt-live"), mine = SHOWN[of], theirs = SHOWN[of ? "" : "tune"];
  const welcome = el("section", { class: "lt-welcome", hidden: true }), queue = el("section", { class: "lt-waiting", hidden: true }), body = el("div", {});
  const elsewhere = el("p", { class: "lt-hint lt-elsewhere" });
  box.replaceChildren(...[of ? null : welcome, queue, elsewhere, body].filter(Boolean));
  if (!of) mountWelcome(welcome, feed);
  mountQueue(queue, feed);
  const view = new RunView(body, mine.empty);
  let sought = null;
  const look = () => {
    const run = feed.status?.run;
    const other = run && run.kind !== mine.kind;
    show(elsewhere, [other, run?.state], () => (other && ACTIVE.includes(run.state)
      ? [`${mine.other} is on now; a run started here waits in the queue. `, el("button", { type: "button", class: "lt-link", onclick: () => openTab(theirs.title) }, "Look at it")]
      : []));
    if (!run || !inSight(box)) return;
    if (!other) view.show(run, feed.status);
    else if (!view.run && sought !== run.run_id) {
      sought = run.run_id;
      newest(mine.kind).then((last) => { if (last && !view.run) view.show(last); }).catch(() => { sought = null; });
    }
  };
  feed.listen(look);
  feed.follow(() => (inSight(box) && feed.status?.run?.kind === mine.kind ? view.cursors() : null));
  for (const event of ["lt-tab", "lt-view", "visibilitychange"]) document.addEventListener(event, look); // what came meanwhile
}

// What was trained last of this kind, while the page's one active run is of the other.
async function newest(kind) {
  const { value } = await ask("runs");
  const last = value.runs.find((run) => run.kind === kind && run.usable && !run.tags?.includes("example"));
  return last && { ...last, warnings: [] };
}

// One run in full; the live view and Run History share it.
export class RunView {
  constructor(box, note, inHistory = false) {
    this.box = box;
    this.note = note;
    this.now = el("div", { class: "lt-now" });
    this.trouble = el("div", {});
    const charts = el("div", { class: "lt-charts" });
    this.samples = el("div", { class: "lt-samples" });
    this.events = el("div", { class: "lt-events" });
    box.replaceChildren(this.now, this.trouble, charts,
      el("section", {}, (this.title = el("h2", {}, "Samples")), this.samples),
      el("section", {}, el("h2", {}, "Events"), this.events));
    // Run History compares by ticks, and names its run above.
    this.overlay = inHistory ? null : new Overlay(() => { this.drawn = null; this.read(); });
    this.timeline = new Timeline(this.samples);
    this.charts = new Charts(charts, { note, beside: this.overlay?.fold, flops: inHistory, onStep: (step) => this.timeline.seek(step) });
    this.reading = false;
    this.taken = null;
    this.texts();
  }

  // Up to where the run is known here; the feed asks on from there.
  cursors() {
    return this.run ? { run: this.run.run_id, points: this.curve.next, samples: this.text.samples.next, events: this.text.events.next } : {};
  }

  // `news` of the feed spare two requests, where they go on from what is here; the same ones are taken once.
  async show(run, news = {}) {
    const other = this.run?.run_id !== run.run_id;
    this.run = run;
    this.title.textContent = run.kind === "finetune" ? "Answers" : "Samples";
    if (other) {
      this.curve = new Curve(run.run_id);
      this.text = new Texts(run.run_id);
      this.texts();
    }
    this.state();
    const again = !other && news.points && news === this.taken;
    this.taken = news;
    if (!again) await this.read(news);
  }

  // One look at a time; what comes meanwhile is looked at once more.
  async read(news = {}) {
    if (this.reading) { this.again = true; return; }
    this.reading = true;
    try {
      const { curve, text } = this;
      const fits = news.texts && news.points.run === curve.runId && news.points.from === curve.next;
      const [points, said] = await Promise.all(fits ? [curve.take(news.points), text.take(news.texts)] : [curve.more(), text.more()]);
      if (curve === this.curve) {
        this.charts.say(this.run.step > 0 && !curve.length ? "Reading the curves …" : this.note);
        if (points || !this.drawn || this.drawn !== curve) {
          this.drawn = curve;
          await this.charts.show([{ curve, runId: this.run.run_id, name: this.run.name, colour: this.run.colour, flops: this.flops }, ...((await this.overlay?.beside(this.run.run_id)) ?? [])]);
        }
        if (said) { this.texts(); this.state(); }
      }
    } catch (error) {
      console.warn("The run could not be read:", error.message);
    }
    this.reading = false;
    if (this.again) { this.again = false; this.read(); }
  }

  state() {
    const run = this.run;
    this.timeline.show(this.text.samples.rows, run);
    show(this.now, [run.state, run.phase, run.done, run.total, run.unit, run.step, run.eta_s, run.val_loss, run.val_bits_per_byte], () => now(run, this.overlay === null));
    const error = this.error();
    show(this.trouble, [error, run.warnings], () => [trouble(error), ...(run.warnings ?? []).map((warning) => el("p", { class: "lt-warning" }, words.plain(warning)))]);
  }

  // A run's record keeps the sentence; title and traceback stand in its events.
  error() {
    if (!this.run.error) return null;
    return this.text.events.rows.findLast((event) => event.event === "failed") ?? this.run.error;
  }

  texts() {
    const samples = this.text?.samples.rows ?? [], events = this.text?.events.rows ?? [];
    this.timeline.show(samples, this.run);
    show(this.events, events.length ? events.slice(-60) : "none", () => (events.length
      ? el("ol", { class: "lt-log" }, [...events].reverse().slice(0, 60).map((event) => el("li", {}, el("time", {}, words.clock(event.at)), ` ${words.plain(eventWords(event))}`)))
      : el("p", { class: "lt-empty-small" }, "Starts, saves, pauses and warnings are listed here.")));
  }
}

function now(run, figuresAbove) {
  const active = ACTIVE.includes(run.state);
  const done = words.percent(run.done, run.total);
  const doing = active ? words.plain(run.phase) : "";
  const amount = !active || run.total == null ? "" : run.unit === "bytes" ? `${words.bytes(run.done)} of ${words.bytes(run.total)}` : `${words.number(run.done)} of ${words.number(run.total)} ${run.unit}`;
  const val = run.val_loss == null || figuresAbove ? null : el("span", { class: "lt-fact" }, "validation ", el("b", {}, words.loss(run.val_loss)), run.val_bits_per_byte == null ? "" : [" = ", el("b", {}, run.val_bits_per_byte.toFixed(3)), " bits/byte"]);
  return [
    el("div", { class: "lt-now-line" }, doing ? el("span", { class: "lt-fact" }, el("b", {}, doing), amount ? ` ${amount}` : "") : null,
      active && run.eta_s != null && run.state === "running" ? el("span", { class: "lt-fact" }, "about ", el("b", {}, words.duration(run.eta_s)), " left") : null, val),
    active && run.phase ? el("progress", { class: "lt-progress", max: 100, value: done, "aria-label": doing || "progress" }) : null,
  ];
}

function trouble(error) {
  if (!error) return null;
  const said = typeof error === "string" ? { title: "This run failed", message: error } : error;
  return el("div", { class: "lt-error", role: "alert" }, el("strong", {}, words.plain(said.title || "This run failed")), el("p", {}, words.plain(said.message)),
    bugReport(said.traceback));
}

const HOW = { start: "started", resume: "resumed", fork: "forked from a checkpoint" };
const KINDS = { best: "best so far", final: "final", rolling: "resume point", resume: "resume point", periodic: "kept", manual: "as asked" };

function eventWords(event) {
  const at = event.step == null ? "" : ` at step ${words.number(event.step)}`;
  switch (event.event) {
    case "session": return `${HOW[event.how] ?? "began"}${event.step ? at : ""}`;
    case "saved": return `saved${at}${event.kinds?.length ? ` (${event.kinds.map((kind) => KINDS[kind] ?? kind).join(", ")})` : ""}`;
    case "ended": return event.state === "completed" ? `done${at}` : `${event.state ?? "ended"}${at}${event.discarded_to == null ? "" : `, back to step ${words.number(event.discarded_to)}`}`;
    case "failed": return `failed: ${event.title ?? ""}`;
    default: return `${String(event.event ?? "").replaceAll("_", " ")}${at}${event.message ? `: ${event.message}` : ""}`;
  }
}
