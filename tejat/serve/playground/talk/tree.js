// A conversation is a tree: to edit a message or to ask again adds a branch, and nothing that was said is lost.
//
//   conversation  {id, title, named, created, updated, lanes: [settings, …], nodes: {id: node}, choice: {parent id or "": child id},
//                 preferences: {round: what was said of its answers, see preferences.js}, dropped: ids of nodes that never came to be}
//   node          {id, parent: id or null, role: "user" | "model", parts, created}, and for the model's also
//                 {model, lane, round, finish, usage, error, first, seconds}; answers of one round stand side by side
//   part          {kind: "text", text} | {kind: "image" | "audio" | "video", media: id, clip?: {start, end, fps}}

import { freshId } from "../dom.js";

const TITLE = 60; // characters

/** A conversation with nothing said yet. */
export function begin(lanes) {
  const now = Date.now();
  return { id: freshId(), title: "", named: false, created: now, updated: now, lanes: structuredClone(lanes), nodes: {}, choice: {} };
}

/** Puts a node under its parent and leads the path to it. */
export function add(conversation, fields) {
  const node = { id: freshId(), created: Date.now(), ...fields };
  conversation.nodes[node.id] = node;
  choose(conversation, node.id);
  conversation.updated = node.created;
  if (!conversation.named && !conversation.title && node.role === "user") conversation.title = titleOf(node.parts);
  return node;
}

/** The path leads through this node from now on. */
export function choose(conversation, id) {
  for (let node = conversation.nodes[id]; node; node = conversation.nodes[node.parent]) conversation.choice[node.parent ?? ""] = node.id;
}

/** The nodes from the first message to the last, as the branches are chosen. */
export function path(conversation) {
  const nodes = [];
  for (let id = conversation.choice[""]; id && conversation.nodes[id]; id = conversation.choice[id]) nodes.push(conversation.nodes[id]);
  return nodes;
}

/** The path that ends in a node, whatever is chosen. */
export function pathTo(conversation, id) {
  const nodes = [];
  for (let node = conversation.nodes[id]; node; node = conversation.nodes[node.parent]) nodes.unshift(node);
  return nodes;
}

/** The node and the other branches in its place, the oldest first. Answers of one round count as one branch. */
export function branches(conversation, node) {
  const children = Object.values(conversation.nodes).filter((other) => other.parent === node.parent);
  children.sort((a, b) => a.created - b.created);
  const rounds = new Map();
  for (const child of children) {
    const key = child.round ?? child.id;
    if (!rounds.has(key) || child.id === node.id) rounds.set(key, child);
  }
  return [...rounds.values()];
}

/** The answers beside this one, lane by lane; itself alone where there was no comparison. */
export function abreast(conversation, node) {
  if (!node.round) return [node];
  const beside = Object.values(conversation.nodes).filter((other) => other.round === node.round && other.parent === node.parent);
  return beside.sort((a, b) => (a.lane ?? 0) - (b.lane ?? 0));
}

/** Takes out a node that never came to be. */
export function drop(conversation, id) {
  const { parent } = conversation.nodes[id];
  delete conversation.nodes[id];
  (conversation.dropped ??= []).push(id);
  if (conversation.choice[parent ?? ""] === id) delete conversation.choice[parent ?? ""];
}

/** Brings in what another tab has said in the same conversation meanwhile. Names and chosen branches stay as they are here. */
export function merge(conversation, stored) {
  const dropped = new Set(conversation.dropped);
  if (stored.preferences) conversation.preferences = { ...stored.preferences, ...conversation.preferences };
  const ended = (node) => node.finish || node.error;
  for (const [id, node] of Object.entries(stored.nodes)) {
    const mine = conversation.nodes[id];
    if (mine ? ended(node) && !ended(mine) : !dropped.has(id)) conversation.nodes[id] = node;
  }
}

/** Ids of all media that a conversation needs. */
export function mediaOf(conversation) {
  const parts = Object.values(conversation.nodes).flatMap((node) => node.parts);
  return new Set(parts.filter((part) => part.media).map((part) => part.media));
}

/** What a conversation is called until somebody names it. */
export function titleOf(parts) {
  const text = parts.filter((part) => part.kind === "text").map((part) => part.text).join(" ").replace(/\s+/g, " ").trim();
  if (text) return [...text].length > TITLE ? [...text].slice(0, TITLE - 1).join("").trimEnd() + "…" : text;
  return { image: "A picture", audio: "A sound", video: "A film" }[parts[0]?.kind] ?? "";
}
