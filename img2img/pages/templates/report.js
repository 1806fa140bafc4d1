const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Charts: all are read at the same step.
const { steps, values } = JSON.parse(document.getElementById("curves").textContent);
const last = steps.length - 1;
const plots = all(".plot");
const read = index => {
  // Measures are taken less often: the last one before counts.
  for (const output of all("[data-curve]")) {
    const curve = values[output.dataset.curve];
    let at = index;
    while (at > 0 && curve[at] === null) at--;
    output.textContent = curve[at] ?? "–";
  }
  for (const output of all(".chart .step")) output.textContent = steps[index].toLocaleString("en");
  for (const plot of plots) {
    const range = plot.querySelector("input");
    const said = all(".values span", plot.parentElement).map(span => span.textContent).join(", ");
    plot.style.setProperty("--at", 100 * steps[index] / (steps[last] || 1) + "%");
    range.value = index;
    range.setAttribute("aria-valuetext", `step ${steps[index]}: ${said}`);
  }
};
for (const plot of plots) {
  const range = plot.querySelector("input");
  range.addEventListener("input", () => read(+range.value));
  const point = event => {
    const box = plot.getBoundingClientRect();
    const step = steps[last] * (event.clientX - box.left) / box.width;
    let nearest = 0;
    steps.forEach((each, index) => { if (Math.abs(each - step) < Math.abs(steps[nearest] - step)) nearest = index; });
    read(nearest);
  };
  plot.addEventListener("pointermove", point);
  // Not by the handle, which stands at the number of the point and not at its step.
  plot.addEventListener("pointerdown", event => { event.preventDefault(); range.focus({ focusVisible: false }); point(event); });
}
if (plots.length) read(last);

// Samples through training.
for (const course of all(".course")) {
  const [range, output, sheets] = [course.querySelector("input"), course.querySelector("output"), all("img", course)];
  const turn = () => {
    sheets.forEach((sheet, index) => { sheet.hidden = index !== +range.value; });
    output.textContent = sheets[range.value].alt;
    range.setAttribute("aria-valuetext", output.textContent);
  };
  range.addEventListener("input", turn);
  turn();
}
