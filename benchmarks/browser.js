// Notes in the page, by the machine's clock, when Enter was pressed and when each number of the
// reply was in the document; and every long task of the main thread.
(() => {
  const told = { entered: 0, shown: [], longTasks: [], opened: 0 };
  window.benchmark = told;
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  addEventListener("keydown", (event) => {
    if (event.key === "Enter") told.entered = now();
  }, true);
  const look = () => {
    const replies = document.querySelectorAll("#chatbot .bot-row");
    if (!replies.length) return;
    told.opened ||= performance.now() / 1000;
    const text = replies[replies.length - 1].querySelector(".prose")?.textContent ?? "";
    const number = Number(text.match(/(\d+)\s*$/)?.[1] ?? 0);
    if (number > (told.shown.at(-1)?.[1] ?? 0)) told.shown.push([now(), number]);
  };
  new MutationObserver(look).observe(document, {
    childList: true, subtree: true, characterData: true,
  });
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) told.longTasks.push(task.duration);
  }).observe({ type: "longtask" });
})();
