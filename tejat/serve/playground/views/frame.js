// The house of the page: the list on the left, the talk in the middle, the settings on the right; drawers where it is narrow.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";

const NARROW = matchMedia("(max-width: 899px)");
const SHOWN = "tejat-shown";

export class Frame {
  #trouble = null;

  /** `hooks`: history, settings, view, composer; compare(), code(), key(), model(lane, name). */
  constructor(hooks) {
    this.hooks = hooks;
    const toggle = (name, label, of, key) =>
      h("button", { type: "button", class: "tool", "aria-label": label, title: `${label} (Alt+${key})`, "aria-controls": of, onclick: () => this.toggle(of) }, icon(name));
    const tool = (name, label, act, key) => h("button", { type: "button", class: "tool", "aria-label": label, title: key ? `${label} (Alt+${key})` : label, onclick: act }, icon(name));
    this.buttons = { history: toggle("menu", "Conversations", "history", "H"), settings: toggle("sliders", "Settings", "settings", "S") };
    this.compare = tool("columns", "Compare two answers", hooks.compare, "C");
    this.keyTool = tool("key", "API key", hooks.key);
    this.keyTool.hidden = true;
    this.pickers = h("div", { class: "pickers" });
    this.title = h("h1", { class: "unseen" });
    this.banner = h("div", { class: "trouble", role: "alert", hidden: true });
    this.veil = h("div", { class: "veil", onclick: () => this.narrowShut() });
    const top = h("header", { class: "top" }, this.buttons.history, this.pickers, h("div", { class: "tools" }, this.keyTool, this.compare, tool("code", "Get code", hooks.code, "K"), this.buttons.settings));
    const main = h("main", {}, this.title, top, this.banner, hooks.view.node, h("div", { class: "foot-of-page" }, hooks.view.jump, hooks.composer.node));
    this.nodes = [hooks.history.node, main, hooks.settings.node, this.veil];
    this.main = main;
    const wanted = this.#wanted();
    for (const name of ["history", "settings"]) this.#set(name, !NARROW.matches && wanted[name]);
    NARROW.addEventListener("change", () => {
      for (const name of ["history", "settings"]) this.#set(name, !NARROW.matches && this.#wanted()[name]);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && NARROW.matches && this.main.inert) {
        event.stopPropagation();
        this.narrowShut();
      }
    });
  }

  /** Opens or closes a side. */
  toggle(name, open = !this.#isOpen(name)) {
    if (open && NARROW.matches) this.#set(name === "history" ? "settings" : "history", false);
    this.#set(name, open);
    if (!NARROW.matches) localStorage.setItem(SHOWN, JSON.stringify({ ...this.#wanted(), [name]: open }));
    if (open) this.hooks[name].node.querySelector("button, input, textarea").focus();
    else this.buttons[name].focus();
  }

  /** Drawers make way for the talk. */
  narrowShut() {
    if (!NARROW.matches) return;
    for (const name of ["history", "settings"]) {
      if (!this.#isOpen(name)) continue;
      this.#set(name, false);
      this.buttons[name].focus();
    }
  }

  /** {sentence, again()} in a band over the talk, or null. */
  set trouble(trouble) {
    this.#trouble = trouble;
    this.banner.hidden = !trouble;
    if (!trouble) return;
    fill(this.banner, icon("warning"), h("span", {}, trouble.sentence), h("button", { type: "button", class: "quiet", onclick: trouble.again }, icon("again"), "Try again"));
  }

  /** A key is in use: it can be changed. */
  set keyed(keyed) {
    this.keyTool.hidden = !keyed;
  }

  update(conversation, models) {
    this.title.textContent = conversation.title || "New conversation";
    const { lanes } = conversation;
    this.compare.setAttribute("aria-pressed", String(lanes.length > 1));
    // The same choice stays the same element: the keyboard's focus is on it.
    const choice = JSON.stringify([models.map(({ name, displayName }) => [name, displayName]), lanes.length]);
    if (choice !== this.choice) fill(this.pickers, lanes.map(({ model }, lane) => this.#picker(models, model, lane, lanes.length)));
    this.choice = choice;
    if (models.length) [...this.pickers.querySelectorAll("select")].forEach((select, lane) => (select.value = lanes[lane].model));
  }

  #picker(models, chosen, lane, of) {
    const label = of > 1 ? `Model of answer ${"AB"[lane]}` : "Model";
    const select = h(
      "select",
      { "aria-label": label, onchange: (event) => this.hooks.model(lane, event.target.value) },
      models.length ? models.map(({ name, displayName }) => h("option", { value: name, selected: name === chosen }, displayName || name.replace(/^models\//, ""))) : h("option", {}, "no model"),
    );
    select.disabled = !models.length;
    return h("span", { class: "picker" }, of > 1 && h("b", { "aria-hidden": "true" }, "AB"[lane]), select);
  }

  #isOpen(name) {
    return !this.hooks[name].node.hidden;
  }

  #set(name, open) {
    this.hooks[name].node.hidden = !open;
    this.buttons[name].setAttribute("aria-expanded", String(open));
    const drawn = NARROW.matches && (this.#isOpen("history") || this.#isOpen("settings"));
    this.veil.hidden = !drawn;
    this.main.inert = drawn;
  }

  #wanted() {
    try {
      return { history: true, settings: false, ...JSON.parse(localStorage.getItem(SHOWN)) };
    } catch {
      return { history: true, settings: false };
    }
  }
}
