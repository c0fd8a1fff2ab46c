// Calls back, at most once per frame, after elements were added or removed. Gradio may replace its
// elements at any time, so scripts that need one check here whether it is still the same.
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

// Tells the style sheet that a reply runs. A rule with `:has` would cost time at each of its frames.
window.chatbot.watch(() => {
  const isRunning = Boolean(window.chatbot.status().running);
  document.getElementById("conversation")?.toggleAttribute("data-running", isRunning);
});
