// While the demo is paused, a line above the conversation says so before the user types. Checked when
// the page opens and when the prompt gets the focus; while paused, repeatedly until it ends.
window.chatbot.pause = (() => {
  const { ask } = window.chatbot.page;
  const AGAIN = 5000;
  // When the page opens it asks anyway: `arrived` in `page.js`.
  let looked = Date.now();
  let timer = 0;

  const told = (me) => {
    looked = Date.now();
    const root = document.documentElement;
    if (!me.problem) root.toggleAttribute("data-paused", me.paused === true);
    clearTimeout(timer);
    if (root.hasAttribute("data-paused")) timer = setTimeout(look, AGAIN);
  };
  const look = async () => told(await ask("me", undefined, "GET"));

  document.addEventListener("focusin", (event) => {
    if (event.target.closest?.("#prompt") && Date.now() - looked > AGAIN) look();
  });
  return { told };
})();
