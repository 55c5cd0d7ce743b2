// History in the browser: conversations and media in IndexedDB; in memory alone where the browser keeps nothing.

const NAME = "tejat";
const STORES = ["conversations", "media"];

/** Opens it. `lasting` is false where nothing outlives the page. */
export async function open() {
  try {
    return new Database(await opened());
  } catch {
    return new Memory();
  }
}

class Database {
  lasting = true;
  #database;

  constructor(database) {
    this.#database = database;
    // Another tab of a newer version may change it.
    database.onversionchange = () => database.close();
  }

  all = (store) => this.#run(store, "readonly", (s) => s.getAll());
  get = (store, id) => this.#run(store, "readonly", (s) => s.get(id));
  put = (store, value) => this.#run(store, "readwrite", (s) => s.put(value));
  /** Puts what `change` makes of the value that is there, or of undefined; no other tab comes between. */
  change = (store, id, change) =>
    this.#run(store, "readwrite", (s) => {
      const request = s.get(id);
      request.onsuccess = () => s.put(change(request.result));
      return request;
    });
  remove = (store, id) => this.#run(store, "readwrite", (s) => s.delete(id));
  keys = (store) => this.#run(store, "readonly", (s) => s.getAllKeys());

  #run(store, mode, act) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(store, mode);
      const request = act(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(lost(transaction.error));
      transaction.onerror = () => reject(lost(transaction.error));
    });
  }
}

class Memory {
  lasting = false;
  #stores = Object.fromEntries(STORES.map((name) => [name, new Map()]));

  all = async (store) => [...this.#stores[store].values()].map((value) => ({ ...value }));
  get = async (store, id) => this.#stores[store].get(id);
  put = async (store, value) => void this.#stores[store].set(value.id, value);
  change = async (store, id, change) => void this.#stores[store].set(id, change(this.#stores[store].get(id)));
  remove = async (store, id) => void this.#stores[store].delete(id);
  keys = async (store) => [...this.#stores[store].keys()];
}

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name, { keyPath: "id" }));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("another tab holds an older version"));
  });
}

function lost(error) {
  const full = error?.name === "QuotaExceededError";
  return new Error(full ? "The browser's storage is full; delete a conversation, or export it first." : "The browser did not store the conversation.");
}
