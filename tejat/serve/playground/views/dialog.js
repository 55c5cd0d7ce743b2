// Questions in front of the page: native dialogs, which keep the focus and give it back.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { enlargeSmall } from "./media.js";

let number = 0;

/** Shows a dialog with a title and a content; settles with its return value when it is closed. */
export function present(title, content, { className = "" } = {}) {
  const heading = `dialog-title-${(number += 1)}`;
  const dialog = h(
    "dialog",
    { class: className, "aria-labelledby": heading },
    h("header", {}, h("h2", { id: heading }, title), h("button", { type: "button", class: "tool", "aria-label": "Close", onclick: () => dialog.close("") }, icon("close"))),
    h("div", { class: "inside" }, content),
  );
  // A click beside it closes it.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Asks for a line of text: it, trimmed, or "". */
export function ask(title, label, value) {
  const input = h("input", { type: "text", value, maxlength: 200, dir: "auto", autocomplete: "off", autofocus: true });
  const form = sheet(h("label", {}, label, input), "Save", () => input.value.trim());
  const answer = present(title, form);
  input.select();
  return answer;
}

/** Asks yes or no; true for yes. */
export async function confirm(title, text, yes) {
  return (await present(title, sheet(h("p", {}, text), yes, () => "yes", "grave"))) === "yes";
}

/** Asks for the API key: {key, remember}, or null. */
export async function askForKey(reason, { known, remembered }) {
  const input = h("input", { type: "password", value: known, autocomplete: "off", spellcheck: "false", autofocus: true });
  const box = h("input", { type: "checkbox", checked: remembered });
  const content = [h("p", {}, reason), h("label", {}, "API key", input), h("label", { class: "tick" }, box, "Keep it on this device")];
  const given = await present("API key", sheet(content, "Use it", () => `key ${input.value.trim()}`));
  return given ? { key: given.slice(4), remember: box.checked } : null;
}

/** A picture as large as the window. */
export function enlarge(medium, url) {
  const picture = h("img", { src: url, alt: medium.name });
  enlargeSmall(picture, medium, Math.min(innerWidth - 80, innerHeight - 160));
  present(medium.name, picture, { className: "viewer" });
}

function sheet(content, yes, value, tone = "") {
  return h(
    "form",
    {
      class: "sheet",
      onsubmit: (event) => {
        event.preventDefault();
        event.target.closest("dialog").close(value());
      },
    },
    content,
    h(
      "div",
      { class: "choices" },
      h("button", { type: "button", onclick: (event) => event.target.closest("dialog").close("") }, "Cancel"),
      h("button", { type: "submit", class: `primary ${tone}` }, yes),
    ),
  );
}
