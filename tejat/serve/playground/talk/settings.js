// How an answer is asked for. A field that is null is left to the model's own default.

/** Everything at its default. */
export const DEFAULTS = Object.freeze({
  model: "",
  system: "",
  answers: "any", // "any": text and pictures | "text" | "image": begun with a picture
  aspect: "", // of pictures drawn, "width:height"; "" lets the model choose
  size: "", // of pictures drawn: a name as "1K", or pixels as "96x64"; "" leaves them as they are drawn
  guidance: null,
  variety: null,
  codes: null,
  bestOf: null,
  temperature: null,
  topP: null,
  topK: null,
  maxOutputTokens: null,
  seed: null,
  stop: "", // one string a line
  mediaResolution: "", // "" | LOW | MEDIUM | HIGH, as in MEDIA_RESOLUTION_…
  schemaOn: false,
  schema: "",
});

/** Fields of `generationConfig` that are numbers: what a person may give, and what it does. */
export const NUMBERS = [
  { name: "temperature", label: "Temperature", least: 0, most: 2, step: 0.05, whole: false, hint: "0 always takes the likeliest token; more is more various." },
  { name: "topP", label: "Top P", least: 0.01, most: 1, step: 0.01, whole: false, hint: "Only the likeliest tokens that together have this probability." },
  { name: "topK", label: "Top K", least: 1, most: 1000, step: 1, whole: true, hint: "Only so many of the likeliest tokens." },
  { name: "maxOutputTokens", label: "Longest answer", least: 1, most: 1_000_000, step: 1, whole: true, hint: "In tokens." },
  { name: "seed", label: "Seed", least: 0, most: 2 ** 31 - 1, step: 1, whole: true, hint: "The same seed gives the same answer." },
];

/** The same of `imageConfig`, by which pictures are drawn; `field` is its name there. */
export const OF_PICTURES = [
  { name: "guidance", field: "guidanceScale", label: "Guidance", least: 1, most: 20, step: 0.5, whole: false, hint: "More follows what was asked more closely; 1 is none." },
  { name: "variety", field: "temperature", label: "Variety", least: 0, most: 2, step: 0.05, whole: false, hint: "0 always takes the likeliest code; more is more various." },
  { name: "codes", field: "topK", label: "Likeliest codes", least: 1, most: 1000, step: 1, whole: true, hint: "Only so many of the likeliest codes." },
  { name: "bestOf", field: "bestOf", label: "Best of", least: 1, most: 8, step: 1, whole: true, hint: "So many are drawn, and the one is shown that the model itself names best. It comes whole." },
];

const NAMED_SIZE = /^(512px|1K|2K)$/i;
const PIXELS = /^[1-9]\d{0,3}\s*[x×]\s*[1-9]\d{0,3}$/i;

/** Is this text pixels, which have a shape of their own? Throws an Error with one sentence for what is no size. */
export function isPixels(size) {
  if (!size || NAMED_SIZE.test(size)) return false;
  if (PIXELS.test(size)) return true;
  throw new Error("Give 512px, 1K, 2K, or width x height, as in 96x64.");
}

const MODALITIES = { any: ["TEXT", "IMAGE"], text: ["TEXT"], image: ["IMAGE"] };

/** `generationConfig` of a request. Throws an Error with one sentence for a field that makes no sense. */
export function generationConfig(settings) {
  const config = numbers(NUMBERS, settings);
  const stop = settings.stop.split("\n").filter(Boolean);
  if (stop.length) config.stopSequences = stop;
  if (settings.mediaResolution) config.mediaResolution = `MEDIA_RESOLUTION_${settings.mediaResolution}`;
  if (settings.schemaOn) {
    config.responseMimeType = "application/json";
    if (settings.schema.trim()) config.responseJsonSchema = schemaOf(settings.schema);
    config.responseModalities = ["TEXT"]; // JSON has no pictures in it
  } else {
    config.responseModalities = MODALITIES[settings.answers];
    const drawing = settings.answers === "text" ? {} : imageConfig(settings);
    if (Object.keys(drawing).length) config.imageConfig = drawing;
  }
  return config;
}

function imageConfig(settings) {
  const config = numbers(OF_PICTURES, settings);
  if (config.bestOf === 1) delete config.bestOf;
  const size = settings.size.trim();
  if (settings.aspect && !isPixels(size)) config.aspectRatio = settings.aspect;
  if (size) config.imageSize = size.replace("×", "x").replace(/\s/g, "");
  return config;
}

/** Those of the numbers that are given. */
function numbers(fields, settings) {
  const config = {};
  for (const { name, field = name, label, least, most, whole } of fields) {
    const value = settings[name];
    if (value === null || value === undefined) continue;
    if (!Number.isFinite(value) || value < least || value > most || (whole && !Number.isInteger(value))) {
      throw new Error(`“${label}” is ${value}; give a ${whole ? "whole " : ""}number from ${least} to ${most.toLocaleString("en")}.`);
    }
    config[field] = value;
  }
  return config;
}

/** The JSON schema in a text. Throws an Error with one sentence where there is none. */
export function schemaOf(text) {
  let schema;
  try {
    schema = JSON.parse(text);
  } catch (error) {
    throw new Error(`The schema is not JSON: ${error.message}.`);
  }
  if (schema === null || typeof schema !== "object" || Array.isArray(schema)) throw new Error("The schema is not a JSON object; begin it with {.");
  return schema;
}

/** Stored or imported settings with every field there and of the right type; what makes no sense falls to its default. */
export function mended(stored) {
  const settings = { ...DEFAULTS };
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const value = stored?.[name];
    const number = usual === null && typeof value === "number" && Number.isFinite(value);
    if (number || (usual !== null && typeof value === typeof usual)) settings[name] = value;
  }
  if (!Object.hasOwn(MODALITIES, settings.answers)) settings.answers = DEFAULTS.answers;
  return settings;
}
