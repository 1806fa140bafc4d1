const show = range => range.parentElement.style.setProperty("--at", range.value + "%");
document.addEventListener("input", event => { if (event.target.closest(".pair")) show(event.target); });
// Where a browser moves a slider only by its handle, as on some phones: anywhere on the picture.
for (const kind of ["pointerdown", "pointermove"]) document.addEventListener(kind, event => {
  const range = event.target;
  if (!event.buttons || !range.closest(".pair")) return;
  const box = range.getBoundingClientRect();
  range.value = 100 * (event.clientX - box.left) / box.width;
  show(range);
});
// What a browser remembers of a page that is loaded again.
document.querySelectorAll(".pair input").forEach(show);
