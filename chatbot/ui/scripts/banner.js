// Notices at the top of the page can be closed, and stay closed in this browser.
(() => {
  const KEY = "chatbot_closed";
  const root = document.documentElement;
  let closed = "";
  try { closed = localStorage.getItem(KEY) ?? ""; } catch { /* no storage */ }
  root.dataset.closed = closed;
  document.addEventListener("click", (event) => {
    const name = event.target.closest?.("[data-close]")?.dataset.close;
    if (!name) return;
    closed = `${closed} ${name}`.trim();
    root.dataset.closed = closed;
    try { localStorage.setItem(KEY, closed); } catch { /* for this page only */ }
    window.chatbot.focus.prompt();
  });
})();
