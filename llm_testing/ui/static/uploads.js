// Files of this computer, at the fields that name a text: chosen or dropped there, sent to where the page runs, removed.

import { call, LOOKS_ON, sendFile, whoAmI } from "./call.js";
import { el, id, show } from "./dom.js";
import * as words from "./words.js";

let about = null, values = {}; // prettier-ignore

// Asked for by the hidden button's handler, as only the form's own side can set its controls: values by option, null
// for what the form shows at first.
export const wantedValues = () => values;

function put(wanted, of) {
  values = wanted;
  document.getElementById(id("put", of))?.click();
}

// Called whenever a draft has changed, and when Gradio has built a field anew.
export function mountUpload(option, of) {
  const field = document.getElementById(id(`option-${option}`, of));
  if (!field) return;
  if (!field.upload?.line.isConnected) field.upload = new Upload(field, option, of);
  field.upload.draw();
}

// What was brought here, and what may be; null for those who only look on.
async function ask() {
  about = LOOKS_ON.includes(await whoAmI()) ? null : await call("GET", "uploads").catch(() => null);
}

class Upload {
  constructor(field, option, of) {
    Object.assign(this, { field, option, of, sending: null, trouble: null, removing: false });
    this.line = el("p", { class: "lt-hint lt-upload", role: "status" });
    this.chooser = el("input", { type: "file", hidden: true, "aria-label": "A file of this computer", onchange: () => this.send(this.chooser.files[0]) });
    field.append(this.line, this.chooser);
    // What is dropped on the field would otherwise be opened by the browser, in place of the page.
    field.addEventListener("dragover", (event) => this.may && event.preventDefault());
    field.addEventListener("drop", (event) => {
      if (!this.may || !event.dataTransfer.files.length) return;
      event.preventDefault();
      this.send(event.dataTransfer.files[0]);
    });
    if (about === null) ask().then(() => this.draw());
  }

  get may() {
    return Boolean(about?.may_upload);
  }

  get named() {
    return this.field.querySelector("input[role=combobox], input:not([type=file])")?.value.trim() ?? "";
  }

  draw() {
    if (!this.may) return show(this.line, [false], () => []);
    const here = about.uploads.find((one) => one.name === this.named);
    this.removing &&= Boolean(here);
    show(this.line, [this.sending, this.trouble, here, this.removing], () => {
      if (this.sending) return this.progress();
      const { most_bytes: most } = about;
      return [
        this.removing ? this.question(here) : [
          el("button", { type: "button", class: "lt-link", title: `up to ${words.bytes(most)}; or drop it on this field`, onclick: () => this.choose() }, "Upload a file"),
          here ? [` ${words.bytes(here.bytes)} `, el("button", { type: "button", class: "lt-link", onclick: () => { this.removing = true; this.draw(); } }, "Remove it")] : null,
        ],
        this.trouble ? el("span", { class: "lt-problem" }, words.plain(this.trouble)) : null,
      ];
    });
  }

  // What a file of this field may end in.
  get endings() {
    return this.of ? about.examples : about.texts;
  }

  choose() {
    this.chooser.accept = this.endings.join(",");
    this.chooser.click();
  }

  // What is known to be wrong with a file before any of it is sent.
  refused({ name, size }) {
    if (!this.endings.some((ending) => name.toLowerCase().endsWith(ending))) return `${name} is of no kind that is read here: ${this.endings.join(", ")}.`;
    if (!size) return `${name} is empty.`;
    return size > about.most_bytes ? `${name} has ${words.bytes(size)}; a file may hold ${words.bytes(about.most_bytes)} here.` : null;
  }

  progress() {
    const { name, loaded, total } = this.sending;
    return [
      el("progress", { class: "lt-progress", max: 1, value: total ? loaded / total : null, "aria-label": `upload of ${words.plain(name)}` }),
      `${words.plain(name)}: ${words.bytes(loaded)} of ${words.bytes(total)} `,
      el("button", { type: "button", class: "lt-link", onclick: () => this.giveUp.abort() }, "Give up"),
    ];
  }

  question({ name, bytes }) {
    const button = (title, act) => el("button", { type: "button", class: "lt-link", onclick: act }, title);
    return [`Remove ${words.plain(name)} (${words.bytes(bytes)}) from here? Runs that learned from it stay. `,
      button("Remove", () => this.remove(name)), " ", button("Keep", () => { this.removing = false; this.draw(); })]; // prettier-ignore
  }

  async send(file) {
    this.chooser.value = "";
    if (!file || this.sending) return;
    this.trouble = this.refused(file);
    if (this.trouble) return this.draw();
    this.giveUp = new AbortController();
    this.sending = { name: file.name, loaded: 0, total: file.size };
    this.draw();
    try {
      const told = (loaded, total) => { this.sending = { name: file.name, loaded, total }; this.draw(); }; // prettier-ignore
      const { name } = await sendFile(`uploads?name=${encodeURIComponent(file.name)}`, file, told, this.giveUp.signal);
      await ask();
      put({ [this.option]: name }, this.of);
    } catch (error) {
      this.trouble = error.message;
    }
    this.sending = null;
    this.draw();
  }

  async remove(name) {
    this.removing = false;
    try {
      await call("DELETE", `uploads?name=${encodeURIComponent(name)}`);
      await ask();
      put({ [this.option]: null }, this.of);
    } catch (error) {
      this.trouble = error.message;
    }
    this.draw();
  }
}
