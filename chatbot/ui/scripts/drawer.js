// On a phone the sidebar is a drawer; while it is open, the rest of the page cannot be reached.
window.chatbot.drawer = (() => {
  // What lies under it.
  const BELOW = ["topbar", "conversation"];
  const CLOSES = "#drawer-close, #new-session, #account-open, #account-name, #admin-open, #recent-sessions a";
  const view = () => document.getElementById("chat-view");
  const isOpen = () => Boolean(view()?.hasAttribute("data-drawer"));
  const turn = (on) => {
    view()?.toggleAttribute("data-drawer", on);
    for (const id of BELOW) document.getElementById(id)?.toggleAttribute("inert", on);
    document.getElementById("drawer-open")?.setAttribute("aria-expanded", String(on));
  };
  const close = () => {
    if (!isOpen()) return;
    turn(false);
    document.getElementById("drawer-open")?.focus({ preventScroll: true });
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#drawer-open")) {
      turn(true);
      document.getElementById("drawer-close")?.focus({ preventScroll: true });
    } else if (event.target === view() || event.target.closest?.(CLOSES)) close();
  });
  document.addEventListener("keydown", (event) => {
    // The first Escape closes the dropdown that is open in it.
    const inList = event.target.getAttribute?.("aria-expanded") === "true" && !event.target.matches("#drawer-open");
    if (event.key === "Escape" && !event.isComposing && !inList) close();
  });
  // A phone that is turned may be wide enough for the sidebar.
  matchMedia("(min-width: 768px)").addEventListener("change", ({ matches }) => { if (matches) turn(false); });

  return { close };
})();
