// Elements without markup. Text only ever becomes text nodes: nothing that a model, a file or a server says is parsed as HTML.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "muted", "src", "type", "textContent"]);

/** An element; `on…` attributes are listeners, null, undefined and false are left out, children are nodes and strings. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  // Children first: under dir="auto" Chromium works out the direction anew for each one that comes later.
  node.append(...present(children));
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) {
      if (value !== undefined && value !== null) node[name] = value;
    } else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  return node;
}

/** Gives a node these children; the ones it has already stay in the document, with their focus and their playing sound. */
export function fill(node, ...children) {
  const wanted = present(children);
  const kept = new Set(wanted);
  for (const child of [...node.childNodes]) if (!kept.has(child)) child.remove();
  let at = node.firstChild;
  for (const child of wanted) {
    if (child === at) at = at.nextSibling;
    else node.insertBefore(child instanceof Node ? child : document.createTextNode(child), at);
  }
  return node;
}

/** A fresh random name; `crypto.randomUUID` is missing where a page comes over plain http from another machine. */
export function freshId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The function, called once things have been quiet for so many milliseconds. */
export function whenQuiet(milliseconds, run) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...values), milliseconds);
  };
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
