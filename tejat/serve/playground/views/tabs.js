// Tabs, as the ARIA practices have them: arrows move between them, one panel shows.

import { fill, h } from "../dom.js";

let number = 0;

/** Tabs of [{name, label, content()}]; a panel's content is made when it is chosen. */
export function tabs(label, entries, chosen = entries[0].name, onchoose = () => {}) {
  const id = `tabs-${(number += 1)}`;
  const panel = h("div", { role: "tabpanel", id: `${id}-panel`, tabindex: "-1" });
  const buttons = entries.map(({ name, label: word }) =>
    h("button", { type: "button", role: "tab", id: `${id}-${name}`, "aria-controls": panel.id, onclick: () => choose(name) }, word),
  );
  const list = h("div", { role: "tablist", "aria-label": label, onkeydown: move }, buttons);

  function choose(name, focus = false) {
    entries.forEach((entry, at) => {
      const here = entry.name === name;
      buttons[at].setAttribute("aria-selected", String(here));
      buttons[at].tabIndex = here ? 0 : -1;
      if (here) {
        panel.setAttribute("aria-labelledby", buttons[at].id);
        fill(panel, entry.content());
        if (focus) buttons[at].focus();
        onchoose(name);
      }
    });
  }

  function move(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = buttons.indexOf(document.activeElement);
    choose(entries.at((at + by) % entries.length).name, true);
  }

  choose(chosen);
  return h("div", { class: "tabs" }, list, panel);
}
