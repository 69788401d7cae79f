// A list of choices is open only while its field has the focus.

// Gradio opens a list a moment after a key, and whenever its choices change: on a slow machine that is after the
// person has gone on, and the list would lie over the form, in the way of every click, until its field is left again.
export function closeLeftLists() {
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const left = target.getAttribute("role") === "combobox" && target !== document.activeElement;
      if (left && target.getAttribute("aria-expanded") === "true") target.dispatchEvent(new FocusEvent("blur"));
    }
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["aria-expanded"] });
}
