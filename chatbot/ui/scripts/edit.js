// Edits a question in our own box, in place of the bubble. The box starts with the stored text,
// requested from the server. It belongs to one question of one session: if these change, it closes.
// The edited text is kept until it is sent.
window.chatbot.edit = (() => {
  const { ask, say } = window.chatbot.page;
  // Gradio's: the pencil (the last of a question's buttons; its label is in the page's language),
  // the row of a question, and the buttons below a row.
  const PENCIL = "#chatbot .user-row + .message-buttons button ~ button";
  const ROW = ".message-row";
  const QUESTION_ROWS = "#chatbot .user-row";
  const BUTTONS = ".message-buttons";
  const typed = new Map();
  let open = null;

  const close = () => {
    open?.row.removeAttribute("data-editing");
    open?.form.remove();
    open = null;
  };
  const cancel = () => {
    if (open) typed.delete(open.question);
    close();
    window.chatbot.focus.prompt();
  };
  // As high as its text; what is empty cannot be sent.
  const fit = (box, go) => {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
    go.disabled = !box.value.trim();
  };

  const button = (kind, key) => {
    const made = document.createElement("button");
    made.type = kind === "submit" ? "submit" : "button";
    made.className = kind;
    made.textContent = say(key);
    return made;
  };

  const send = () => {
    if (!open || open.sent || !open.box.value.trim()) return;
    open.sent = true;
    open.form.toggleAttribute("data-sent", true);
    document.getElementById("edit-send")?.click();
  };

  const show = (row, session, question, words) => {
    close();
    const form = document.createElement("form");
    form.className = "edit-box";
    const box = document.createElement("textarea");
    box.value = typed.get(question) ?? words;
    box.dir = "auto";
    box.rows = 1;
    box.setAttribute("aria-label", say("edit_label"));
    const back = button("cancel", "edit_cancel");
    const go = button("submit", "edit_send");
    const choice = document.createElement("div");
    choice.append(back, go);
    form.append(box, choice);
    const { reply } = window.chatbot.status();
    open = { row, form, box, session, question, reply, sent: false };
    row.toggleAttribute("data-editing", true);
    row.append(form);
    window.chatbot.scroll.stay();
    fit(box, go);
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
    form.scrollIntoView({ block: "nearest" });

    box.addEventListener("input", () => {
      typed.set(question, box.value);
      fit(box, go);
    });
    box.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "Escape") cancel();
      else if (window.chatbot.focus.sends(event)) send();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    back.addEventListener("click", cancel);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send();
    });
  };

  document.addEventListener("click", async (event) => {
    const pencil = event.target.closest?.(PENCIL);
    if (!pencil) return;
    // Gradio's own box would show the words as they are sent to the page, not as they were typed.
    event.stopImmediatePropagation();
    event.preventDefault();
    const { session, questions, running } = window.chatbot.status();
    let row = pencil.closest(BUTTONS).previousElementSibling;
    while (row && !row.matches(ROW)) row = row.previousElementSibling;
    const place = [...document.querySelectorAll(QUESTION_ROWS)].indexOf(row);
    const question = questions?.split(" ")[place];
    if (!question || running) return;
    const answer = await ask("source", { message: question });
    if (answer.problem) window.chatbot.told(answer.problem);
    else if (window.chatbot.status().session === session && row.isConnected) {
      show(row, session, question, answer.text);
    }
  }, true);

  window.chatbot.watch(() => {
    if (!open) return;
    const { session, reply, running } = window.chatbot.status();
    if (session === open.session && reply === open.reply && !running && open.form.isConnected) return;
    if (open.sent) typed.delete(open.question);
    close();
  });

  return {
    close,
    // What the event is given: where the edit was begun, and what it is.
    taken: (id, shown, search) => [
      id, shown, search, open?.reply ?? "", open?.session ?? "", open?.question ?? "",
      open?.box.value ?? "",
    ],
    // It was refused: the words stay.
    refused: () => {
      if (!open) return;
      open.sent = false;
      open.form.removeAttribute("data-sent");
      open.box.focus();
    },
  };
})();
