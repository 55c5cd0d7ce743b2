// Markdown as blocks: lines in, a list of plain objects out.
//
// {type: "paragraph", text} | {type: "heading", level, text} | {type: "code", language, info, text, open}
// | {type: "list", ordered, start, items: [{checked: true | false | null, blocks}]} | {type: "quote", blocks}
// | {type: "table", align: ["left" | "center" | "right" | null], head: [text], rows: [[text]]} | {type: "rule"}
//
// Every block has `source`, the lines that it came from: a view draws only what has changed since.

const DEEPEST = 6; // of quotes and lists within each other; deeper ones are paragraphs
const COLUMNS = 40;
const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}(?:\*[ \t]*){3,}$|^ {0,3}(?:-[ \t]*){3,}$|^ {0,3}(?:_[ \t]*){3,}$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*)|$)/;
const QUOTE = /^ {0,3}>[ ]?(.*)$/;
const TASK = /^\[([ xX])\][ \t]+(.*)$/;
const ALIGNMENT = /^:?-+:?$/;

/** The blocks of a text. */
export function blocks(text) {
  return parsed(text.replace(/\r\n?/g, "\n").replaceAll("\t", "    ").split("\n"), 0);
}

function parsed(lines, depth) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const read = code(lines, at) ?? single(lines, at) ?? table(lines, at) ?? nested(lines, at, depth) ?? paragraph(lines, at, depth);
    found.push({ ...read.block, source: lines.slice(at, read.end).join("\n") });
    at = read.end;
  }
  return found;
}

function code(lines, at) {
  const fence = fenced(lines[at]);
  if (!fence) return null;
  const [, mark, rest] = fence;
  const info = rest.trim();
  const [language] = info.split(/\s/, 1);
  let end = at + 1;
  while (end < lines.length && !closes(lines[end], mark)) end += 1;
  const open = end === lines.length; // still being written
  return { block: { type: "code", language, info, text: lines.slice(at + 1, end).join("\n"), open }, end: open ? end : end + 1 };
}

/** Backticks after the fence's own make it code within a line. */
function fenced(line) {
  const fence = FENCE.exec(line);
  return fence && !(fence[1][0] === "`" && fence[2].includes("`")) ? fence : null;
}

function closes(line, mark) {
  const written = line.trim();
  return written.length >= mark.length && written === mark[0].repeat(written.length) && /^ {0,3}\S/.test(line);
}

function single(lines, at) {
  if (RULE.test(lines[at])) return { block: { type: "rule" }, end: at + 1 };
  const heading = HEADING.exec(lines[at]);
  if (!heading) return null;
  const text = (heading[2] ?? "").trimEnd().replace(/(^|[ ])#+$/, "").trim();
  return { block: { type: "heading", level: heading[1].length, text }, end: at + 1 };
}

function table(lines, at) {
  if (!lines[at].includes("|") || at + 1 >= lines.length || !lines[at + 1].includes("-")) return null;
  const marks = cells(lines[at + 1]);
  const head = cells(lines[at]);
  if (marks.length !== head.length || head.length > COLUMNS || !marks.every((mark) => ALIGNMENT.test(mark))) return null;
  if (head.length === 1 && !lines[at + 1].includes("|")) return null; // a line under a line is no table
  let end = at + 2;
  const rows = [];
  while (end < lines.length && lines[end].trim() && lines[end].includes("|")) {
    const row = cells(lines[end]);
    // More cells than columns are kept in the last one: nothing that was written goes missing.
    if (row.length > head.length) row.splice(head.length - 1, row.length, row.slice(head.length - 1).join(" | "));
    rows.push([...row, ...Array(head.length - row.length).fill("")]);
    end += 1;
  }
  const align = marks.map((mark) => {
    if (mark.endsWith(":")) return mark.startsWith(":") ? "center" : "right";
    return mark.startsWith(":") ? "left" : null;
  });
  return { block: { type: "table", align, head, rows }, end };
}

function cells(line) {
  let text = line.trim();
  if (text.startsWith("|")) text = text.slice(1);
  if (text.endsWith("|") && !text.endsWith("\\|")) text = text.slice(0, -1);
  const found = [""];
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === "\\" && text[i + 1] === "|") {
      found[found.length - 1] += "|";
      i += 1;
    } else if (text[i] === "|") found.push("");
    else found[found.length - 1] += text[i];
  }
  return found.map((cell) => cell.trim());
}

function nested(lines, at, depth) {
  if (depth >= DEEPEST) return null;
  if (QUOTE.test(lines[at])) {
    let end = at;
    const inner = [];
    while (end < lines.length && QUOTE.test(lines[end])) inner.push(QUOTE.exec(lines[end++])[1]);
    return { block: { type: "quote", blocks: parsed(inner, depth + 1) }, end };
  }
  return ITEM.test(lines[at]) ? list(lines, at, depth) : null;
}

function list(lines, at, depth) {
  const first = ITEM.exec(lines[at]);
  const kind = first[2].at(-1);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const found = ITEM.exec(lines[end]);
    if (!found || found[2].at(-1) !== kind || RULE.test(lines[end])) break;
    const indent = found[1].length + found[2].length + (found[3] && found[4] && found[3].length <= 4 ? found[3].length : 1);
    const task = TASK.exec(found[4] ?? "");
    const inner = [task ? task[2] : (found[4] ?? "")];
    end += 1;
    // The item goes on while lines are indented, or blank with an indented one after them, or plain text just below.
    let blank = 0;
    while (end + blank < lines.length) {
      const line = lines[end + blank];
      if (!line.trim()) {
        blank += 1;
        continue;
      }
      const own = line.startsWith(" ".repeat(indent));
      const lazy = !blank && inner.at(-1).trim() && !begins(line);
      if (!own && !lazy) break;
      inner.push(...Array(blank).fill(""), own ? line.slice(indent) : line);
      end += blank + 1;
      blank = 0;
    }
    items.push({ checked: task ? task[1] !== " " : null, blocks: parsed(inner, depth + 1) });
    if (blank && end + blank < lines.length && ITEM.exec(lines[end + blank])?.[2].at(-1) === kind) end += blank;
    else if (blank) break;
  }
  const ordered = /\d/.test(first[2]);
  return { block: { type: "list", ordered, start: ordered ? parseInt(first[2], 10) : 1, items }, end };
}

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !begins(lines[end], depth) && !table(lines, end)) end += 1;
  const text = lines.slice(at, end).map((line) => line.trimStart()).join("\n").trimEnd();
  return { block: { type: "paragraph", text }, end };
}

/** Does this line begin a block that is no paragraph? */
function begins(line, depth = 0) {
  if (fenced(line) || HEADING.test(line) || RULE.test(line)) return true;
  return depth < DEEPEST && (QUOTE.test(line) || ITEM.test(line));
}
