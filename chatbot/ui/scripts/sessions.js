// The list of sessions: what closes when the session changes, and how the dropdown opens.
window.chatbot.sessions = (() => {
  // Gradio's: the field that shows the session and opens the list.
  const FIELD = "#session-list input";
  const KEYS_THAT_OPEN = ["Enter", " ", "ArrowDown", "ArrowUp"];
  const KEYS_IN_IT = ["Enter", "Escape", "ArrowDown", "ArrowUp", "Home", "End"];
  const hidden = { __type__: "update", visible: false };
  let meant = false;

  const isOpen = (field) => field.getAttribute("aria-expanded") === "true";
  const open = (field) => {
    meant = true;
    field.blur();
    field.focus();
    meant = false;
  };

  // Gradio opens the list whenever its field gets the focus, and only then. Here it opens by a
  // click or a key, also when Escape has closed it; who walks by with the Tab key leaves it closed.
  document.addEventListener("focus", (event) => {
    if (event.target.matches?.(FIELD) && !meant) event.stopImmediatePropagation();
  }, true);
  document.addEventListener("click", (event) => {
    const field = event.target.closest?.("#session-list .wrap-inner")?.querySelector("input");
    if (field && !isOpen(field)) open(field);
  }, true);
  document.addEventListener("keydown", (event) => {
    const field = event.target;
    if (!field.matches?.(FIELD)) return;
    if (!isOpen(field) && KEYS_THAT_OPEN.includes(event.key)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      open(field);
    } else if (!isOpen(field) || !KEYS_IN_IT.includes(event.key)) {
      // Gradio would open the list for any other key, or filter it by what is chosen.
      event.stopImmediatePropagation();
    }
  }, true);

  const turn = async (id, search) => {
    window.chatbot.drawer.close();
    setTimeout(window.chatbot.focus.prompt);
    return [hidden, hidden, await window.chatbot.hits.seek(id, search)];
  };

  return {
    // Gradio's open list trips over choices that get fewer: it is opened anew.
    changed: () => {
      const field = document.querySelector(FIELD);
      if (field && isOpen(field)) open(field);
    },
    open: () => {
      const field = document.querySelector(FIELD);
      field?.scrollIntoView({ block: "nearest" });
      if (field) open(field);
    },
    // Another session comes: rows below the tools are closed, and as many messages are shown as at
    // first, or as it takes to show what was searched for.
    turn,
    turnTo: (id, search) => {
      window.chatbot.address.mine();
      return turn(id, search);
    },
    start: () => {
      window.chatbot.address.mine();
      return turn();
    },
    closeRows: () => {
      setTimeout(window.chatbot.focus.prompt);
      return [hidden, hidden];
    },
  };
})();
