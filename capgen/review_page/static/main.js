// The page of `capgen review`: puts its parts together.

import { showAgreement } from "./agreement.js";
import { ApiError, ask } from "./api.js";
import { Conflicts } from "./conflicts.js";
import { Decisions } from "./decisions.js";
import { byId } from "./dom.js";
import { Drafts } from "./drafts.js";
import { Events } from "./events.js";
import { Items } from "./items.js";
import { claimWindow, Kept } from "./kept.js";
import { fillHelp, listen } from "./keys.js";
import { Replace } from "./replace.js";
import { Reviewer } from "./reviewer.js";
import { showLooked } from "./looked.js";
import { Status } from "./status.js";

const items = new Items();

async function start() {
  const window = await claimWindow();
  const events = new Events(window);
  await events.begin();
  items.load(await ask("/api/items"));
  const kept = await Kept.open(items.file, window);
  const decisions = new Decisions(items, kept, () => reload());
  const drafts = new Drafts(items, kept);
  const status = new Status(items, decisions);
  const conflicts = new Conflicts(items, decisions);
  await drafts.adopt();
  const reviewer = new Reviewer({ items, decisions, drafts, status });
  const replace = new Replace(items, {
    ids: () => reviewer.ids,
    apply: (changes) => reviewer.replaceAll(changes),
  });
  connect({ reviewer, decisions, conflicts, replace });
  if (!kept.lasting) status.tell("This browser keeps nothing: what is not saved is lost with it.");
  await decisions.adopt();
  await reviewer.start();
  events.connect(items, decisions);
  addEventListener("beforeunload", (event) => {
    if (decisions.unsaved > 0) event.preventDefault();
  });
  document.body.dataset.ready = "";

  async function reload() {
    const content = await ask("/api/items");
    if ((content.file ?? content.name) !== items.file) {
      throw new ApiError("The server now shows another file: reload the page.", 0);
    }
    items.load(content);
    await drafts.adopt();
    events.listen();
  }
}

function connect({ reviewer, decisions, conflicts, replace }) {
  const commands = {
    ...reviewer.commands(),
    replace: () => replace.open(),
    agreement: showAgreement,
    conflicts: () => conflicts.open(),
    looked: () => showLooked(items.at(reviewer.current)),
    retry: () => decisions.retry(),
    help: () => byId("help").showModal(),
  };
  for (const dialog of document.querySelectorAll("dialog")) {
    // What opened it may be gone.
    dialog.addEventListener("close", () => {
      if (document.activeElement === document.body) reviewer.focus();
    });
  }
  fillHelp();
  listen((command, key) => commands[command](key));
  for (const button of document.querySelectorAll("button[data-command]")) {
    button.addEventListener("click", (event) => {
      commands[button.dataset.command]();
      // A mouse or a finger leaves the focus where the keys are expected.
      if (event.detail > 0) reviewer.focus();
    });
  }
}

start().catch((error) => {
  byId("fault").hidden = false;
  byId("fault-text").textContent = `The page could not start: ${error.message}`;
  if (!(error instanceof ApiError)) throw error;
});
