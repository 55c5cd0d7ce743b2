// One message: who speaks, the parts in their order, and what can be done with it.

import { announce } from "../announce.js";
import { copy } from "../clipboard.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { codeBox, MarkdownView } from "../markdown/view.js";
import { count, plural, seconds } from "../words.js";
import { save } from "./save.js";
import { show } from "./media.js";

const ENDINGS = {
  MAX_TOKENS: "Ended at the longest answer allowed.",
  SAFETY: "Ended by the safety settings.",
  RECITATION: "Ended: it would have recited.",
  STOPPED: "Stopped.",
};

export class MessageView {
  #drawn = []; // {kind, node, update(part)}, part by part

  /** `hooks`: library, name(model), running(id), enlarge, reuse(medium), edit(node), again(node), branch(node), choose(node). */
  constructor(node, hooks) {
    Object.assign(this, { message: node, hooks });
    this.body = h("div", { class: "body" });
    this.foot = h("div", { class: "foot" });
    this.speaker = h("h2", { class: "speaker" }); // screen readers go from one speaker to the next
    this.note = h("div", { class: "note" });
    this.node = h("article", { class: `message ${node.role}` }, this.speaker, h("div", { class: "content" }, this.body, this.note, this.foot));
  }

  /** Draws it as it is now: `branches` are the nodes in its place; `pair` where it stands beside another answer. */
  update({ branches, pair = null }) {
    const { message: node, hooks } = this;
    const who = node.role === "user" ? "You" : hooks.name(node.model);
    const running = hooks.running(node.id);
    this.node.setAttribute("aria-label", `${who}${running ? ", still writing" : ""}`);
    this.node.classList.toggle("running", running);
    fill(this.speaker, icon("star"), pair && h("b", {}, "AB"[node.lane ?? 0]), h("span", {}, who));
    this.#parts(running);
    this.#notes(running);
    this.#actions(running, branches, pair);
  }

  #parts(running) {
    const { message: node } = this;
    node.parts.forEach((part, at) => {
      if (this.#drawn[at]?.kind !== part.kind) {
        const drawn = this.#part(part);
        this.#drawn[at] = drawn;
      }
      this.#drawn[at].update(part, running && at === node.parts.length - 1);
    });
    this.#drawn.length = node.parts.length;
    const waiting = running && !node.parts.length && h("p", { class: "waiting" }, node.phase ?? "Reading …");
    fill(this.body, this.#drawn.map((drawn) => drawn.node), waiting, running && (this.pulse ??= h("span", { class: "pulse" }, icon("star"))));
  }

  #part(part) {
    if (part.kind === "text" && this.message.role === "user") {
      const node = h("p", { class: "said", dir: "auto" });
      return { kind: "text", node, update: ({ text }) => node.textContent === text || (node.textContent = text) };
    }
    if (part.kind === "text" && this.message.json) {
      const node = h("div");
      let last = null;
      const update = ({ text }) => {
        if (text !== last) fill(node, codeBox(pretty(text), "json"));
        last = text;
      };
      return { kind: "text", node, update };
    }
    if (part.kind === "text") {
      const view = new MarkdownView();
      let last = null;
      const update = ({ text }) => {
        if (text !== last) view.update(text);
        last = text;
      };
      return { kind: "text", node: view.node, update };
    }
    const node = h("figure", { class: `medium ${part.kind}` });
    this.hooks.library.medium(part.media).then((medium) => {
      const shown = show(part, medium, this.hooks.library, { enlarge: this.hooks.enlarge, about: this.#before(part) });
      fill(node, shown, medium && this.#caption(medium));
    });
    return { kind: part.kind, node, update: () => {} };
  }

  /** What the model said before it drew: of what the picture is. */
  #before(part) {
    const { parts, role } = this.message;
    const said = role === "model" && parts.slice(0, parts.indexOf(part)).findLast(({ kind }) => kind === "text");
    return said ? said.text.trim().slice(-200) : "";
  }

  #caption(medium) {
    return h(
      "figcaption",
      {},
      this.message.role === "user" && h("span", { class: "name" }, medium.name),
      this.#button("download", "Download", () => save(medium.blob, medium.name), medium.name),
      this.#button("reuse", "Use as input", () => this.hooks.reuse(medium), medium.name),
    );
  }

  #notes(running) {
    const { message: node, hooks } = this;
    const ended = !running && node.finish && node.finish !== "STOP" && (ENDINGS[node.finish] ?? `Ended by the server: ${node.finish}.`);
    const silent = !running && node.role === "model" && !node.parts.length && !node.error && !ended;
    fill(
      this.note,
      node.error &&
        h(
          "p",
          { class: "error", role: "alert" },
          icon("warning"),
          h("span", {}, node.error),
          h("button", { type: "button", class: "quiet", onclick: () => hooks.again(node) }, icon("again"), "Try again"),
        ),
      ended && h("p", { class: "ended" }, ended),
      silent && h("p", { class: "ended" }, "The model ended its turn without a word."),
    );
  }

  #actions(running, branches, pair) {
    const { message: node, hooks } = this;
    if (running) return fill(this.foot);
    const text = node.parts.filter((part) => part.kind === "text").map((part) => part.text).join("\n");
    const chosen = pair?.chosen === node.id;
    fill(
      this.foot,
      branches.length > 1 && this.#branchPicker(branches),
      text && this.#button("copy", "Copy", async () => announce((await copy(text)) ? "Copied." : "The browser did not allow copying.")),
      node.role === "user" ? this.#button("pencil", "Edit", () => hooks.edit(node)) : this.#button("again", "Ask again", () => hooks.again(node)),
      pair &&
        h(
          "button",
          { type: "button", class: "choice", "aria-pressed": String(chosen), onclick: () => hooks.choose(node) },
          icon(chosen ? "check" : "star"),
          chosen ? "The talk goes on from here" : "Go on from here",
        ),
      node.role === "model" && h("span", { class: "figures" }, figures(node)),
    );
  }

  #branchPicker(branches) {
    const at = branches.indexOf(this.message);
    const go = (to) => this.hooks.branch(branches[to]);
    const button = (name, label, to) => h("button", { type: "button", class: "quiet", "aria-label": label, title: label, disabled: !branches[to], onclick: () => go(to) }, icon(name));
    return h(
      "span",
      { class: "branches", role: "group", "aria-label": `Branch ${at + 1} of ${branches.length}` },
      button("left", "Earlier branch", at - 1),
      h("span", { class: "of" }, `${at + 1} of ${branches.length}`),
      button("right", "Later branch", at + 1),
    );
  }

  #button(name, label, act, of = "") {
    return h("button", { type: "button", class: "quiet", title: label, "aria-label": of ? `${label}: ${of}` : label, onclick: act }, icon(name));
  }
}

/** "41 tokens · first after 0.3 s · 58 a second". */
function figures({ usage, first, seconds: all }) {
  const tokens = usage?.answer;
  const rate = all - first > 0.2 ? (tokens - 1) / (all - first) : 0; // shorter ones tell more of the clock
  return [tokens ? plural(tokens, "token") : "", first ? `first after ${seconds(first)}` : "", rate ? `${count(rate)} a second` : ""].filter(Boolean).join(" · ");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // still being written, or cut short
  }
}
