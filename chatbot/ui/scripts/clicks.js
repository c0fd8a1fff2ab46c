// A double click on a button of a message, or a key held down on it, acts once: the buttons are away
// only when the server has answered.
(() => {
  const BUTTONS = "#chatbot .message-buttons button:not(:first-child), #chatbot .option";
  const SOON = 500;
  let last = { label: "", at: 0 };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(BUTTONS);
    if (!button) return;
    const label = button.ariaLabel ?? button.textContent;
    if (label === last.label && event.timeStamp - last.at < SOON) event.stopPropagation();
    last = { label, at: event.timeStamp };
  }, true);
})();
