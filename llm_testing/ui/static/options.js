// What options are called, for people; asked for once a kind of run.

import { call } from "./call.js";

const ADDRESSES = { pretrain: "options", finetune: "fine-tuning/options" };
const asked = new Map();

// Every option of a kind of run, as it is declared.
export function allOptions(kind = "pretrain") {
  if (!asked.has(kind)) asked.set(kind, call("GET", ADDRESSES[kind] ?? ADDRESSES.pretrain).then(({ options }) => options));
  return asked.get(kind);
}

// {name: title}, with its unit, of the options of some kinds of run.
export async function optionTitles(kinds) {
  const found = await Promise.all([...new Set(kinds)].map(allOptions));
  return Object.fromEntries(found.flat().map(({ name, show }) => [name, show.unit ? `${show.title}, ${show.unit}` : show.title]));
}
