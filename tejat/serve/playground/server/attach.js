// A medium on its way to the server: small ones within the request, large ones once, as a file that the server keeps.

import { upload } from "./gemini.js";

const INLINE = 256 * 1024; // bytes
const MARGIN = 60_000; // milliseconds before a file expires at which it counts as gone

const files = new Map(); // media id → promise of the server's file

/** {inlineData} or {fileData} for a stored medium; `told(fraction)` while it is uploaded, once for all who ask. */
export async function attach(medium, told) {
  const mimeType = medium.mime;
  if (medium.blob.size <= INLINE) return { inlineData: { mimeType, data: await base64(medium.blob) } };
  let file = files.has(medium.id) ? await files.get(medium.id) : null;
  if (!file || (file.expirationTime && Date.parse(file.expirationTime) < Date.now() + MARGIN)) {
    const sent = upload(medium.blob, medium, told);
    files.set(medium.id, sent);
    try {
      file = await sent;
    } catch (error) {
      files.delete(medium.id);
      throw error;
    }
  }
  return { fileData: { mimeType: file.mimeType ?? mimeType, fileUri: file.uri } };
}

/** Forgets what was uploaded: the server does not know it any more. */
export function forgetFiles() {
  files.clear();
}

/** The bytes of a blob in standard base64. */
export function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The browser could not read the file; was it moved?"));
    reader.readAsDataURL(blob);
  });
}

/** The bytes of base64, in either alphabet. Throws an Error for what is none. */
export function unbase64(text) {
  let binary;
  try {
    binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw new Error("The bytes of a medium are not base64.");
  }
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}
