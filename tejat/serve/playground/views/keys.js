// The keyboard.

import { h } from "../dom.js";
import { present } from "./dialog.js";

const KEYS = [
  ["Enter", "Send"],
  ["Shift Enter", "A new line"],
  ["↑ in an empty prompt", "Edit the last message"],
  ["Esc", "Stop the answer; close what is open"],
  ["/", "To the prompt"],
  ["Alt N", "New conversation"],
  ["Alt H", "Conversations"],
  ["Alt S", "Settings"],
  ["Alt C", "Compare two answers"],
  ["Alt K", "Get code"],
  ["Alt 1 to 5", "Of two answers: A by far, A, as good, B, B by far"],
  ["?", "This list"],
];

/** `actions`: begin, history, settings, compare, code, prompt, stop, help, prefer(number from 1 to 5). */
export function watchKeys(actions) {
  const withAlt = { KeyN: "begin", KeyH: "history", KeyS: "settings", KeyC: "compare", KeyK: "code" };
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const writing = event.target.closest?.("input, textarea, select");
    const bare = !event.ctrlKey && !event.metaKey && !event.altKey;
    let name = null;
    let number;
    if (event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      name = withAlt[event.code];
      number = Number(/^(?:Digit|Numpad)([1-5])$/.exec(event.code)?.[1]);
      if (number) name = "prefer";
    } else if (event.key === "Escape" && bare) name = "stop";
    else if (!writing && bare) name = { "/": "prompt", "?": "help" }[event.key];
    if (!name) return;
    event.preventDefault();
    actions[name](number);
  });
}

export function keysHelp() {
  const rows = KEYS.map(([keys, what]) => [h("dt", {}, keys.split(" ").map((word) => (/^(in|an|empty|prompt|to)$/.test(word) ? ` ${word} ` : h("kbd", {}, word)))), h("dd", {}, what)]);
  present("Keys", h("dl", { class: "keys" }, rows));
}
