// The person's conversations and their media, and the rule that a medium lives as long as a conversation needs it.

import { mediaOf, merge } from "../talk/tree.js";
import { open } from "./database.js";

const UNSENT = 86_400_000; // milliseconds: another tab may hold a younger one in its prompt

export class Library {
  #database;
  #media = new Map(); // id → medium, those seen on this page
  #urls = new Map(); // medium id, or that and " poster" → object URL

  /** The library of this browser. */
  static async open() {
    const library = new Library();
    library.#database = await open();
    return library;
  }

  get lasting() {
    return this.#database.lasting;
  }

  /** All conversations, the latest first. */
  async conversations() {
    return (await this.#database.all("conversations")).sort((a, b) => b.updated - a.updated);
  }

  /** Stores a conversation together with what another tab has added to it, which is then in it here too. */
  save(conversation) {
    return this.#database.change("conversations", conversation.id, (stored) => {
      if (stored) merge(conversation, stored);
      return structuredClone(conversation);
    });
  }

  /** Deletes a conversation, and those of its media that neither another one nor `held` needs. */
  async delete(conversation, held = []) {
    await this.#database.remove("conversations", conversation.id);
    const needed = new Set([...held, ...(await this.#needed())]);
    for (const id of mediaOf(conversation)) if (!needed.has(id)) await this.#forget(id);
  }

  async addMedium(medium) {
    const stored = { ...medium, added: Date.now() };
    this.#media.set(medium.id, stored);
    await this.#database.put("media", stored);
    return stored;
  }

  /** A medium by its id; null where it is gone. */
  async medium(id) {
    if (!this.#media.has(id)) {
      const stored = await this.#database.get("media", id);
      if (stored) this.#media.set(id, stored);
    }
    return this.#media.get(id) ?? null;
  }

  /** An address on this page of a medium's bytes, or of its poster. */
  url(medium, what = "blob") {
    const name = `${medium.id} ${what}`;
    if (!this.#urls.has(name)) this.#urls.set(name, URL.createObjectURL(medium[what]));
    return this.#urls.get(name);
  }

  /** Deletes media that were attached long ago and never sent. */
  async tidy() {
    const needed = await this.#needed();
    for (const id of await this.#database.keys("media")) {
      if (needed.has(id)) continue;
      const medium = await this.#database.get("media", id);
      if (medium.added < Date.now() - UNSENT) await this.#forget(id);
    }
  }

  async #needed() {
    return new Set((await this.#database.all("conversations")).flatMap((conversation) => [...mediaOf(conversation)]));
  }

  async #forget(id) {
    await this.#database.remove("media", id);
    this.#media.delete(id);
    for (const what of ["blob", "poster"]) {
      const name = `${id} ${what}`;
      if (this.#urls.has(name)) URL.revokeObjectURL(this.#urls.get(name));
      this.#urls.delete(name);
    }
  }
}
