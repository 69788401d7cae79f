// The columns that the list of runs can show; which of them are shown is this browser's choice.

import { ACTIVE, keep, kept, stateChip } from "./dom.js";
import * as words from "./words.js";

const bits = (value) => (value == null ? words.DASH : value.toFixed(3));
const KINDS = { pretrain: "pretraining", finetune: "fine-tuning" };
export const kindWords = (kind) => KINDS[kind] ?? kind ?? words.DASH;

// key, title, how it is written, whether it is a number; a number's title says its unit.
export const COLUMNS = [
  { key: "state", title: "State", say: (run) => stateChip(run.state) },
  { key: "val_loss", title: "Val loss", say: (run) => words.loss(run.val_loss), number: true },
  { key: "best_val_loss", title: "Best val", say: (run) => words.loss(run.best_val_loss), number: true },
  { key: "val_bits_per_byte", title: "Bits/byte", say: (run) => bits(run.val_bits_per_byte), number: true },
  { key: "train_loss", title: "Train loss", say: (run) => words.loss(run.train_loss), number: true },
  { key: "step", title: "Step", say: steps, number: true },
  { key: "tokens_per_s", title: "Tok/s", say: (run) => words.short(run.tokens_per_s), number: true },
  { key: "elapsed_s", title: "Time", say: (run) => words.duration(run.elapsed_s), number: true },
  { key: "tokens_seen", title: "Tokens", say: (run) => words.short(run.tokens_seen), number: true },
  { key: "num_parameters", title: "Params", say: (run) => words.short(run.num_parameters), number: true },
  { key: "peak_bytes", title: "Peak memory", say: (run) => words.bytes(run.peak_bytes), number: true },
  { key: "kind", title: "Kind", say: (run) => kindWords(run.kind) },
  { key: "model", title: "Model", say: (run) => modelOf(run) ?? words.DASH },
  { key: "text", title: "Text", say: (run) => words.plain(textOf(run) ?? words.DASH) },
  { key: "tokenizer", title: "Tokenizer", say: (run) => run.tokenizer ?? words.DASH },
  { key: "learning_rate", title: "Learning rate", say: (run) => (run.learning_rate == null ? words.DASH : words.value(run.learning_rate)), number: true },
  { key: "batch", title: "Batch", say: (run) => words.number(run.batch), number: true },
  { key: "context", title: "Context", say: (run) => words.number(run.context), number: true },
  { key: "seed", title: "Seed", say: (run) => run.seed ?? words.DASH, number: true },
  { key: "tags", title: "Tags", say: null },
  { key: "notes", title: "Notes", say: null },
  { key: "bytes", title: "Size", say: (run) => words.bytes(run.bytes), number: true },
  { key: "created_at", title: "Created", say: (run) => words.day(run.created_at) },
];

const FIRST = ["state", "val_loss", "val_bits_per_byte", "step", "tokens_per_s", "created_at"];

export const chosenColumns = () => {
  const wanted = kept("columns", FIRST);
  return COLUMNS.filter((column) => wanted.includes(column.key));
};

export function chooseColumn(key, on) {
  const wanted = new Set(chosenColumns().map((column) => column.key));
  if (on) wanted.add(key);
  else wanted.delete(key);
  keep("columns", [...wanted]);
}

export const columnsAsAtFirst = () => keep("columns", FIRST);

// What a run learns from: a corpus, or the dataset of a fine-tuning run.
export const textOf = (run) => run.corpus ?? run.dataset ?? null;
export const modelOf = (run) => run.model ?? run.config_name ?? null;

function steps(run) {
  if (run.step == null) return words.DASH;
  return ACTIVE.includes(run.state) && run.total_steps
    ? `${words.number(run.step)} of ${words.number(run.total_steps)}`
    : words.number(run.step);
}

// What a column is sorted by; null and the rest come last.
export function valueOf(run, key) {
  if (key === "name") return (run.name || run.run_id).toLowerCase();
  if (key === "model") return modelOf(run);
  if (key === "text") return textOf(run);
  if (key === "tags") return run.tags?.length ? run.tags.join(" ").toLowerCase() : null;
  const value = run[key];
  return value === "" ? null : (value ?? null);
}
