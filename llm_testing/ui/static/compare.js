// Several runs laid over one another: what differs first, then their curves, their texts, and what depends on what.

import { Charts } from "./charts.js";
import { SampleColumns } from "./compare_samples.js";
import { differences } from "./compare_table.js";
import { ACTIVE, badge, el, keep, kept, show } from "./dom.js";
import { ask, Curve } from "./feed.js";
import { MOST_DRAWN, openRun, state, tick } from "./history_state.js";
import { optionTitles } from "./options.js";
import { MeanCurve } from "./seeds.js";
import { Scatter } from "./scatter.js";
import * as words from "./words.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

export class Comparison {
  constructor(box, feed) {
    this.feed = feed;
    this.curves = new Map();
    this.means = new Map();
    this.wasActive = new Set();
    this.head = el("div", { class: "lt-compared" });
    this.said = el("div", { role: "status" });
    this.differ = el("div", { class: "lt-table-box" });
    this.hints = el("div", {});
    this.unit = el("select", { "aria-label": "unit of the loss", onchange: () => { keep("loss-unit", this.unit.value); this.chosenUnit = this.unit.value; this.draw(); } }); // prettier-ignore
    this.chosenUnit = kept("loss-unit", "auto");
    this.together = el("input", { type: "checkbox", onchange: () => { keep("seeds", this.together.checked); this.draw(); } }); // prettier-ignore
    this.together.checked = kept("seeds", true);
    this.seeds = el("label", { hidden: true, title: "Runs that differ in their seed alone are drawn as their mean, with a band from the lowest to the highest" }, this.together, " seeds as one");
    const charts = el("div", { class: "lt-charts" });
    this.charts = new Charts(charts, { note: "None of these runs has a point yet.", beside: [el("label", {}, "loss in ", this.unit), this.seeds], flops: true, onStep: (step) => this.samples.seek(step) });
    this.samples = new SampleColumns();
    this.scatter = new Scatter();
    box.replaceChildren(this.head, this.said,
      el("section", { class: "lt-part" }, el("h2", {}, "What differs"), this.differ, this.hints),
      el("section", { class: "lt-part" }, el("h2", {}, "Curves"), charts), this.scatter.element, this.samples.element); // prettier-ignore
  }

  runs() {
    return [...state.ticked].map((id) => state.byId.get(id)).filter((run) => run?.usable).slice(0, MOST_DRAWN);
  }

  async show() {
    const runs = this.runs(), ids = runs.map((run) => run.run_id).join(); // prettier-ignore
    this.heading(runs);
    const others = this.ids !== ids;
    this.ids = ids;
    try {
      await this.compare(runs, ids, others);
      await this.follow(runs, ids);
    } catch (error) {
      if (this.ids === ids) this.said.replaceChildren(el("p", { class: "lt-warning" }, words.plain(error.message)));
    }
  }

  heading(runs) {
    show(this.head, runs.map((run) => [run.run_id, run.name, run.state]), () => [
      el("h2", {}, `Comparing ${runs.length} runs`, state.ticked.size > runs.length ? ` of ${state.ticked.size}` : ""),
      el("ul", { class: "lt-chips" }, runs.map((run, i) => {
        const name = words.plain(run.name || run.run_id);
        return el("li", {}, badge(LETTERS[i], run.colour), el("button", { type: "button", class: "lt-chip-name", title: `Open ${name}`, onclick: () => openRun(run.run_id) }, name),
          ACTIVE.includes(run.state) ? el("span", { class: "lt-kind" }, "live") : null,
          el("button", { type: "button", class: "lt-chip-off", "aria-label": `Take ${name} out of the comparison`, onclick: () => tick([run.run_id], false) }, "×"));
      })),
    ]); // prettier-ignore
  }

