// Which of two answers is better: kept with the conversation, by round, and told as JSON lines that `tejat tune reward` and
// `tejat tune rlhf` read (docs/TUNE.md).
//
//   preference  {mark: -2 … 2, behaviour, system}; a mark below 0 is for answer A, 0 says that they are as good

import { base64 } from "../server/attach.js";
import { abreast, pathTo } from "./tree.js";

/** What may be said of answers A and B, and by how much the better one is then better. */
export const MARKS = [
  { mark: -2, label: "A by far" },
  { mark: -1, label: "A" },
  { mark: 0, label: "As good" },
  { mark: 1, label: "B" },
  { mark: 2, label: "B by far" },
];
const MARGIN = [0, 0.5, 1]; // by how far the mark is from 0

/** What a pair may be about: behaviours that the heads of a reward model are taught by. */
export const BEHAVIOURS = ["helpful", "attribution", "closed-book", "hedging", "over-hedging", "formatting", "refusal", "over-refusal"];

/** Keeps what a person says of the answers of a round. Throws an Error with one sentence for a mark that is none. */
export function prefer(conversation, round, mark, behaviour) {
  if (!MARKS.some((known) => known.mark === mark)) throw new Error(`There is no mark ${mark}; give one from -2 to 2.`);
  const systems = new Set(conversation.lanes.map(({ system }) => system.trim()));
  const system = systems.size === 1 ? [...systems][0] : "";
  conversation.preferences = { ...conversation.preferences, [round]: { mark, behaviour, system } };
  conversation.updated = Date.now();
}

/** What was said of the answers of a round, or null. */
export const preferred = (conversation, round) => conversation.preferences?.[round] ?? null;

/** Can these two answers be compared: both are there, whole, and not the same? */
export function comparable(nodes) {
  const whole = nodes.length === 2 && nodes.every((node) => node.parts.length && !node.error && node.finish && node.finish !== "STOPPED");
  return Boolean(whole) && JSON.stringify(nodes[0].parts) !== JSON.stringify(nodes[1].parts);
}

/** {text, count}: a line for every pair of which one answer was said to be better, with its media in it. */
export async function lines(conversations, library) {
  const found = [];
  for (const conversation of conversations) {
    for (const [round, { mark, behaviour, system }] of Object.entries(conversation.preferences ?? {})) {
      const first = Object.values(conversation.nodes).find((node) => node.round === round);
      const sides = first ? abreast(conversation, first) : [];
      if (!mark || !comparable(sides)) continue;
      const told = pathTo(conversation, first.parent).flatMap(({ role, parts }) => parts.map((part) => ({ role, part })));
      if (system) told.unshift({ role: "system", part: { kind: "text", text: system } });
      const [better, worse] = mark < 0 ? sides : [sides[1], sides[0]];
      found.push({
        prompt: { parts: await wired(told.map(({ part }) => part), library), roles: told.map(({ role }) => role) },
        chosen: await wired(better.parts, library),
        rejected: await wired(worse.parts, library),
        margin: MARGIN[Math.abs(mark)],
        behaviour,
        source: "playground",
      });
    }
  }
  return { text: found.map((record) => `${JSON.stringify(record)}\n`).join(""), count: found.length };
}

function wired(parts, library) {
  return Promise.all(
    parts.map(async (part) => {
      if (part.kind === "text") return { text: part.text.toWellFormed?.() ?? part.text };
      const medium = await library.medium(part.media);
      if (!medium) throw new Error("A medium of a preference is no longer in the browser; delete its conversation.");
      return { [part.kind]: { data: await base64(medium.blob) } };
    }),
  );
}
