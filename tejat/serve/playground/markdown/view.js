// Markdown on the page: parsed blocks become elements, one by one; there is no step at which text is read as HTML.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { announce } from "../announce.js";
import { copy } from "../clipboard.js";
import { blocks } from "./blocks.js";
import { highlight } from "./highlight.js";
import { inline } from "./inline.js";

/** Text that grows. `update` redraws only the blocks whose source has changed, so a selection in the others survives. */
export class MarkdownView {
  #drawn = []; // {source, type, open, node}

  constructor() {
    this.node = h("div", { class: "markdown" });
  }

  update(text) {
    const wanted = blocks(text);
    let same = 0;
    while (same < wanted.length && same < this.#drawn.length && alike(wanted[same], this.#drawn[same])) same += 1;
    for (const old of this.#drawn.splice(same)) old.node.remove();
    for (const block of wanted.slice(same)) {
      const node = element(block);
      this.#drawn.push({ source: block.source, type: block.type, open: block.open, node });
      this.node.append(node);
    }
  }
}

const alike = (a, b) => a.source === b.source && a.type === b.type && a.open === b.open;

function element(block) {
  switch (block.type) {
    case "heading":
      // One level down and no deeper than h6: the page's own headings stay above those of an answer.
      return h(`h${Math.min(block.level + 2, 6)}`, { dir: "auto", class: `level-${block.level}` }, spans(inline(block.text)));
    case "paragraph":
      return h("p", { dir: "auto" }, spans(inline(block.text)));
    case "code":
      return codeBox(block.text, block.language, block.info);
    case "rule":
      return h("hr");
    case "quote":
      return h("blockquote", { dir: "auto" }, block.blocks.map(element));
    case "list":
      return h(
        block.ordered ? "ol" : "ul",
        { dir: "auto", start: block.ordered && block.start !== 1 ? block.start : null },
        block.items.map((item) => listItem(item)),
      );
    case "table":
      return table(block);
  }
  throw new Error(`no block is called ${block.type}`);
}

function listItem({ checked, blocks: inner }) {
  const tight = inner.length && inner[0].type === "paragraph";
  const content = [...(tight ? spans(inline(inner[0].text)) : []), ...(tight ? inner.slice(1) : inner).map(element)];
  if (checked === null) return h("li", {}, content);
  return h("li", { class: "task" }, h("span", { class: "box", role: "img", "aria-label": checked ? "done:" : "to do:" }, checked ? "☑" : "☐"), " ", content);
}

function table({ align, head, rows }) {
  const cell = (tag, text, column) => h(tag, { dir: "auto", class: align[column] && `to-${align[column]}`, scope: tag === "th" && "col" }, spans(inline(text)));
  const line = (tag, texts) => h("tr", {}, texts.map((text, column) => cell(tag, text, column)));
  const whole = h("table", {}, h("thead", {}, line("th", head)), h("tbody", {}, rows.map((row) => line("td", row))));
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Table" }, whole);
}

function spans(nodes) {
  return nodes.map((node) => {
    switch (node.type) {
      case "text":
        return node.text;
      case "break":
        return h("br");
      case "code":
        return h("code", {}, node.text);
      case "link":
        return h("a", { href: node.href, target: "_blank", rel: "noopener noreferrer nofollow" }, spans(node.children));
      default:
        return h(node.type, {}, spans(node.children));
    }
  });
}

/** Code in a box of its own, in colour, with a button that copies it. */
export function codeBox(text, language, info = language) {
  const pieces = highlight(text, language).map(({ kind, text: piece }) => (kind ? h("span", { class: `code-${kind}` }, piece) : piece));
  const button = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: async () => announce((await copy(text)) ? "Code copied." : "The browser did not allow copying."),
    },
    icon("copy"),
    "Copy",
  );
  return h(
    "figure",
    { class: "code" },
    h("figcaption", {}, h("span", {}, info || "code"), button),
    h("pre", { tabindex: "0", role: "region", "aria-label": language ? `Code, ${language}` : "Code" }, h("code", {}, pieces)),
  );
}
