// What options are called, for people; asked for once.

import { call } from "./call.js";

let asked = null;

export const allOptions = () => (asked ??= call("GET", "options").then(({ options }) => options));

export async function optionTitles() {
  return Object.fromEntries((await allOptions()).map(({ name, show }) => [name, show.unit ? `${show.title}, ${show.unit}` : show.title]));
}
