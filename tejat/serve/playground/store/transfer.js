// Conversations as a file and back. What is read was written by anybody: every field is checked, ids are made afresh.

import { freshId } from "../dom.js";
import { readFile } from "../media/reading.js";
import { base64, unbase64 } from "../server/attach.js";
import { DEFAULTS, mended } from "../talk/settings.js";
import { BEHAVIOURS, MARKS } from "../talk/preferences.js";
import { mediaOf } from "../talk/tree.js";

const VERSION = 1;
const KINDS = ["image", "audio", "video"];

/** A file of these conversations with all their media. */
export async function pack(conversations, library) {
  const media = {};
  for (const id of new Set(conversations.flatMap((conversation) => [...mediaOf(conversation)]))) {
    const medium = await library.medium(id);
    if (medium) media[id] = { name: medium.name, mime: medium.mime, data: await base64(medium.blob) };
  }
  return new Blob([JSON.stringify({ tejat: VERSION, conversations, media }, null, 1)], { type: "application/json" });
}

/** Adds the conversations in a file to the library: how many. Throws an Error with one sentence; then nothing was added. */
export async function unpack(file, library) {
  let value;
  try {
    value = JSON.parse(await file.text());
  } catch {
    throw new Error(`“${file.name}” is not JSON; choose a file that this page exported.`);
  }
  if (value?.tejat !== VERSION || !Array.isArray(value.conversations)) {
    throw new Error(`“${file.name}” is no export of this page; choose one that is.`);
  }
  const media = new Map(); // the file's id → medium
  for (const [id, stored] of Object.entries(value.media ?? {})) {
    const bytes = unbase64(String(stored?.data ?? ""));
    media.set(id, await readFile(new File([bytes], String(stored?.name ?? ""), { type: String(stored?.mime ?? "") })));
  }
  const conversations = value.conversations.map((stored, number) => conversationOf(stored, media, `Conversation ${number + 1} of “${file.name}”`));
  for (const medium of media.values()) await library.addMedium(medium);
  for (const conversation of conversations) await library.save(conversation);
  return conversations.length;
}

function conversationOf(stored, media, name) {
  if (!Object.keys(stored?.nodes ?? {}).length) throw new Error(`${name} is empty or no conversation; mend the file.`);
  const ids = new Map(); // the file's id → a fresh one
  const rounds = new Map();
  const source = Object.entries(stored.nodes);
  for (const [id] of source) ids.set(id, freshId());
  const nodes = {};
  for (const [id, node] of source) {
    if (!["user", "model"].includes(node?.role) || !Array.isArray(node.parts)) throw new Error(`${name} has a message without a role or parts; mend the file.`);
    if (node.parent !== null && !ids.has(node.parent)) throw new Error(`${name} has a message whose parent is missing; mend the file.`);
    if (typeof node.round === "string" && !rounds.has(node.round)) rounds.set(node.round, freshId());
    nodes[ids.get(id)] = {
      id: ids.get(id),
      parent: node.parent === null ? null : ids.get(node.parent),
      role: node.role,
      parts: node.parts.map((part) => partOf(part, media, name)),
      created: numberOf(node.created) ?? 0,
      ...(node.role === "model" && {
        model: textOf(node.model),
        lane: numberOf(node.lane) ?? 0,
        round: rounds.get(node.round),
        finish: textOf(node.finish),
        error: textOf(node.error),
        usage: { prompt: numberOf(node.usage?.prompt), answer: numberOf(node.usage?.answer) },
        first: numberOf(node.first),
        seconds: numberOf(node.seconds),
      }),
    };
  }
  checkEnds(nodes, name);
  const choice = {};
  for (const [parent, child] of Object.entries(stored.choice ?? {})) {
    const to = nodes[ids.get(child)];
    if (to && (to.parent ?? "") === (parent ? ids.get(parent) : "")) choice[to.parent ?? ""] = to.id;
  }
  const preferences = {};
  for (const [round, said] of Object.entries(stored.preferences ?? {})) {
    const known = rounds.has(round) && MARKS.some(({ mark }) => mark === said?.mark) && BEHAVIOURS.includes(said.behaviour);
    if (known) preferences[rounds.get(round)] = { mark: said.mark, behaviour: said.behaviour, system: textOf(said.system) };
  }
  const lanes = Array.isArray(stored.lanes) && stored.lanes.length ? stored.lanes.slice(0, 2).map(mended) : [{ ...DEFAULTS }];
  const times = [numberOf(stored.created) ?? Date.now(), numberOf(stored.updated) ?? Date.now()];
  return { id: freshId(), title: textOf(stored.title).slice(0, 200), named: stored.named === true, created: times[0], updated: times[1], lanes, nodes, choice, preferences };
}

/** Every line of parents ends: a circle would never be shown, or be followed for ever. */
function checkEnds(nodes, name) {
  const sound = new Set();
  for (let node of Object.values(nodes)) {
    const seen = new Set();
    while (node && !sound.has(node.id)) {
      if (seen.has(node.id)) throw new Error(`${name} has messages in a circle; mend the file.`);
      seen.add(node.id);
      node = nodes[node.parent];
    }
    for (const id of seen) sound.add(id);
  }
}

function partOf(part, media, name) {
  if (part?.kind === "text") return { kind: "text", text: textOf(part.text) };
  const medium = KINDS.includes(part?.kind) && media.get(part.media);
  if (!medium || medium.kind !== part.kind) throw new Error(`${name} needs a medium that is not in the file; export it again.`);
  const clip = part.clip && { start: numberOf(part.clip.start) ?? 0, end: numberOf(part.clip.end), fps: numberOf(part.clip.fps) };
  return { kind: part.kind, media: medium.id, ...(clip && { clip }) };
}

const textOf = (value) => (typeof value === "string" ? value : "");
const numberOf = (value) => (typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined);
