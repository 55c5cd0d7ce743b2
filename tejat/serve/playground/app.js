// The playground: one conversation on show, the list of all, and what passes between the views and the server.

import { announce, murmur } from "./announce.js";
import { freshId, whenQuiet } from "./dom.js";
import { attach } from "./server/attach.js";
import { countTokens, models } from "./server/gemini.js";
import { keep, key, remembered } from "./server/key.js";
import { Library } from "./store/library.js";
import { pack, unpack } from "./store/transfer.js";
import { answer, body } from "./talk/answering.js";
import { DEFAULTS, mended } from "./talk/settings.js";
import { comparable, lines, MARKS, prefer, preferred } from "./talk/preferences.js";
import { abreast, add, begin, choose, drop, path, pathTo } from "./talk/tree.js";
import { ConversationView } from "./views/conversation.js";
import { CounterView } from "./views/counter.js";
import { Composer } from "./views/composer.js";
import { askForKey, enlarge } from "./views/dialog.js";
import { watchDrops } from "./views/drops.js";
import { Frame } from "./views/frame.js";
import { HistoryView } from "./views/history.js";
import { keysHelp, watchKeys } from "./views/keys.js";
import { usualBehaviour } from "./views/preference.js";
import { save } from "./views/save.js";
import { SettingsView } from "./views/settings.js";
import { showCode } from "./views/code.js";
import { turnTheme } from "./views/theme.js";

const LANES = "tejat-lanes";

class Playground {
  #library;
  #conversation;
  #conversations = [];
  #running = new Map(); // node id → {conversation, abort}
  #models = [];
  #editing = null; // the node whose parts are in the prompt
  #counting = null;
  #counted = { total: 0, limit: 0 };

