// The examples of @google/genai's documentation, against the server whose address is given; only `baseUrl` differs.
//
//     node google_genai.mjs http://127.0.0.1:8080 MEDIA_DIRECTORY

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { ApiError, createPartFromUri, createUserContent, GoogleGenAI, Type } from "@google/genai";

const [base, media] = process.argv.slice(2);
const ai = new GoogleGenAI({ apiKey: "any", httpOptions: { baseUrl: base } });
const model = "gemini-2.5-flash";
const inline = (name, mimeType) => ({ inlineData: { mimeType, data: readFileSync(join(media, name)).toString("base64") } });

const examples = {
  async text() {
    const response = await ai.models.generateContent({ model, contents: "Why is the sky blue?" });
    assert.ok(response.text && response.usageMetadata.totalTokenCount > 0);
    const config = { systemInstruction: "Be brief.", temperature: 0.3, topK: 40, maxOutputTokens: 20, candidateCount: 2 };
    const both = await ai.models.generateContent({ model, contents: "Hello", config });
    assert.equal(both.candidates.length, 2);
  },
  async streams() {
    let chunks = 0;
    for await (const chunk of await ai.models.generateContentStream({ model, contents: "Write a 100-word poem." })) {
      assert.ok(chunk.candidates.length);
      chunks++;
    }
    assert.ok(chunks > 1);
    const chat = ai.chats.create({ model, config: { maxOutputTokens: 10 } });
    await chat.sendMessage({ message: "I have 2 dogs in my house." });
    for await (const chunk of await chat.sendMessageStream({ message: "How many paws?" })) assert.ok(chunk.candidates);
  },
  async media() {
    const contents = [inline("cat.png", "image/png"), inline("word.wav", "audio/wav"), { text: "What is this?" }];
    const response = await ai.models.generateContent({ model, contents, config: { maxOutputTokens: 10 } });
    const kinds = response.usageMetadata.promptTokensDetails.map((detail) => detail.modality);
    assert.deepEqual(kinds.sort(), ["AUDIO", "IMAGE", "TEXT"]);
    const clip = { ...inline("clip.mp4", "video/mp4"), videoMetadata: { startOffset: "0.5s", endOffset: "2s", fps: 2 } };
    assert.ok((await ai.models.countTokens({ model, contents: [clip] })).totalTokens > 10);
  },
  async json() {
    const n = { type: Type.STRING, enum: ["one", "two"] };
    const schema = { type: Type.OBJECT, properties: { n, list: { type: Type.ARRAY, minItems: "1", maxItems: "2", items: n } } };
    const config = { responseMimeType: "application/json", responseSchema: { ...schema, required: ["n", "list"] } };
    const response = await ai.models.generateContent({ model, contents: "One or two?", config });
    assert.ok(["one", "two"].includes(JSON.parse(response.text).n));
  },
  async files() {
    const file = await ai.files.upload({ file: join(media, "big.bin"), config: { mimeType: "application/octet-stream" } });
    assert.equal(Number(file.sizeBytes), readFileSync(join(media, "big.bin")).length);
    const image = await ai.files.upload({ file: join(media, "cat.png"), config: { mimeType: "image/png", displayName: "cat" } });
    const contents = createUserContent([createPartFromUri(image.uri, image.mimeType), "Caption this image."]);
    assert.ok((await ai.models.generateContent({ model, contents, config: { maxOutputTokens: 10 } })).candidates.length);
    const names = [];
    for await (const one of await ai.files.list({ config: { pageSize: 1 } })) names.push(one.name);
    assert.ok(names.includes(file.name) && names.includes(image.name));
    for (const one of [file, image]) await ai.files.delete({ name: one.name });
    await assert.rejects(ai.files.get({ name: image.name }), (error) => error instanceof ApiError && error.status === 404);
  },
  async pictures() {
    const config = { responseModalities: ["IMAGE"], imageConfig: { aspectRatio: "16:9" }, maxOutputTokens: 100 };
    const response = await ai.models.generateContent({ model, contents: "Create a picture of a cat", config });
    const part = response.candidates[0].content.parts.find((one) => one.inlineData);
    assert.equal(part.inlineData.mimeType, "image/png");
  },
  async vectors() {
    const contents = ["What is the meaning of life?", "And of a cat's?"];
    const response = await ai.models.embedContent({ model: "text-embedding-004", contents, config: { outputDimensionality: 6 } });
    assert.deepEqual(response.embeddings.map((one) => one.values.length), [6, 6]);
  },
  async models() {
    const names = [];
    for await (const one of await ai.models.list()) names.push(one.name);
    assert.ok(names.length && (await ai.models.get({ model })).inputTokenLimit > 0);
  },
  async problems() {
    const wrong = [{ contents: "a", config: { temperature: -1 } }, { contents: [inline("note.txt", "image/png")] }];
    for (const one of wrong) {
      await assert.rejects(ai.models.generateContent({ model, ...one }), (error) => error instanceof ApiError && error.status === 400);
    }
  },
};

for (const [name, example] of Object.entries(examples)) {
  const began = Date.now();
  await example();
  console.log(`  ${name}: ${((Date.now() - began) / 1000).toFixed(1)} s`);
}
console.log("all examples ran");
