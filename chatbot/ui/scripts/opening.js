// Makes sure that the page can be opened even if a session crashes it. A note is stored while a
// session is being opened; if the note is still there at the next load, the page opens a new session.
// Each tab has its own note.
window.chatbot.opening = (() => {
  const { say } = window.chatbot.page;
  const NOTE = "chatbot_opening";
  // What the server takes for the wish for a new session; see `Handlers.view`.
  const NEW = "new";
  const LOOK = 250;
  const FROZEN = 3000;
  // So long the page has to answer with the session in view: formulas are drawn a moment later.
  const CALM = 3000;
  const UNDRAWN = /[\ufdd0-\ufdd3]/;

  const stored = (work) => { try { return work(sessionStorage); } catch { return null; } };
  const note = (on) => stored((all) => (on ? all.setItem(NOTE, "1") : all.removeItem(NOTE)));

  // Of the page before; asked once, since this one makes a note of its own.
  let died = Boolean(stored((all) => all.getItem(NOTE)));
  let timer = 0;
  let session = "";
  let lookedAt = 0;
  let calmSince = 0;
  let isFrozen = false;

  const isShown = () => {
    const chat = document.getElementById("chatbot");
    if (document.getElementById("auth-view")) return true;
    const shown = window.chatbot.status().session;
    const isThere = session ? shown === session : Boolean(shown);
    return isThere && Boolean(chat) && !UNDRAWN.test(chat.textContent);
  };
  const end = () => {
    clearInterval(timer);
    timer = 0;
    note(false);
  };
  const answers = () => {
    const now = performance.now();
    const silent = now - lookedAt;
    lookedAt = now;
    // A tab that nobody looks at is hardly ever asked.
    if (silent > FROZEN && !document.hidden) {
      isFrozen = true;
      calmSince = 0;
    }
    return now;
  };
  const look = () => {
    const now = answers();
    if (died && window.chatbot.status().session) {
      died = false;
      window.chatbot.told(say("not_opened"), 30);
    }
    if (document.hidden || !isShown()) calmSince = 0;
    else calmSince ||= now;
    if (calmSince && now - calmSince > CALM) end();
  };
  const begin = (id) => {
    clearInterval(timer);
    session = id;
    lookedAt = performance.now();
    calmSince = 0;
    isFrozen = false;
    note(!document.hidden);
    timer = setInterval(look, LOOK);
  };

  // Who leaves a page that answers has not found it dead, and a tab in the background may be
  // ended by the browser or the phone at any time.
  addEventListener("pagehide", () => {
    if (timer) answers();
    if (!isFrozen) end();
  });
  document.addEventListener("visibilitychange", () => {
    if (!timer || isFrozen) return;
    lookedAt = performance.now();
    note(!document.hidden);
  });

  const asksForNew = () => {
    const address = new URL(location.href);
    if (!address.searchParams.has(NEW)) return false;
    // Once: what is asked in the new session is to be found at the next reload.
    address.searchParams.delete(NEW);
    history.replaceState(history.state, "", address);
    return true;
  };

  return {
    begin,
    // The session to open when the page is loaded or somebody has logged in.
    wanted: () => {
      const fresh = asksForNew();
      if (fresh) died = false;
      begin("");
      return died || fresh ? NEW : window.chatbot.address.asked() || window.chatbot.remembered();
    },
  };
})();
