// A double click on a button of a message, or a key held down on it, acts once: the buttons are gone
// only when the server has answered.
(() => {
  const BUTTONS = "#chatbot .message-buttons button:not(:first-child), #chatbot .option";
  const SOON = 500;
  let last = -SOON;

  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(BUTTONS)) return;
    if (event.timeStamp - last < SOON) event.stopPropagation();
    last = event.timeStamp;
  }, true);
})();
