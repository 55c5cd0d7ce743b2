// Markdown within a line: emphasis, code, links. Text in, a tree of plain objects out; linear in the length of the text.
//
// {type: "text", text} | {type: "code", text} | {type: "break"} | {type: "em" | "strong" | "del", children}
// | {type: "link", href, children}
//
// HTML and entities are no syntax here: they stay text. Pictures are never loaded; ![alt](address) is a link.

const DEEPEST = 24; // of nested emphasis: engines lay out nested elements by recursion
const LONGEST = 1000; // of an address
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}\p{S}]/u;
const SPACE = /\s/u;
const BARE = /https?:\/\/[^\s<>"'`()[\]{}|\\^]{1,1000}/y;

/** The inline tree of a text. */
export function inline(text) {
  const items = [];
  const brackets = []; // indices in `items` of "[" that may begin a link
  const ticks = tickRuns(text);
  let plain = "";
  const flush = () => {
    if (plain) items.push({ type: "text", text: plain });
    plain = "";
  };
  const push = (item) => {
    flush();
    items.push(item);
  };

  for (let at = 0; at < text.length; ) {
    const c = text[at];
    if (c === "\\" && at + 1 < text.length && /[!-/:-@[-`{-~]/.test(text[at + 1])) {
      plain += text[at + 1];
      at += 2;
    } else if (c === "\n") {
      plain = plain.replace(/ +$/, "");
      push({ type: "break" });
      at += 1;
    } else if (c === "`") {
      const run = runLength(text, at, "`");
      const end = ticks.next(run, at + run);
      if (end < 0) plain += "`".repeat(run);
      else push({ type: "code", text: trimmedCode(text.slice(at + run, end)) });
      at = end < 0 ? at + run : end + run;
    } else if (c === "*" || c === "_" || c === "~") {
      const run = runLength(text, at, c);
      if (c === "~" && run !== 2) plain += c.repeat(run);
      else push(delimiter(text, at, run, c));
      at += run;
    } else if (c === "[" || (c === "!" && text[at + 1] === "[")) {
      push({ type: "bracket", text: c === "[" ? "[" : "![" });
      brackets.push(items.length - 1);
      at += c === "[" ? 1 : 2;
    } else if (c === "]" && brackets.length) {
      flush();
      const from = brackets.pop();
      const link = text[at + 1] === "(" ? target(text, at + 2) : null;
      if (link) {
        const picture = items[from].text === "![";
        const children = resolved(items.splice(from).slice(1));
        if (!children.length) children.push({ type: "text", text: link.written });
        if (link.href) items.push({ type: "link", href: link.href, children, depth: 1 + deepest(children) });
        else items.push(...children, { type: "text", text: ` (${link.written})` });
        if (!picture) brackets.length = 0; // no links within links
        at = link.end;
      } else {
        items[from] = { type: "text", text: items[from].text };
        plain += "]";
        at += 1;
      }
    } else if (c === "<" || c === "h") {
      BARE.lastIndex = c === "<" ? at + 1 : at;
      const found = (c === "<" || !/\w/.test(text[at - 1] ?? " ")) && BARE.exec(text);
      const closed = found && c === "<" && text[BARE.lastIndex] === ">";
      if (found && (c === "h" || closed)) {
        const written = closed ? found[0] : found[0].replace(/[.,;:!?*_~]+$/, "");
        const href = safe(written);
        push(href ? { type: "link", href, children: [{ type: "text", text: written }], depth: 1 } : { type: "text", text: written });
        at = closed ? BARE.lastIndex + 1 : at + written.length;
      } else {
        plain += c;
        at += 1;
      }
    } else {
      plain += c;
      at += 1;
    }
  }
  flush();
  return resolved(items);
}

/** An address that may be followed: absolute, over http, https or mail. Null for anything else. */
export function safe(address) {
  try {
    const url = new URL(address);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

/** The delimiter rules of CommonMark (0.31, "process emphasis") on a list of items. */
function resolved(items) {
  const list = items.map((item) => (item.type === "bracket" ? { type: "text", text: item.text } : item));
  const out = [];
  const openers = []; // indices in `out`
  const bottom = new Map(); // no opener for this kind of closer lies above here
  for (const item of list) {
    if (item.type !== "delimiter") {
      out.push(item);
      continue;
    }
    let left = item.count;
    while (item.closes && left) {
      const kind = `${item.char}${item.opens}${item.count % 3}`;
      let place = openers.length - 1;
      const floor = Math.min(bottom.get(kind) ?? 0, openers.length);
      while (place >= floor && !matches(out[openers[place]], item)) place -= 1;
      if (place < floor) {
        bottom.set(kind, openers.length);
        break;
      }
      const from = openers[place];
      const opener = out[from];
      const children = out.slice(from + 1).map(asText);
      const depth = 1 + deepest(children);
      if (depth > DEEPEST) {
        openers.length = 0; // all further out stays as it is written
        break;
      }
      const used = item.char === "~" ? 2 : opener.count >= 2 && left >= 2 ? 2 : 1;
      out.length = from + 1;
      openers.length = place + 1;
      for (const [key, value] of bottom) if (value > openers.length) bottom.set(key, openers.length);
      opener.count -= used;
      left -= used;
      if (!opener.count) {
        out.pop();
        openers.pop();
      }
      out.push({ type: item.char === "~" ? "del" : used === 2 ? "strong" : "em", children: merged(children), depth });
    }
    if (!left) continue;
    out.push({ ...item, count: left });
    if (item.opens) openers.push(out.length - 1);
  }
  return merged(out.map(asText));
}

function matches(opener, closer) {
  if (opener.char !== closer.char) return false;
  const either = (opener.closes && opener.opens) || (closer.opens && closer.closes);
  // "Multiple of 3": ***strong** em* and the like.
  return !either || (opener.size + closer.size) % 3 !== 0 || (opener.size % 3 === 0 && closer.size % 3 === 0);
}

function delimiter(text, at, run, char) {
  const before = at ? text[at - 1] : " ";
  const after = text[at + run] ?? " ";
  const left = !SPACE.test(after) && (!PUNCTUATION.test(after) || SPACE.test(before) || PUNCTUATION.test(before));
  const right = !SPACE.test(before) && (!PUNCTUATION.test(before) || SPACE.test(after) || PUNCTUATION.test(after));
  const word = char === "_"; // snake_case stays as it is
  return {
    type: "delimiter",
    char,
    count: run,
    size: run,
    opens: left && (!word || !right || PUNCTUATION.test(before)),
    closes: right && (!word || !left || PUNCTUATION.test(after)),
  };
}

const asText = (item) => (item.type === "delimiter" ? { type: "text", text: item.char.repeat(item.count) } : item);

const deepest = (items) => items.reduce((most, item) => Math.max(most, item.depth ?? 0), 0);

function merged(items) {
  const out = [];
  for (const item of items) {
    const last = out[out.length - 1];
    if (item.type === "text" && last?.type === "text") out[out.length - 1] = { type: "text", text: last.text + item.text };
    else out.push(item);
  }
  return out;
}

/** What follows "](": {href or null, written, end}; null where it is no target. */
function target(text, from) {
  let depth = 0;
  let at = from;
  for (; at < text.length && at - from < LONGEST; at += 1) {
    const c = text[at];
    if (c === " " || c === "\n" || c === "\t" || c === "<" || c === ">") break;
    if (c === "(") depth += 1;
    if (c === ")" && depth-- === 0) break;
  }
  const written = text.slice(from, at);
  const title = text[at] === " " ? /^ +"[^"\n]{0,500}"(?=\))/.exec(text.slice(at, at + 520)) : null;
  if (title) at += title[0].length;
  return text[at] === ")" && written ? { href: safe(written), written, end: at + 1 } : null;
}

function runLength(text, at, char) {
  let end = at;
  while (text[end] === char) end += 1;
  return end - at;
}

/** Where runs of n backticks begin. Each search goes on where the last one for that n ended. */
function tickRuns(text) {
  const runs = new Map();
  for (const { 0: run, index } of text.matchAll(/`+/g)) {
    if (!runs.has(run.length)) runs.set(run.length, { at: [], seen: 0 });
    runs.get(run.length).at.push(index);
  }
  return {
    next(length, from) {
      const found = runs.get(length);
      if (!found) return -1;
      while (found.seen < found.at.length && found.at[found.seen] < from) found.seen += 1;
      return found.at[found.seen] ?? -1;
    },
  };
}

function trimmedCode(text) {
  const flat = text.replaceAll("\n", " ");
  return /^ .*[^ ].* $/.test(flat) ? flat.slice(1, -1) : flat;
}
