// From messages to the body of a request in the Gemini dialect. A medium goes in as `attach` gives it: bytes, a file's
// address, or, for the code to copy, a name.

import { generationConfig } from "./settings.js";

/**
 * The body for `generateContent`. `messages` are [{role, parts}], the last one the user's; `attach(part)` gives, perhaps
 * later, {inlineData} or {fileData}. Throws an Error with one sentence for settings that make no sense.
 */
export async function request(messages, settings, attach) {
  const config = generationConfig(settings);
  const contents = [];
  for (const { role, parts } of messages) {
    const wired = [];
    for (const part of parts) {
      if (part.kind === "text") {
        if (part.text) wired.push({ text: part.text.toWellFormed?.() ?? part.text });
      } else wired.push({ ...(await attach(part)), ...clip(part) });
    }
    // An answer that was stopped before its first word is no turn; two turns of one role in a row are one.
    if (!wired.length) continue;
    if (contents.at(-1)?.role === role) contents.at(-1).parts.push(...wired);
    else contents.push({ role, parts: wired });
  }
  const body = { contents };
  if (settings.system.trim()) body.systemInstruction = { parts: [{ text: settings.system.toWellFormed?.() ?? settings.system }] };
  if (Object.keys(config).length) body.generationConfig = config;
  return body;
}

function clip({ kind, clip }) {
  if (kind !== "video" || !clip) return {};
  const metadata = {};
  if (clip.start > 0) metadata.startOffset = `${clip.start}s`;
  if (clip.end) metadata.endOffset = `${clip.end}s`;
  if (clip.fps) metadata.fps = clip.fps;
  return Object.keys(metadata).length ? { videoMetadata: metadata } : {};
}
