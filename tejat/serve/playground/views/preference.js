// Under two answers: which is better, by how much, and what the comparison is about.

import { fill, h } from "../dom.js";
import { BEHAVIOURS, MARKS } from "../talk/preferences.js";

const BEHAVIOUR = "tejat-behaviour";

/** What pairs are about until a person says otherwise. */
export function usualBehaviour() {
  const stored = localStorage.getItem(BEHAVIOUR);
  return BEHAVIOURS.includes(stored) ? stored : BEHAVIOURS[0];
}

export class PreferenceView {
  /** `prefer(mark, behaviour)` hears what is chosen. */
  constructor(prefer) {
    this.about = h(
      "select",
      {
        "aria-label": "What the comparison is about",
        onchange: () => {
          localStorage.setItem(BEHAVIOUR, this.about.value);
          if (this.mark !== null) prefer(this.mark, this.about.value);
        },
      },
      BEHAVIOURS.map((name) => h("option", { value: name }, name)),
    );
    this.mark = null;
    this.buttons = MARKS.map(({ mark, label }, at) => {
      const press = () => prefer(mark, this.about.value);
      return h("button", { type: "button", class: "choice", title: `${label} (Alt+${at + 1})`, onclick: press }, label);
    });
    this.node = h("div", { class: "preference", role: "group", "aria-label": "Which answer is better?" });
    fill(this.node, h("span", {}, "Better:"), this.buttons, this.about);
  }

  /** Shows what was said, or null. */
  update(preference) {
    this.mark = preference?.mark ?? null;
    this.about.value = preference?.behaviour ?? usualBehaviour();
    this.buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(MARKS[at].mark === this.mark)));
  }
}
