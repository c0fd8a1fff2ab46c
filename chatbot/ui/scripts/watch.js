// Calls back, at most once a frame, after something came into the page or left it. Gradio makes
// and drops its elements as it likes, so what hangs on one of them looks here whether it is still
// the same.
window.chatbot.watch = (() => {
  const looks = [];
  let waiting = false;
  const look = () => {
    waiting = false;
    for (const one of looks) one();
  };
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(look);
  }).observe(document, { childList: true, subtree: true });
  return (one) => looks.push(one);
})();

// What the line below the prompt says of the messages that are shown; see `status_line`.
window.chatbot.status = () => document.querySelector("#usage-line .status")?.dataset ?? {};
