// The list of conversations: open, rename, delete, export, import.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { day } from "../words.js";
import { ask, confirm } from "./dialog.js";

export class HistoryView {
  /** `hooks`: open(id), begin(), rename(id, title), delete(id), export(id or null), import(file), keys(), theme(), shut(). */
  constructor(hooks) {
    this.hooks = hooks;
    this.list = h("div", { class: "list" });
    this.picker = h("input", { type: "file", accept: "application/json,.json", hidden: true, onchange: () => this.#picked() });
    this.search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search conversations", oninput: () => this.#draw() });
    this.node = h(
      "nav",
      { class: "history", id: "history", "aria-label": "Conversations" },
      h(
        "div",
        { class: "wordmark" },
        icon("star"),
        h("span", {}, "Tejat"),
        h("button", { type: "button", class: "tool shut", "aria-label": "Close the list", onclick: () => hooks.shut() }, icon("close")),
      ),
      h("button", { type: "button", class: "begin", title: "New conversation (Alt+N)", onclick: () => hooks.begin() }, icon("plus"), "New conversation"),
      this.search,
      this.list,
      h(
        "div",
        { class: "shelf" },
        this.#tool("upload", "Import", () => this.picker.click()),
        this.#tool("download", "Export all", () => hooks.export(null)),
        this.#tool("keyboard", "Keys", () => hooks.keys()),
        this.#tool("light", "Light or dark", () => hooks.theme()),
      ),
      this.picker,
    );
  }

  update(conversations, current) {
    Object.assign(this, { conversations, current });
    this.search.hidden = conversations.length < 8 && !this.search.value;
    this.#draw();
  }

  #draw() {
    const wanted = this.search.value.trim().toLowerCase();
    const found = this.conversations.filter((conversation) => matches(conversation, wanted));
    const groups = grouped(found);
    const sections = [...groups].map(([title, members]) => [h("h2", {}, title), h("ul", {}, members.map((member) => this.#row(member)))]);
    fill(this.list, sections.flat().length ? sections : h("p", { class: "none" }, wanted ? "Nothing found." : "Conversations are kept in this browser alone."));
  }

  #row(conversation) {
    const { id } = conversation;
    const title = conversation.title || "Untitled";
    const action = (name, label, act) => h("button", { type: "button", class: "quiet", "aria-label": `${label}: ${title}`, title: label, onclick: act }, icon(name));
    return h(
      "li",
      { class: id === this.current ? "current" : "" },
      h("button", { type: "button", class: "title", dir: "auto", title, "aria-current": id === this.current ? "page" : null, onclick: () => this.hooks.open(id) }, title),
      h(
        "span",
        { class: "actions" },
        action("pencil", "Rename", async () => {
          const named = await ask("Rename the conversation", "Name", title);
          if (named) this.hooks.rename(id, named);
        }),
        action("download", "Export", () => this.hooks.export(id)),
        action("trash", "Delete", async () => {
          if (await confirm(`Delete “${title}”?`, "Its messages, branches and media go from this browser for good.", "Delete")) this.hooks.delete(id);
        }),
      ),
    );
  }

  #tool(name, label, act) {
    return h("button", { type: "button", class: "tool", title: label, "aria-label": label, onclick: act }, icon(name));
  }

  #picked() {
    const [file] = this.picker.files;
    this.picker.value = "";
    if (file) this.hooks.import(file);
  }
}

function matches({ title, nodes }, wanted) {
  if (!wanted || title.toLowerCase().includes(wanted)) return true;
  return Object.values(nodes).some(({ parts }) => parts.some(({ text }) => text?.toLowerCase().includes(wanted)));
}

function grouped(conversations) {
  const groups = new Map();
  for (const conversation of conversations) {
    const title = day(conversation.updated);
    groups.set(title, [...(groups.get(title) ?? []), conversation]);
  }
  return groups;
}
