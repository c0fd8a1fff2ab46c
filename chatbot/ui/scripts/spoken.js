// Texts for screen readers: the author of each message, labels of the list and the conversation, and
// each reply once, after it has ended. Gradio uses a message's HTML as its label, which is read
// instead of the text and changes with every frame.
window.chatbot.spoken = (() => {
  const { say } = window.chatbot.page;
  const { status } = window.chatbot;
  // Gradio's: the box of the messages, a row, and a part of it, which knows whose it is.
  const BOX = "#chatbot .bubble-wrap";
  const ROW = ".message-row";
  const PART = "[data-testid=user], [data-testid=bot]";
  const CLEARED = 10000;
  const AFTER = 300;
  // Letters of a reply that are told: the browser lays out all of them once more.
  const LONGEST = 4000;

  const give = (element, facts) => {
    for (const [name, value] of Object.entries(facts)) {
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    }
  };

  const name = (part) => {
    part.removeAttribute("aria-label");
    const author = say(part.dataset.testid === "user" ? "author_user" : "author_bot");
    const row = part.closest(ROW);
    if (row) give(row, { role: "article", "aria-label": author, "data-author": author });
  };
  const named = new MutationObserver((records) => {
    for (const part of new Set(records.map((record) => record.target))) {
      if (part.matches(PART) && part.hasAttribute("aria-label")) name(part);
    }
    // What has just been done here.
    named.takeRecords();
  });

  // Names in the language of the page, where Gradio has none or an English one.
  const NAMES = {
    "#chatbot .message-buttons button:first-child": "copy_label",
    "#prompt textarea": "ask_label",
    "#prompt .submit-button": "send_label",
    "#prompt .stop-button": "stop_label",
  };
  const LANDMARKS = {
    sidebar: { role: "navigation", "aria-label": "sessions_label" },
    conversation: { role: "region", "aria-label": "conversation" },
  };
  let box = null;
  let rows = 0;
  const findBox = () => {
    const now = document.querySelector(BOX);
    if (now === box) return;
    box = now;
    named.disconnect();
    if (!box) return;
    named.observe(box, { subtree: true, attributeFilter: ["aria-label", "data-testid"] });
    give(box, { "aria-live": "off", "aria-label": say("messages") });
  };
  const look = () => {
    findBox();
    if (box) {
      // While a reply grows, nothing but the newest row is new: a frame costs the same whatever
      // stands above it.
      const list = box.firstElementChild;
      const grows = status().running && rows === list?.childElementCount;
      rows = list?.childElementCount ?? 0;
      const newest = grows ? list.querySelectorAll(`:scope > ${ROW}:nth-last-of-type(-n+4)`) : [box];
      for (const place of newest) {
        for (const part of place.querySelectorAll("[data-testid][aria-label]")) name(part);
      }
      if (!grows) tidy();
    }
    tell();
  };
  const tidy = () => {
    for (const [id, { role, "aria-label": label }] of Object.entries(LANDMARKS)) {
      const element = document.getElementById(id);
      if (element) give(element, { role, "aria-label": say(label) });
    }
    for (const [these, key] of Object.entries(NAMES)) {
      for (const one of document.querySelectorAll(these)) {
        give(one, { "aria-label": say(key) });
        if (one.title) one.title = say(key);
      }
    }
    // Gradio calls the examples a list of no items, and the greeting an aside.
    for (const list of box.querySelectorAll("[role=list], [role=complementary]")) {
      list.removeAttribute("role");
      for (const one of list.querySelectorAll(":scope > button")) one.removeAttribute("aria-label");
    }
  };

  const speaker = () => {
    let made = document.getElementById("spoken");
    if (!made) {
      made = document.createElement("div");
      made.id = "spoken";
      made.setAttribute("role", "status");
      document.body.append(made);
    }
    return made;
  };
  let timer = 0;
  const speak = (text) => {
    speaker().textContent = text;
    clearTimeout(timer);
    // It is there to be heard, not to be found again below the page.
    timer = setTimeout(() => { speaker().textContent = ""; }, CLEARED);
  };

  // Formulas are in the page twice, and an arrow to another version is no part of a reply.
  const SILENT = ".katex-html, .thought-group, a[href*='#version-'], button, svg";
  const textOf = (row) => {
    const copy = row.cloneNode(true);
    for (const one of copy.querySelectorAll(SILENT)) one.remove();
    const parts = [...copy.querySelectorAll(PART)].map((part) => part.textContent.trim());
    const text = [say("author_bot"), ...parts].filter(Boolean).join("\n");
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  };

  let session = "";
  let newest = 0;
  let isRunning = false;
  const tell = () => {
    const { session: open, reply, running } = status();
    if (!open) return;
    const id = Number(reply ?? 0);
    const isSame = open === session;
    const wasRunning = isSame && isRunning;
    const isNew = isSame && id > newest;
    session = open;
    newest = isSame ? Math.max(newest, id) : id;
    isRunning = Boolean(running);
    if (isRunning) {
      if (isSame && !wasRunning) speak(say("answering"));
    } else if (wasRunning || isNew) {
      // The row is drawn with the line below the prompt, or a moment later. Not in the same task: a
      // heavy reply keeps the page busy long enough.
      setTimeout(() => {
        const row = [...document.querySelectorAll(`${BOX} .bot-row`)].at(-1);
        if (row) speak(textOf(row));
      }, AFTER);
    }
  };

  window.chatbot.watch(look);
})();
