// The conversation as the chosen path shows it: messages one below the other, answers of one round side by side.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { sky } from "../sky.js";
import { comparable, preferred } from "../talk/preferences.js";
import { abreast, branches, path } from "../talk/tree.js";
import { MessageView } from "./message.js";
import { PreferenceView } from "./preference.js";

const NEAR = 80; // pixels from the end that count as the end
const IDEAS = ["Draw a cat.", "Who are you, and what can you do?", "What is the capital of France?"];

export class ConversationView {
  #views = new Map(); // node id → MessageView
  #shown = null; // the conversation's id
  #following = true;

  /** `hooks`: those of MessageView, try(text) and prefer(round, mark, behaviour). */
  constructor(hooks) {
    this.hooks = hooks;
    this.list = h("div", { class: "messages" });
    this.jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.toEnd(true) }, icon("send"), "To the end");
    this.node = h("section", { class: "conversation", "aria-label": "Conversation", tabindex: "-1" }, this.list);
    let last = 0;
    this.node.addEventListener("scroll", () => {
      // Only a person scrolls up; the end alone moves away when something is added to it.
      const { scrollTop } = this.node;
      if (this.#atEnd()) this.#following = true;
      else if (scrollTop < last - 1) this.#following = false;
      last = scrollTop;
      this.jump.hidden = this.#following;
    });
    new ResizeObserver(() => this.#following && this.toEnd()).observe(this.list);
  }

  /** Draws all of it, or only what has changed. */
  update(conversation) {
    if (this.#shown !== conversation.id) {
      this.#views.clear();
      this.#shown = conversation.id;
      this.#following = true;
    }
    const nodes = path(conversation);
    fill(this.list, nodes.length ? nodes.map((node) => this.#row(conversation, node)) : (this.welcome ??= this.#welcome()));
    this.list.classList.toggle("blank", !nodes.length);
    if (this.#following) this.toEnd();
  }

  /** Draws one message anew while it grows. */
  grow(conversation, node) {
    if (this.#shown !== conversation.id || !this.#views.has(node.id)) return;
    this.#draw(conversation, node);
    if (this.#following) this.toEnd();
  }

  /** Puts the keyboard where it was, in the message that came into the place of another. */
  focus(id, selector) {
    this.#views.get(id)?.node.querySelector(selector)?.focus();
  }

  toEnd(smoothly = false) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.node.scrollTo({ top: this.node.scrollHeight, behavior: smoothly && !calm ? "smooth" : "instant" });
    this.#following = true;
    this.jump.hidden = true;
  }

  #atEnd() {
    return this.node.scrollHeight - this.node.scrollTop - this.node.clientHeight < NEAR;
  }

  #row(conversation, node) {
    const beside = node.role === "model" ? abreast(conversation, node) : [node];
    const drawn = beside.map((other) => this.#draw(conversation, other));
    if (drawn.length === 1) return drawn[0];
    const key = `pair ${node.round}`;
    if (!this.#views.has(key)) this.#views.set(key, h("div", { class: "pair", role: "group", "aria-label": "Two answers side by side" }));
    return fill(this.#views.get(key), drawn, comparable(beside) && !beside.some(({ id }) => this.hooks.running(id)) && this.#preference(conversation, node.round));
  }

  #draw(conversation, node) {
    if (!this.#views.has(node.id)) this.#views.set(node.id, new MessageView(node, this.hooks));
    const view = this.#views.get(node.id);
    const pair = abreast(conversation, node).length > 1 ? { chosen: conversation.choice[node.parent ?? ""] } : null;
    view.update({ branches: branches(conversation, node), pair });
    return view.node;
  }

  /** Which of the two is better: the same element each time, as of messages. */
  #preference(conversation, round) {
    const key = `preference ${round}`;
    if (!this.#views.has(key)) this.#views.set(key, new PreferenceView((mark, behaviour) => this.hooks.prefer(round, mark, behaviour)));
    const view = this.#views.get(key);
    view.update(preferred(conversation, round));
    return view.node;
  }

  #welcome() {
    const ideas = IDEAS.map((text) => h("button", { type: "button", class: "idea", onclick: () => this.hooks.try(text) }, text));
    return h(
      "div",
      { class: "welcome" },
      sky(),
      h("h2", {}, "What shall we look at?"),
      h("p", {}, "Words, pictures, sound and film go in, in any order. Words and pictures come back."),
      h("div", { class: "ideas" }, ideas),
    );
  }
}