  // Settings do not change while a run trains, and results now and then: asked again when a run ended or validated.
  async compare(runs, ids, others) {
    const key = runs.map((run) => [run.run_id, run.state, run.val_loss, run.name]).join();
    if (!others && key === this.asked) return;
    this.asked = key;
    const [{ value }, texts, titles] = await Promise.all([ask("compare", { runs: ids, known: [...this.curves.keys()] }), ask("side_by_side", { runs: ids }), optionTitles(runs.map((run) => run.kind))]);
    if (this.ids !== ids) return;
    this.said.replaceChildren();
    this.found = value;
    const named = runs.map((run, i) => ({ ...run, letter: LETTERS[i] }));
    show(this.differ, [value.differing, value.results, key], () => differences(value, named, titles));
    show(this.hints, [value.why, value.damaged], () => [
      value.why ? el("p", { class: "lt-hint" }, value.why) : null,
      named.filter((run) => value.damaged[run.run_id]).map((run) => el("p", { class: "lt-warning" }, `${run.letter} is damaged: ${words.plain(value.damaged[run.run_id])}`)),
    ]); // prettier-ignore
    const auto = value.why ? "bits a byte" : "nats a token";
    show(this.unit, [auto, this.chosenUnit], () =>
      [["auto", `${auto} (auto)`], ["nats", "nats a token"], ["bits", "bits a byte"]].map(([name, title]) => el("option", { value: name, selected: name === this.chosenUnit }, title)),
    ); // prettier-ignore
    for (const run of runs) {
      if (this.curves.has(run.run_id)) continue;
      const curve = new Curve(run.run_id);
      curve.begin(value.curves[run.run_id]);
      this.curves.set(run.run_id, curve);
    }
    for (const id of this.curves.keys()) if (!state.ticked.has(id)) { this.curves.delete(id); this.means.clear(); } // prettier-ignore
    this.samples.show(named, texts.value.prompts, others);
    this.scatter.show(named, value, titles);
    await this.draw();
  }

  // Only new points, by cursor, and only of runs that still train; once more when they have ended.
  async follow(runs, ids) {
    const live = runs.filter((run) => ACTIVE.includes(run.state) || this.wasActive.has(run.run_id));
    this.wasActive = new Set(runs.filter((run) => ACTIVE.includes(run.state)).map((run) => run.run_id));
    const news = await Promise.all(live.map((run) => this.news(run.run_id)));
    if (this.ids === ids && news.some(Boolean)) await this.draw();
  }

  // True where a run has new points. Those of the run that trains here come with the feed, of others they are asked for.
  news(runId) {
    const curve = this.curves.get(runId), { run, here, points } = this.feed.status ?? {}; // prettier-ignore
    if (!curve) return false;
    if (run?.run_id !== runId || !here) return curve.more();
    return points?.run === runId && points.from === curve.next && curve.take(points);
  }

  cursors() {
    const { run, here } = this.feed.status ?? {}, curve = here && this.curves.get(run?.run_id); // prettier-ignore
    return curve ? { run: curve.runId, points: curve.next } : null;
  }

  async draw() {
    const runs = this.runs();
    if (!runs.every((run) => this.curves.has(run.run_id))) return;
    this.charts.unit = this.chosenUnit !== "auto" ? this.chosenUnit : this.found?.why ? "bits" : "nats";
    await this.charts.show(this.drawn(runs));
  }

  // What the charts draw: each run, or the mean of those that differ in their seed alone.
  drawn(runs) {
    const one = (run) => ({ curve: this.curves.get(run.run_id), runId: run.run_id, name: run.name || run.run_id, colour: run.colour, letter: letterOf(runs, run), flops: this.found?.flops[run.run_id]?.per_token });
    const groups = (this.found?.groups ?? []).map(({ run_ids: ids }) => ids.filter((id) => runs.some((run) => run.run_id === id))).filter((ids) => ids.length > 1);
    this.seeds.hidden = !groups.length;
    if (this.seeds.hidden || !this.together.checked) return runs.map(one);
    const alone = runs.filter((run) => !groups.some((ids) => ids.includes(run.run_id)));
    return [...alone.map(one), ...groups.map((ids) => {
      const members = ids.map((id) => runs.find((run) => run.run_id === id));
      const key = ids.join();
      if (!this.means.has(key)) this.means.set(key, new MeanCurve(members.map((run) => this.curves.get(run.run_id))));
      const letters = members.map((run) => letterOf(runs, run)).join("");
      return { ...one(members[0]), curve: this.means.get(key), runId: key, letter: letters, name: `mean of ${letters}` };
    })];
  }
}

export const comparison = (box, feed) => new Comparison(box, feed);

const letterOf = (runs, run) => LETTERS[runs.indexOf(run)];
