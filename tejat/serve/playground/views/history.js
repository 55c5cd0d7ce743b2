// The list of conversations: open, rename, delete, export, import.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { day } from "../words.js";
import { ask, confirm } from "./dialog.js";

export class HistoryView {
  #rows = new Map(); // conversation id → its row
  #groups = new Map(); // "Today" → its heading and list

  /** `hooks`: open(id), begin(), rename(id, title), delete(id), export(id or null), import(file), preferences(), keys(), theme(), shut(). */
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
        this.#tool("choices", "Save preferences", () => hooks.preferences()),
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
    const sections = [...grouped(found)].map(([title, members]) => {
      if (!this.#groups.has(title)) this.#groups.set(title, { heading: h("h2", {}, title), list: h("ul") });
      const { heading, list } = this.#groups.get(title);
      fill(list, members.map((member) => this.#row(member)));
      return [heading, list];
    });
    fill(this.list, sections.length ? sections : h("p", { class: "none" }, wanted ? "Nothing found." : "Conversations are kept in this browser alone."));
  }

  /** The row of a conversation: the same element each time, so that the keyboard's focus stays on it. */
  #row(conversation) {
    const { id } = conversation;
    if (!this.#rows.has(id)) this.#rows.set(id, this.#newRow(id));
    const { row, open, labelled } = this.#rows.get(id);
    const title = conversation.title || "Untitled";
    if (open.textContent !== title) {
      open.textContent = open.title = title;
      for (const [button, label] of labelled) button.setAttribute("aria-label", `${label}: ${title}`);
    }
    row.classList.toggle("current", id === this.current);
    if (id === this.current) open.setAttribute("aria-current", "page");
    else open.removeAttribute("aria-current");
    return row;
  }

  #newRow(id) {
    const open = h("button", { type: "button", class: "title", dir: "auto", onclick: () => this.hooks.open(id) });
    const labelled = [];
    const action = (name, label, act) => {
      const button = h("button", { type: "button", class: "quiet", title: label, onclick: () => act(open.textContent) }, icon(name));
      labelled.push([button, label]);
      return button;
    };
    const actions = [
      action("pencil", "Rename", async (title) => {
        const named = await ask("Rename the conversation", "Name", title);
        if (named) this.hooks.rename(id, named);
      }),
      action("download", "Export", () => this.hooks.export(id)),
      action("trash", "Delete", async (title) => {
        if (await confirm(`Delete “${title}”?`, "Its messages, branches and media go from this browser for good.", "Delete")) this.hooks.delete(id);
      }),
    ];
    return { row: h("li", {}, open, h("span", { class: "actions" }, actions)), open, labelled };
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
