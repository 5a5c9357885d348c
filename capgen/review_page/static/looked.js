// Where the model looked, word by word.

import { fetchBlob } from "./api.js";
import { byId, element, hint, sentence } from "./dom.js";

export async function showLooked(row) {
  const dialog = byId("looked");
  if (row === undefined || dialog.open) return;
  const content = byId("looked-content");
  content.replaceChildren(element("p", {}, "Looking…"));
  dialog.showModal();
  const ended = new AbortController();
  dialog.addEventListener("close", () => ended.abort(), { once: true });
  try {
    const address = URL.createObjectURL(await fetchBlob(`/looked/${row.id}`, ended.signal));
    dialog.addEventListener("close", () => URL.revokeObjectURL(address), { once: true });
    const alt = `Where the model looked for each word of: ${row.proposed ?? "no caption"}`;
    content.replaceChildren(element("img", { src: address, alt, dir: "auto" }));
  } catch (error) {
    if (error.name === "AbortError") return;
    content.replaceChildren(
      element("p", { class: "bad" }, `${sentence(error.message)}${hint(error)}`),
    );
  }
}
