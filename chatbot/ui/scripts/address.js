// Each session has an address, for back, forward, bookmarks and a second tab; the tab's title is the
// session's. The server checks the owner; an unknown session opens a new one.
window.chatbot.address = (() => {
  const { say } = window.chatbot.page;
  const NAME = "session";
  const LONGEST = 64;
  const APP = say("app");

  // What an address asks for and has not come yet. One at a time: what is asked for at once may
  // come in another order.
  let pending = "";
  let first = true;
  let replacing = false;

  const here = () => (new URL(location.href).searchParams.get(NAME) ?? "").slice(0, LONGEST);
  const write = (id, replaces) => {
    const address = new URL(location.href);
    if (id) address.searchParams.set(NAME, id);
    else address.searchParams.delete(NAME);
    address.hash = "";
    const how = replaces ? "replaceState" : "pushState";
    try { history[how](history.state, "", address); } catch { /* too many at once: Safari */ }
  };
  const settle = () => {
    pending = "";
    replacing = false;
  };

  const ask = () => {
    const id = here();
    if (!id || pending || id === window.chatbot.opened()) return;
    const button = document.getElementById("session-back");
    if (button) {
      pending = id;
      button.click();
    } else if (document.getElementById("admin-view")) location.reload();
  };
  addEventListener("popstate", ask);
  // Whether back and forward have led elsewhere while something was on its way.
  const hasMoved = () => Boolean(pending) && here() !== pending;

  // The tab, and the bar of a phone, are called by the session that is shown. A new title is known
  // sooner than it is shown.
  let renamed = { session: "", before: "", title: "" };
  const titleOf = ({ session, title }) => {
    const isKnown = session === renamed.session && title === renamed.before;
    return (isKnown ? renamed.title : title) || say("untitled");
  };
  const call = () => {
    const status = window.chatbot.status();
    const title = status.session ? titleOf(status) : "";
    const tab = title ? `${title} · ${APP}` : APP;
    if (document.title !== tab) document.title = tab;
    const bar = document.querySelector("#topbar-title .title");
    if (bar && bar.textContent !== title) bar.textContent = title;
  };
  window.chatbot.watch(call);

  return {
    // The session that the address of a page asks for.
    asked: () => (pending = here()),
    pending: () => pending,
    // The person has chosen another session: what the address asked for is not wanted any more.
    mine: settle,
    // The session that is open now is about to go, and its address with it.
    over: () => { replacing = true; },
    // A session is open.
    came: (id) => {
      const isGone = Boolean(pending) && id !== pending;
      if (hasMoved()) setTimeout(ask);
      else if (here() !== id) write(id, first || replacing || isGone);
      if (isGone) window.chatbot.told(say("session_gone"));
      first = false;
      settle();
    },
    // What the address asked for could not be shown.
    refused: () => {
      if (hasMoved()) setTimeout(ask);
      else write(window.chatbot.opened(), true);
      settle();
    },
    // The open session has another title.
    called: (title) => {
      const { session, title: before } = window.chatbot.status();
      renamed = { session, before, title: title.trim().replace(/\s+/g, " ") };
      call();
    },
    leave: () => write("", true),
  };
})();
