// The account page: opens and closes it, sends the passwords, lists the logins. It is in the page only while it is open.
window.chatbot.account = (() => {
  const { ask, say, escaped, download } = window.chatbot.page;
  const view = () => document.getElementById("account-view");
  const told = (answer) => answer.problem
    ? escaped(answer.code === "login_refused" ? say("wrong_password") : answer.problem)
    : "";
  const done = (key) => `<span class="done">${escaped(say(key))}</span>`;
  // For the panel: whether it is there; then what its sections have to tell, and its password
  // boxes, all empty.
  const panel = (visible) => [{ __type__: "update", visible }, ...Array(6).fill("")];

  const element = (tag, kind, ...content) => {
    const made = document.createElement(tag);
    made.className = kind;
    made.append(...content);
    return made;
  };

  const clock = new Intl.DateTimeFormat(navigator.language, { dateStyle: "medium", timeStyle: "short" });
  const when = (key, moment) => element("span", key, `${say(key)} ${clock.format(new Date(moment))}`);

  // Text nodes only: what a browser calls itself is up to it.
  const row = (login) => {
    const name = element("span", "browser", login.browser || say("unknown_browser"));
    const times = element("div", "when", when("login_since", login.created_at));
    const text = element("div", "what", name, times);
    if (login.this) {
      name.append(element("span", "this", say("login_this")));
      return element("li", "login", text);
    }
    times.append(when("login_seen", login.seen_at));
    const end = element("button", "end", say("login_end"));
    end.type = "button";
    end.setAttribute("aria-label", `${say("login_end")}: ${login.browser}`);
    end.onclick = async () => {
      end.disabled = true;
      list(await ask("logins/end", { id: login.id }));
    };
    return element("li", "login", text, end);
  };

  const list = (answer) => {
    const rows = answer.logins?.map(row) ?? [element("li", "problem", answer.problem)];
    document.querySelector("#account-logins .logins")?.replaceChildren(...rows);
    view()?.toggleAttribute("data-alone", rows.length < 2);
  };
  const look = async () => list(await ask("logins", undefined, "GET"));

  let wasOpen = false;
  // Back to the chat, not on to another session.
  let goesBack = false;
  window.chatbot.watch(() => {
    const isOpen = Boolean(view());
    if (isOpen === wasOpen) return;
    wasOpen = isOpen;
    if (isOpen) goesBack = false;
    if (!isOpen) {
      if (goesBack) document.getElementById("account-open")?.focus();
      else window.chatbot.focus.prompt();
      return;
    }
    const name = document.getElementById("account-name")?.textContent.trim() ?? "";
    view().querySelector("#account-title h1")?.setAttribute("data-name", name);
    document.getElementById("account-close")?.focus();
    look();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.isComposing) {
      document.getElementById("account-close")?.click();
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#account-close")) goesBack = true;
    if (event.target.closest?.("#account-name")) document.getElementById("account-open")?.click();
  });

  return {
    open: () => panel(true),
    close: () => panel(false),
    changePassword: async (current, next) => {
      const answer = await ask("password", { current, new: next });
      if (answer.problem) return [told(answer), current, next];
      look();
      return [done("password_changed"), "", ""];
    },
    endOthers: async () => list(await ask("logins/end", { others: true })),
    exportAll: async () => {
      const data = await ask("export-all");
      if (data.problem) return told(data);
      const day = new Date().toISOString().slice(0, 10);
      download(`chat-data-${day}.json`, JSON.stringify(data, null, 2), "application/json");
      return "";
    },
    remove: async (password) => {
      const answer = await ask("delete-account", { password });
      if (answer.problem) return [told(answer), ""];
      // Nothing of them stays in the page either.
      window.chatbot.forget();
      location.reload();
      return ["", ""];
    },
  };
})();
