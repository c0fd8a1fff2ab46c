// Loads earlier messages by a button or by scrolling up, each time up to three times as many. The
// messages in view do not move.
window.chatbot.earlier = (() => {
  const TIMES = 3;
  const MOST = 1000;
  const NEAR = 300;

  window.chatbot.scroll.moved((box, up) => {
    if (!up || box.scrollTop > NEAR || !window.chatbot.status().earlier) return;
    document.getElementById("earlier-messages")?.click();
  });

  return {
    more: (shown) => {
      window.chatbot.scroll.hold();
      return Math.min((shown ?? 0) * TIMES, MOST);
    },
  };
})();
