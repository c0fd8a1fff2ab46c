// Watches the connection: whether the server responds, whether streams still deliver, and whether
// the login is still valid. It wraps `fetch`, which Gradio uses, and passes responses on unchanged.
window.chatbot.connection = (() => {
  const { api, say } = window.chatbot.page;
  // While a reply is written a frame comes every 1.5 s at least; an event is taken at once.
  const SILENT = 5000;
  const LOOK = 2000;
  const PATIENCE = 2000;
  // So many connections may be open and dead, beside those that are in use.
  const ASKED_AT_ONCE = 4;
  // Loading the page anew is for a broken way, not for a slow one: not again and again.
  const AGAIN = 20000;
  const LOADED = "chatbot_loaded_again";
  const LEFT = "chatbot_left";
  const store = (work) => { try { return work(); } catch { return null; } };

  let isLost = false;
  let isBroken = false;
  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });

  const bar = () => {
    let made = document.getElementById("connection-bar");
    if (!made) {
      made = document.createElement("div");
      made.id = "connection-bar";
      made.setAttribute("role", "status");
      document.body.append(made);
    }
    return made;
  };

  const reload = () => {
    leaving = true;
    store(() => sessionStorage.setItem(LOADED, String(Date.now())));
    location.reload();
  };
  const mayReload = () =>
    Date.now() - Number(store(() => sessionStorage.getItem(LOADED)) ?? 0) > AGAIN;

  // Who the server says is here; undefined when it cannot be asked. Asked several times at once:
  // a browser would try one dead connection after the other.
  const askedOnce = async () => {
    const answer = await plainFetch(api("me"), {
      credentials: "include", cache: "no-store", signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()).user;
  };
  const me = (times = 1) =>
    Promise.any(Array.from({ length: times }, askedOnce)).catch(() => undefined);

  const isIn = () => document.getElementById("chat-view") || document.getElementById("admin-view");
  const lose = () => {
    if (isLost || leaving) return;
    isLost = true;
    document.body.toggleAttribute("data-lost", true);
    bar().textContent = say("connection_lost");
    setTimeout(look, LOOK);
  };
  const look = async () => {
    const user = await me(ASKED_AT_ONCE);
    if (leaving) return;
    if (user === undefined) {
      setTimeout(look, LOOK);
      return;
    }
    if (user === null && isIn()) reload();
    else if (isBroken || isSilent()) reload();
    else {
      isLost = false;
      document.body.removeAttribute("data-lost");
      bar().textContent = "";
    }
  };
  addEventListener("offline", lose);

  // Streams and events that are under way, each with the time it was last heard of.
  const underWay = new Set();
  const plainFetch = window.fetch.bind(window);
  const address = (asked) => String(asked?.url ?? asked);
  const isOurs = (url) => new URL(url, location.href).origin === location.origin;

  const listened = (answer, stream) => {
    const reader = answer.body.getReader();
    const body = new ReadableStream({
      async pull(out) {
        try {
          const { done, value } = await reader.read();
          stream.heard = Date.now();
          if (!done) {
            out.enqueue(value);
            return;
          }
          out.close();
        } catch (error) {
          if (error?.name !== "AbortError") {
            isBroken = true;
            lose();
          }
          out.error(error);
        }
        underWay.delete(stream);
      },
      cancel(why) {
        underWay.delete(stream);
        return reader.cancel(why);
      },
    });
    return new Response(body, answer);
  };

  window.fetch = async (asked, options) => {
    const url = address(asked);
    const isStream = url.includes("/queue/data");
    const isEvent = url.includes("/queue/join");
    const one = { heard: Date.now(), isStream };
    if (isStream || isEvent) underWay.add(one);
    try {
      const answer = await plainFetch(asked, options);
      one.heard = Date.now();
      if (isStream && answer.body) return listened(answer, one);
      underWay.delete(one);
      return answer;
    } catch (error) {
      underWay.delete(one);
      if (error?.name !== "AbortError" && isOurs(url)) {
        isBroken ||= isStream || isEvent;
        lose();
      }
      throw error;
    }
  };

  // Connections that are dropped without a word: nothing comes any more, and nothing fails. A new
  // one tells whether the server is there; then the page is loaded anew and follows again.
  const isSilent = () => {
    const running = Boolean(window.chatbot.status().running);
    return [...underWay].some((one) =>
      Date.now() - one.heard > SILENT && (running || !one.isStream));
  };
  let checking = false;
  setInterval(async () => {
    if (checking || isLost || leaving || !mayReload()) return;
    if (!isSilent()) return;
    checking = true;
    let user = await me(ASKED_AT_ONCE);
    if (user === undefined) user = await me(ASKED_AT_ONCE);
    if (user === undefined) lose();
    else if (isSilent()) reload();
    checking = false;
  }, 1000);

  // The login may end elsewhere: in another tab, by a new password, with time. An error that the
  // page is told, and coming back to it, are when to look.
  const check = async () => {
    if (!isIn() || isLost || leaving) return;
    if ((await me()) === null) reload();
  };
  addEventListener("storage", (event) => { if (event.key === LEFT) check(); });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") check();
  });
  let told = 0;
  window.chatbot.watch(() => {
    // Gradio's: the errors in the corner.
    const now = document.querySelectorAll(".toast-body.error").length;
    if (now > told) check();
    told = now;
  });

  // While the way is lost nothing is sent, and what was typed stays in its box.
  const refuse = (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const one = bar();
    one.classList.remove("again");
    void one.offsetWidth;
    one.classList.add("again");
  };
  document.addEventListener("keydown", (event) => {
    const sends = window.chatbot.focus.sends(event) && event.target.closest?.("#prompt, .edit-box");
    if (isLost && sends) refuse(event);
  }, true);
  document.addEventListener("keypress", (event) => {
    if (isLost && event.key === "Enter" && event.target.closest?.("#prompt")) refuse(event);
  }, true);
  document.addEventListener("click", (event) => {
    const SENDS = "#prompt .submit-button, .edit-box .submit, #chatbot .example, "
      + "#chatbot .bot-row + .message-buttons button ~ button, #chatbot button.option";
    if (isLost && event.target.closest?.(SENDS)) refuse(event);
  }, true);

  return {
    // The person has logged out: the other tabs of this browser are told.
    left: () => store(() => localStorage.setItem(LEFT, String(Date.now()))),
  };
})();
