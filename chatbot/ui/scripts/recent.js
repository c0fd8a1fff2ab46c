// The plain list of sessions, and the details in the dropdown: the time of each session, and the
// headings of the groups of days. Both come in one piece; see `listing.py`.
window.chatbot.recent = (() => {
  const LIST = "#recent-sessions .listing";
  const LINK = "#recent-sessions a[data-session]";
  // Gradio's: the options of the open dropdown, and the box that scrolls them.
  const OPTION = "#session-list li.item";
  const OPTIONS = "#session-list .option-list";
  const HEADING = 30;
  const NEAR = 300;
  const TIMES = 3;
  const LEAST = 100;
  const LOOK = 5000;

  const NONE = '{"times":[],"groups":{}}';
  // Gradio keeps the element and changes what is in it.
  let told = NONE;
  let facts = JSON.parse(NONE);
  let wanted = "";
  let askedFor = "";
  let length = 0;

  const put = (element, name, value) => {
    if (value === undefined) element.removeAttribute(name);
    else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  window.chatbot.watch(() => {
    const now = document.querySelector(LIST)?.dataset.facts ?? NONE;
    if (now !== told) {
      told = now;
      facts = JSON.parse(now);
    }
    const open = window.chatbot.opened();
    for (const link of document.querySelectorAll(LINK)) {
      put(link, "aria-current", link.dataset.session === open ? "page" : undefined);
    }
    for (const option of document.querySelectorAll(OPTION)) {
      const { index } = option.dataset;
      put(option, "data-time", facts.times[index]);
      put(option, "data-group", facts.groups[index]);
      put(option, "aria-description", facts.times[index]);
    }
  });

  const ask = (many) => {
    length = many;
    document.getElementById("session-more")?.click();
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#recent-sessions .all")) {
      window.chatbot.sessions.open();
      return;
    }
    const link = event.target.closest?.(LINK);
    // Another tab is the browser's to open.
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    wanted = link.dataset.session;
    document.getElementById("session-go")?.click();
  });
  // A title that is cut off is shown whole to who points at it.
  document.addEventListener("mouseover", (event) => {
    const title = event.target.closest?.(LINK)?.querySelector("bdi");
    if (title && title.scrollWidth > title.clientWidth) put(title, "title", title.textContent);
  });
  // The name of a group stands in its first option, and chooses nothing.
  document.addEventListener("mousedown", (event) => {
    if (!event.target.matches?.(`${OPTION}[data-group]`) || event.offsetY > HEADING) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  // The list of a page is the newest hundred. More come when its end is near.
  document.addEventListener("scroll", ({ target }) => {
    if (!target.matches?.(OPTIONS) || askedFor === told) return;
    if (target.scrollHeight - target.scrollTop - target.clientHeight > NEAR) return;
    if (!document.querySelector(`${LIST}[data-more]`)) return;
    askedFor = told;
    ask(facts.times.length * TIMES);
  }, true);
  // Nobody tells a page when a reply of another session has ended.
  const again = () => ask(Math.max(facts.times.length, LEAST));
  setInterval(() => {
    const elsewhere = document.querySelector("#recent-sessions a:not([aria-current]) i");
    if (elsewhere && !document.hidden) again();
  }, LOOK);

  return {
    again,
    asked: (search, id) => [search, id, length],
    goTo: async (search) => [wanted, ...await window.chatbot.sessions.turnTo(wanted, search)],
  };
})();
