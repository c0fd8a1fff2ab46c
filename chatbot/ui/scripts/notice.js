// A sentence in the corner for what goes wrong outside of Gradio's events, which have their own.
window.chatbot.told = (() => {
  const SECONDS = 8;
  let timer = 0;
  return (sentence) => {
    let box = document.getElementById("notice");
    if (!box) {
      box = document.createElement("div");
      box.id = "notice";
      box.setAttribute("role", "alert");
      document.body.append(box);
    }
    box.textContent = sentence;
    clearTimeout(timer);
    timer = setTimeout(() => { box.textContent = ""; }, SECONDS * 1000);
  };
})();
