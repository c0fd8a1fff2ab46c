// The buttons of a code block: one wraps its long lines, the other copies it (`copy.js`). Their labels
// are added here, because the server sends the same HTML for all languages.
(() => {
  const { say } = window.chatbot.page;
  const NAMES = { wrap_code_button: "wrap_lines", copy_code_button: "copy_code" };

  window.chatbot.watch(() => {
    for (const [kind, key] of Object.entries(NAMES)) {
      for (const button of document.querySelectorAll(`#chatbot .${kind}:not([aria-label])`)) {
        button.setAttribute("aria-label", say(key));
        button.title = say(key);
      }
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#chatbot .wrap_code_button");
    if (!button) return;
    const wraps = button.parentElement.toggleAttribute("data-wrap");
    button.setAttribute("aria-pressed", String(wraps));
  });
})();
