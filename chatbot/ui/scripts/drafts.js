// Keeps the unsent text of each session when the user switches sessions or reloads. It is stored for
// this tab only, and deleted at logout.
window.chatbot.drafts = (() => {
  const KEY = "chatbot_draft_";
  const stored = (work) => { try { return work(sessionStorage) ?? ""; } catch { return ""; } };
  const of = (session) => stored((all) => all.getItem(KEY + session));
  const keep = (session, text) => stored((all) =>
    (text ? all.setItem(KEY + session, text) : all.removeItem(KEY + session)));
  const forget = () => stored((all) => {
    for (const key of Object.keys(all)) if (key.startsWith(KEY)) all.removeItem(key);
  });
  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#prompt")) keep(window.chatbot.remembered(), event.target.value);
  });
  return { of, keep, forget };
})();
