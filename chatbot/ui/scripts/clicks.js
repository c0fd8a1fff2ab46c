// A double click on a button of a message, or a key held down on it, acts once. The style sheet hides
// the buttons while a reply runs, but only after the server has answered and the page is drawn.
(() => {
  const BUTTONS = "#chatbot .message-buttons button:not(:first-child), #chatbot .option";
  const SOON = 500;
  let last = { act: "", at: 0 };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(BUTTONS);
    if (!button) return;
    const { reply, running } = window.chatbot.status();
    const act = `${button.ariaLabel ?? button.textContent} after ${reply}`;
    const isSecond = act === last.act && event.timeStamp - last.at < SOON;
    if (running || isSecond) event.stopPropagation();
    last = { act, at: event.timeStamp };
  }, true);
})();