  async start() {
    this.#library = await Library.open();
    if (!this.#library.lasting) announce("This browser keeps no history here: conversations end with this page.", { lasting: true });
    this.#build();
    this.#conversation = begin(this.#usualLanes());
    await this.#refreshList();
    const wanted = this.#conversations.find(({ id }) => location.hash === `#${id}`);
    if (wanted) this.#conversation = wanted;
    this.#show();
    this.composer.focus();
    await this.#askModels();
    this.#library.tidy().catch(() => {});
  }

  #build() {
    const library = this.#library;
    const enlarged = (medium) => enlarge(medium, library.url(medium));
    this.composer = new Composer({
      library,
      enlarge: enlarged,
      changed: () => this.#count(),
      send: (parts) => this.#send(parts),
      stop: () => this.#stop(),
      cancelEdit: () => this.#cancelEdit(),
      editLast: () => this.#edit(path(this.#conversation).findLast(({ role }) => role === "user")),
      // Large media are on their way while the person still writes.
      attached: (medium, told) => this.#models.length && attach(medium, told).catch((error) => announce(error.message, { lasting: true })),
    });
    this.counter = new CounterView();
    this.composer.counter.append(this.counter.node);
    this.view = new ConversationView({
      library,
      enlarge: enlarged,
      name: (model) => this.#modelOf(model)?.displayName || (model ?? "").replace(/^models\//, "") || "Model",
      running: (id) => this.#running.has(id),
      reuse: (medium) => this.composer.addMedium(medium),
      edit: (node) => this.#edit(node),
      again: (node) => this.#again(node),
      branch: (node) => this.#choose(node, ".branches button:not(:disabled)"),
      choose: (node) => this.#choose(node, ".choice"),
      try: (text) => this.composer.write(text),
      prefer: (round, mark, behaviour) => this.#prefer(round, mark, behaviour),
    });
    this.history = new HistoryView({
      open: (id) => this.#open(id),
      begin: () => this.#begin(),
      rename: (id, title) => this.#rename(id, title),
      delete: (id) => this.#delete(id),
      export: (id) => this.#export(id),
      import: (file) => this.#import(file),
      preferences: () => this.#savePreferences(),
      keys: () => keysHelp(),
      theme: () => announce(turnTheme()),
      shut: () => this.frame.toggle("history", false),
    });
    this.settings = new SettingsView({
      changed: () => this.#settingsChanged(),
      modelOf: (name) => this.#modelOf(name),
      shut: () => this.frame.toggle("settings", false),
    });
    this.frame = new Frame({
      history: this.history,
      settings: this.settings,
      view: this.view,
      composer: this.composer,
      compare: () => this.#compare(),
      code: () => this.#code(),
      key: () => this.#askKey("The key is sent to this server with every request.").then((given) => given && this.#askModels()),
      model: (lane, name) => {
        this.#lanes[lane].model = name;
        this.#settingsChanged();
        this.settings.update(this.#lanes, true);
      },
    });
    this.frame.keyed = Boolean(key());
    document.getElementById("house").append(...this.frame.nodes);
    watchDrops(document.getElementById("house"), (files) => this.composer.addFiles(files));
    watchKeys({
      begin: () => this.#begin(),
      history: () => this.frame.toggle("history"),
      settings: () => this.frame.toggle("settings"),
      compare: () => this.#compare(),
      code: () => this.#code(),
      prompt: () => this.composer.focus(),
      stop: () => this.#stop(),
      help: () => keysHelp(),
      prefer: (number) => this.#preferLast(number),
    });
    addEventListener("hashchange", () => {
      const id = location.hash.slice(1);
      if (id && id !== this.#conversation.id && this.#conversations.some((conversation) => conversation.id === id)) this.#open(id);
    });
    addEventListener("beforeunload", (event) => {
      if (this.#running.size || !this.composer.empty) event.preventDefault();
    });
  }

  // Models and keys

  async #askModels() {
    try {
      this.#models = await models();
      this.frame.trouble = null;
      if (!this.#models.length) this.frame.trouble = { sentence: "The server has no model that answers.", again: () => this.#askModels() };
    } catch (error) {
      this.#models = [];
      if (error.needsKey && (await this.#askKey(error.message))) return this.#askModels();
      this.frame.trouble = { sentence: error.message, again: () => this.#askModels() };
    }
    this.#settleModels();
    this.settings.update(this.#lanes, true); // its hints tell the models' own defaults
    this.#show();
  }

  #settleModels() {
    for (const settings of this.#lanes) if (!this.#modelOf(settings.model) && this.#models.length) settings.model = this.#models[0].name;
  }

  async #askKey(reason) {
    const given = await askForKey(reason, { known: key(), remembered: remembered() });
    if (given) keep(given.key, given.remember);
    this.frame.keyed = true;
    return Boolean(given);
  }

  #modelOf(name) {
    return this.#models.find((model) => model.name === name) ?? null;
  }

  // Asking and answering

  async #send(parts) {
    if (!this.#models.length) await this.#askModels();
    if (!this.#models.length) return;
    if (this.#counted.total > this.#counted.limit && this.#counted.limit) {
      announce("This is more than the model can hold; shorten the message, take a medium out, or begin a new conversation.", { lasting: true });
      return;
    }
    const parent = this.#editing ? this.#editing.parent : (path(this.#conversation).at(-1)?.id ?? null);
    const user = add(this.#conversation, { role: "user", parent, parts });
    this.#editing = null;
    this.composer.clear();
    await this.#answer(user.id);
  }

  /** An answer in every lane to the message with this id. */
  async #answer(parent) {
    const conversation = this.#conversation;
    const lanes = structuredClone(this.#lanes);
    const round = lanes.length > 1 ? freshId() : undefined;
    const nodes = lanes.map((settings, lane) => add(conversation, { role: "model", parent, parts: [], model: settings.model, lane, round, json: settings.schemaOn }));
    choose(conversation, nodes[0].id);
    const runs = nodes.map((node, lane) => this.#run(conversation, node, lanes[lane]));
    this.#show();
    await this.#save(conversation);
    this.view.toEnd();
    await Promise.all(runs);
    await this.#save(conversation);
    const failed = nodes.find((node) => node.needsKey);
    if (failed && (await this.#askKey(failed.error))) {
      delete failed.needsKey;
      this.#again(failed);
    }
  }

  async #run(conversation, node, settings) {
    const abort = new AbortController();
    this.#running.set(node.id, { conversation, abort });
    this.composer.busy = true;
    let frame = 0;
    const draw = () => (frame ||= requestAnimationFrame(() => {
      frame = 0;
      this.view.grow(conversation, node);
    }));
    try {
      await answer(conversation, node, settings, this.#library, { signal: abort.signal, changed: draw });
    } finally {
      cancelAnimationFrame(frame);
      this.#running.delete(node.id);
      this.composer.busy = this.#isBusy();
    }
    murmur(node.error ?? (node.finish === "STOPPED" ? "Stopped." : `The answer is there: ${told(node)}`));
    if (conversation === this.#conversation) this.#show();
  }

  #isBusy() {
    return [...this.#running.values()].some(({ conversation }) => conversation === this.#conversation);
  }

  #stop() {
    for (const { conversation, abort } of this.#running.values()) if (conversation === this.#conversation) abort.abort();
  }

  #again(node) {
    if (this.#isBusy()) return;
    const beside = abreast(this.#conversation, node);
    // An answer that never began is replaced, and is no branch.
    for (const other of beside) if (other.error && !other.parts.length) drop(this.#conversation, other.id);
    this.#answer(node.parent);
  }

  #edit(node) {
    if (!node || this.#isBusy()) return;
    this.#editing = node;
    this.composer.load(node.parts, { editing: true });
  }

  #cancelEdit() {
    this.#editing = null;
    this.composer.clear();
    this.composer.focus();
  }

  #choose(node, focused) {
    choose(this.#conversation, node.id);
    this.#save(this.#conversation);
    this.#show();
    this.view.focus(node.id, focused);
  }

  // Preferences

  /** Of the answers of a round; the talk goes on from the better one. */
  #prefer(round, mark, behaviour) {
    const conversation = this.#conversation;
    prefer(conversation, round, mark, behaviour);
    const sides = abreast(conversation, Object.values(conversation.nodes).find((node) => node.round === round));
    if (mark && sides[1].parent === sides[0].parent) choose(conversation, sides[mark < 0 ? 0 : 1].id);
    this.#save(conversation);
    this.#show();
    murmur(`${MARKS.find((known) => known.mark === mark).label}, ${behaviour}.`);
  }

  /** By the keyboard: of the last two answers. */
  #preferLast(number) {
    const last = path(this.#conversation).findLast((node) => node.round);
    if (!last || this.#isBusy() || !comparable(abreast(this.#conversation, last))) return announce("Two whole answers side by side can be compared: Alt+C.");
    this.#prefer(last.round, MARKS[number - 1].mark, preferred(this.#conversation, last.round)?.behaviour ?? usualBehaviour());
    this.composer.focus();
  }

  async #savePreferences() {
    try {
      const { text, count } = await lines(this.#conversations, this.#library);
      if (!count) return announce("No answer was said to be better yet: compare two answers, and choose.");
      save(new Blob([text], { type: "application/jsonl" }), "tejat-preferences.jsonl");
      announce(`${count} preference${count === 1 ? "" : "s"} saved.`);
    } catch (error) {
      announce(error.message, { lasting: true });
    }
  }

  // Conversations

  #open(id) {
    const running = [...this.#running.values()].find(({ conversation }) => conversation.id === id);
    const found = running?.conversation ?? this.#conversations.find((conversation) => conversation.id === id);
    if (!found) return;
    if (this.#editing) this.#cancelEdit();
    this.#conversation = found;
    this.#settleModels();
    this.frame.narrowShut();
    this.#show();
    this.composer.focus();
  }

  #begin() {
    if (this.#editing) this.#cancelEdit();
    this.#conversation = begin(this.#lanes);
    this.frame.narrowShut();
    this.#show();
    this.composer.focus();
  }

  async #rename(id, title) {
    const found = this.#conversations.find((conversation) => conversation.id === id);
    Object.assign(found, { title, named: true });
    await this.#save(found);
    this.#show();
  }

  async #delete(id) {
    for (const { conversation, abort } of this.#running.values()) if (conversation.id === id) abort.abort();
    const found = this.#conversations.find((conversation) => conversation.id === id);
    found.deleted = true;
    await this.#library.delete(found, this.composer.media);
    if (this.#conversation.id === id) this.#conversation = begin(this.#lanes);
    await this.#refreshList();
    this.#show();
    announce("Deleted.");
  }

  async #export(id) {
    const chosen = id ? this.#conversations.filter((conversation) => conversation.id === id) : this.#conversations;
    if (!chosen.length) return announce("There is no conversation to export yet.");
    const name = id ? (chosen[0].title || "conversation").replace(/[^\p{L}\p{N}_-]+/gu, "-").slice(0, 60) : "conversations";
    save(await pack(chosen, this.#library), `tejat-${name}.json`);
  }

  async #import(file) {
    try {
      const found = await unpack(file, this.#library);
      await this.#refreshList();
      this.#show();
      announce(`${found} conversation${found === 1 ? "" : "s"} imported.`);
    } catch (error) {
      announce(error.message, { lasting: true });
    }
  }

  async #save(conversation) {
    if (conversation.deleted || !Object.keys(conversation.nodes).length) return;
    try {
      await this.#library.save(conversation);
    } catch (error) {
      announce(error.message, { lasting: true });
    }
    await this.#refreshList();
  }

  #saveSoon = whenQuiet(400, (conversation) => this.#save(conversation));

  async #refreshList() {
    const stored = await this.#library.conversations();
    const live = new Map([...this.#running.values()].map(({ conversation }) => [conversation.id, conversation]));
    if (this.#conversation) live.set(this.#conversation.id, this.#conversation);
    this.#conversations = stored.map((conversation) => live.get(conversation.id) ?? conversation);
    this.history.update(this.#conversations, this.#conversation?.id);
  }

  // Settings, counting, drawing

  get #lanes() {
    return this.#conversation.lanes;
  }

  #usualLanes() {
    try {
      const stored = JSON.parse(localStorage.getItem(LANES));
      return Array.isArray(stored) && stored.length ? stored.slice(0, 2).map(mended) : [{ ...DEFAULTS }];
    } catch {
      return [{ ...DEFAULTS }];
    }
  }

  #settingsChanged() {
    localStorage.setItem(LANES, JSON.stringify(this.#lanes));
    this.#saveSoon(this.#conversation);
    this.frame.update(this.#conversation, this.#models);
    this.#count();
  }

  #compare() {
    const lanes = this.#lanes;
    if (lanes.length > 1) lanes.pop();
    else {
      const other = this.#models.find((model) => model.name !== lanes[0].model);
      lanes.push({ ...structuredClone(lanes[0]), model: other?.name ?? lanes[0].model });
      announce(other ? "Two models answer side by side." : "Two answers side by side: give B other settings.");
    }
    this.settings.update(lanes);
    this.#settingsChanged();
  }

  async #code() {
    const draft = this.composer.parts;
    const said = this.#said();
    if (!draft.length && said.at(-1)?.role === "model") said.pop();
    if (!draft.length && !said.length) return announce("Write a message first; the code sends it.");
    try {
      await showCode(draft.length ? [...said, { role: "user", parts: draft }] : said, this.#lanes[0], this.#library, Boolean(key()));
    } catch (error) {
      announce(error.message, { lasting: true });
    }
  }

  /** What comes before the prompt. */
  #said() {
    if (this.#editing) return this.#editing.parent ? pathTo(this.#conversation, this.#editing.parent) : [];
    return path(this.#conversation);
  }

  #count = whenQuiet(300, async () => {
    this.#counting?.abort();
    const { signal } = (this.#counting = new AbortController());
    const [settings] = this.#lanes;
    const parts = this.composer.parts;
    const messages = [...this.#said(), ...(parts.length ? [{ role: "user", parts }] : [])];
    const limit = this.#modelOf(settings.model)?.inputTokenLimit ?? 0;
    if (!messages.length || !this.#models.length || this.#isBusy()) {
      this.#counted = { total: 0, limit };
      return this.counter.update(null, limit);
    }
    this.counter.stale = true;
    try {
      const counted = await countTokens(settings.model, await body(messages, settings, this.#library, signal), signal);
      if (signal.aborted) return;
      this.#counted = { total: counted.totalTokens ?? 0, limit };
      this.counter.update(counted, limit);
      this.counter.stale = false;
    } catch (error) {
      if (signal.aborted) return;
      if (error.needsKey) this.frame.keyed = true;
      // Sending tells what is wrong; the count alone is no reason to interrupt.
      this.#counted = { total: 0, limit };
      this.counter.update(null, limit);
    }
  });

  #show() {
    const { id } = this.#conversation;
    const hash = Object.keys(this.#conversation.nodes).length ? `#${id}` : "";
    if (location.hash !== hash) window.history.replaceState(null, "", hash || location.pathname + location.search);
    document.title = this.#conversation.title ? `${this.#conversation.title} · Tejat` : "Tejat";
    this.view.update(this.#conversation);
    this.history.update(this.#conversations, id);
    this.settings.update(this.#lanes);
    this.frame.update(this.#conversation, this.#models);
    this.composer.busy = this.#isBusy();
    this.#count();
  }
}

function told({ parts }) {
  return parts.map((part) => (part.kind === "text" ? part.text.slice(0, 2000) : "a picture")).join(" ");
}

new Playground().start();
