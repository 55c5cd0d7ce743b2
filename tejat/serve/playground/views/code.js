// "Get code": the request that would be sent now, as a program.

import { h } from "../dom.js";
import { codeBox } from "../markdown/view.js";
import { curl, fileName, googleGenai, openai } from "../talk/code.js";
import { request } from "../talk/request.js";
import { present } from "./dialog.js";
import { tabs } from "./tabs.js";

const LANGUAGES = [
  { name: "curl", label: "curl", language: "sh", write: curl },
  { name: "google-genai", label: "google-genai", language: "python", write: googleGenai },
  { name: "openai", label: "openai", language: "python", write: openai },
];

/** Shows the code for `messages` with `settings`. Throws an Error with one sentence for settings that make no sense. */
export async function showCode(messages, settings, library, withKey) {
  const taken = new Set();
  const names = new Map();
  const body = await request(messages, settings, async (part) => {
    const medium = await library.medium(part.media);
    if (!names.has(part.media)) names.set(part.media, fileName(medium, taken));
    return { inlineData: { mimeType: medium.mime, file: names.get(part.media) } };
  });
  const origin = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const model = settings.model.replace(/^models\//, "");
  const entries = LANGUAGES.map(({ name, label, language, write }) => ({
    name,
    label,
    content: () => codeBox(write(origin, model, body, withKey), language),
  }));
  const files = names.size ? h("p", { class: "hint" }, `It reads ${[...names.values()].join(", ")} from the folder where it runs.`) : null;
  await present("Get code", [tabs("Language", entries), files].filter(Boolean), { className: "wide" });
}
