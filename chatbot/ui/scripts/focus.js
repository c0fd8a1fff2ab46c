// Sets the keyboard focus: to the prompt after each action, or to a row that has just opened. Handles
// Enter and Escape.
window.chatbot.focus = (() => {
  // A finger has no Shift key at hand, and a keyboard that covers half of the screen.
  const byFinger = () => matchMedia("(pointer: coarse)").matches;
  const composing = (event) => event.isComposing || event.keyCode === 229;
  const box = () => document.querySelector("#prompt textarea");

  const prompt = () => {
    if (!byFinger()) box()?.focus({ preventScroll: true });
  };

  // Whether this key sends what a box holds.
  const sends = (event) =>
    event.key === "Enter" && !event.shiftKey && !composing(event) && !byFinger();

  // Enter that ends the choice of a Chinese or Japanese word must not send the message; on a phone
  // it begins a line. The browser makes that line: only Gradio must not hear of the key.
  for (const kind of ["keydown", "keypress"]) {
    document.addEventListener(kind, (event) => {
      if (event.key !== "Enter") return;
      const line = byFinger() && event.target.closest?.("#prompt");
      if (composing(event) || line) event.stopImmediatePropagation();
    }, true);
  }

  // Rows that open below the tools: where each one's focus goes, and what closes it.
  const ROWS = [
    { row: "rename-row", first: "#rename-title input", close: "rename-cancel", opener: "rename-session" },
    { row: "delete-row", first: "#delete-cancel", close: "delete-cancel", opener: "delete-session" },
  ];
  const seen = new Set();
  window.chatbot.watch(() => {
    for (const { row, first } of ROWS) {
      const there = document.getElementById(row)?.offsetParent != null;
      if (there && !seen.has(row)) {
        const target = document.querySelector(`${first}`);
        target?.focus();
        target?.select?.();
      }
      if (there) seen.add(row);
      else seen.delete(row);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || composing(event)) return;
    for (const { row, close, opener } of ROWS) {
      if (!event.target.closest?.(`#${row}`) && !event.target.closest?.(`#${opener}`)) continue;
      if (document.getElementById(row)?.offsetParent == null) continue;
      event.stopPropagation();
      document.getElementById(close)?.click();
      document.getElementById(opener)?.focus();
    }
  }, true);

  return { prompt, sends, byFinger };
})();
