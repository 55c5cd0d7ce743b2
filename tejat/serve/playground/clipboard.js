// To the clipboard, also where the page came over plain http and the newer interface is missing.

/** Copies text; false where the browser does not allow it. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    area.className = "unseen";
    const open = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body; // a modal dialog makes the rest inert
    open.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
