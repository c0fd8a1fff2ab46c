// The arrows under a message that has other versions. They are links, so the keyboard reaches them;
// a click sends an event and does not leave the page.
window.chatbot.versions = (() => {
  const LINK = "#chatbot small.caption a[href*='#version-']";
  let wanted = { message: "", step: "" };
  let focus = null;

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(LINK);
    if (!link) return;
    event.preventDefault();
    event.stopPropagation();
    const [, message, step] = link.getAttribute("href").match(/#version-(\d+)-(back|on)$/) ?? [];
    if (!message || window.chatbot.status().running) return;
    wanted = { message, step: step === "back" ? "-1" : "1" };
    const row = [...document.querySelectorAll("#chatbot .message-row")].indexOf(link.closest(".message-row"));
    if (document.activeElement === link) focus = { row, step, until: Date.now() + 3000, link };
    window.chatbot.edit.close();
    window.chatbot.scroll.stay();
    document.getElementById("version-go")?.click();
  }, true);

  // The arrow that was pressed is gone with its message: the one in its place takes the focus.
  window.chatbot.watch(() => {
    if (!focus || focus.link.isConnected) return;
    const row = document.querySelectorAll("#chatbot .message-row")[focus.row];
    const links = [...(row?.querySelectorAll("small.caption a[href*='#version-']") ?? [])];
    const next = links.find((one) => one.hash.endsWith(focus.step)) ?? links[0];
    if (next) next.focus();
    if (next || Date.now() > focus.until) focus = null;
  });

  return { taken: (id, shown) => [id, shown, wanted.message, wanted.step] };
})();
