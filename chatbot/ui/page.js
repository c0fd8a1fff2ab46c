// What only the browser can do: log in without a Gradio event, so that no event has the password;
// report the time zone; keep the open session over a reload. See also `scripts/`, one noun per file.
window.chatbot = (() => {
  const texts = /*TEXTS*/ {};
  const language = () => (navigator.language || "en").toLowerCase().startsWith("zh") ? "zh" : "en";
  const say = (key) => (texts[key] || {})[language()] || "";

  const api = (name) => {
    // Only the path: a proxy that hides https would make the rest of `root` wrong.
    let path = "";
    try { path = new URL(window.gradio_config.root).pathname.replace(/\/$/, ""); } catch { /* root */ }
    return `${path}/gradio_api/chatbot/${name}`;
  };

  const ask = async (name, body, method = "POST") => {
    try {
      const answer = await fetch(api(name), {
        method,
        credentials: "include",
        headers: { "content-type": "application/json" },
        body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      });
      const data = await answer.json().catch(() => ({}));
      if (answer.ok) return data;
      return { problem: data.error?.message || String(answer.status), code: data.error?.code };
    } catch {
      return { problem: say("no_connection") };
    }
  };
  const post = async (name, body) => (await ask(name, body)).problem || "";

  // A page is one login's. When that has ended, or another one has taken its place in this browser,
  // the page starts anew.
  const request = window.fetch.bind(window);
  window.fetch = async (...what) => {
    const answer = await request(...what);
    if (answer.url.includes("/gradio_api/queue/") && [401, 403].includes(answer.status)) {
      location.reload();
    }
    return answer;
  };

  const escaped = (text) => {
    const box = document.createElement("div");
    box.textContent = text;
    return box.innerHTML;
  };

  const download = (name, text, type) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const keptOut = async () => {
    // Some browsers drop every cookie of a page inside another site's frame.
    const me = await fetch(api("me"), { credentials: "include" }).then((r) => r.json(), () => null);
    if (!me || me.user) return "";
    if (window.top === window) return escaped(say("cookies_off"));
    const link = `<a href="${location.origin}${location.pathname}" target="_blank">${say("open_in_tab")}</a>`;
    return `${escaped(say("cookies_blocked"))} ${link}`;
  };

  // A clock in the page's time zone, for the times beside the messages.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const framed = location.protocol === "https:" ? "; SameSite=None; Secure; Partitioned" : "; SameSite=Lax";
  document.cookie = `chatbot_zone=${encodeURIComponent(zone)}; Path=/; Max-Age=31536000${framed}`;
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";

  const keep = (key, text) => { try { sessionStorage.setItem(key, text); } catch { /* no storage */ } };
  const kept = (key) => { try { return sessionStorage.getItem(key) || ""; } catch { return ""; } };

  // Of a box that may be typed in meanwhile: its text comes back late, and would undo that.
  const same = { __type__: "update" };

  const OPEN = "chatbot_open_session";
  let opened = "";
  let asked = "";
  let askedAt = 0;
  let lastSent = 0;
  return {
    // What `account.js` builds on.
    page: { api, ask, say, escaped, download },
    enter: async (what, body) => {
      const { problem, code } = await ask(what, body);
      window.chatbot.faults.show(code);
      return problem ? escaped(problem) : keptOut();
    },
    // The page starts anew, so that nothing of whoever was here is left in it.
    leave: async () => {
      window.chatbot.forget();
      if (await post("logout")) return;
      window.chatbot.connection.left();
      location.reload();
    },
    // Another session is open: its draft comes into the box, and that of the one before is kept.
    remember: (id, typed) => {
      const before = kept(OPEN);
      if (id === opened) return same;
      if (!id) return "";
      if (opened) window.chatbot.drafts.keep(before, typed);
      opened = id;
      keep(OPEN, id);
      window.chatbot.opening.begin(id);
      window.chatbot.address.came(id);
      window.chatbot.edit.close();
      window.chatbot.scroll.toEnd();
      window.chatbot.focus.prompt();
      return window.chatbot.drafts.of(id) || (before ? "" : typed);
    },
    remembered: () => kept(OPEN),
    // The session that this page shows.
    opened: () => opened,
    forget: () => {
      window.chatbot.drafts.forget();
      window.chatbot.address.leave();
      keep(OPEN, "");
    },
    // The code of an invitation link, for its box, and why there is a login view where there was a
    // session. The login is renewed by asking who we are. Beside `view`, which may take as long as a
    // reply.
    arrived: async () => {
      const me = await ask("me", undefined, "GET");
      window.chatbot.pause.told(me);
      const ended = me.user === null && kept(OPEN);
      const code = new URLSearchParams(location.search).get("invite") || "";
      if (code && me.user === null) window.chatbot.forms.register();
      return [code || same, ended ? escaped(say("login_ended")) : same];
    },
    // The newest reply this tab shows, so that the server can tell when another tab moved on.
    acting: (place) => {
      window.chatbot.own();
      return [...place.slice(0, 3), window.chatbot.status().reply || ""];
    },
    save: async (id) => {
      const file = await ask("export", { session: id });
      download(file.name ?? "error.txt", file.text ?? file.problem, "text/markdown");
    },
    invitationLink: (code) => {
      const text = new DOMParser().parseFromString(code, "text/html").body.textContent;
      if (!text) return "";
      const link = escaped(`${location.origin}${location.pathname}?invite=${text}`);
      return `<code>${link}</code><button type="button" data-copy>${say("copy_link")}</button>`;
    },
    // A turn begins here: what it brings is to be seen, and no edit outlives it.
    own: () => {
      window.chatbot.edit.close();
      window.chatbot.scroll.toEnd();
    },
    // An example is shown at once like what was typed, which stays in its box.
    example: (place) => {
      window.chatbot.own();
      asked = "";
      window.chatbot.echo.begin(place[0], window.chatbot.echo.picked());
      window.chatbot.focus.prompt();
      return place.slice(0, 3);
    },
    // What was refused may be asked again.
    refused: (messages, typed) => {
      askedAt = 0;
      window.chatbot.files.refused();
      return window.chatbot.echo.takeBack(typed);
    },
    // The second click of a double click asks nothing. What was chosen is stored first.
    asking: async (id, shown, search, question) => {
      const again = question === asked && Date.now() - askedAt < 1000;
      const files = window.chatbot.files.taken();
      if (files === null) return [id, shown, search, null, ""];
      const empty = !question?.trim() && !files;
      if (!again && !empty) {
        asked = question;
        askedAt = Date.now();
        window.chatbot.own();
        window.chatbot.echo.begin(id, question);
      }
      await window.chatbot.options.saved();
      return [id, shown, search, again || (empty && askedAt) ? null : question, files];
    },
    // What becomes of the text in the box: it goes once it is stored, it comes back when no word
    // of an answer came, and what was typed meanwhile stays.
    typed: (signal, typed) => {
      const { sent, returned, session, files } = JSON.parse(signal || "{}");
      const before = typed;
      const restore = () => { if (files) window.chatbot.files.restore(session, files); };
      if (!sent && !returned) {
        restore();
        return same;
      }
      if (sent && sent !== lastSent) {
        lastSent = sent;
        askedAt = 0;
        window.chatbot.files.sent();
        const echoed = window.chatbot.echo.end();
        // Or the box has been emptied already, unless that is on its way still.
        if (echoed ? typed === asked : typed.startsWith(asked)) typed = typed.slice(asked.length);
      }
      restore();
      typed = typed || returned || "";
      window.chatbot.drafts.keep(kept(OPEN), typed);
      return typed === before ? same : typed;
    },
    // The list as it is after a turn, unless another session or another search is open by now.
    listed: (signal, id, search) => {
      const told = JSON.parse(signal || "{}");
      const fits = told.search === search && told.sessions?.some(([, one]) => one === id);
      if (told.ended && !fits) window.chatbot.recent.again();
      return fits ? [{ __type__: "update", choices: told.sessions }, told.recent] : [same, same];
    },
  };
})();
