const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// All charts show the values of the same step.
const { steps, values } = JSON.parse(document.getElementById("curves").textContent);
const last = steps.length - 1;
const plots = all(".plot");
const read = index => {
  // Measures are logged less often than losses: show the latest.
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
  // The browser's own dragging would count points; the axis shows steps.
  plot.addEventListener("pointerdown", event => { event.preventDefault(); range.focus({ focusVisible: false }); point(event); });
}
if (plots.length) read(last);

// The sample sheets.
for (const timeline of all(".timeline")) {
  const [range, output, sheets] = [timeline.querySelector("input"), timeline.querySelector("output"), all("img", timeline)];
  const turn = () => {
    sheets.forEach((sheet, index) => { sheet.hidden = index !== +range.value; });
    output.textContent = sheets[range.value].alt;
    range.setAttribute("aria-valuetext", output.textContent);
  };
  range.addEventListener("input", turn);
  turn();
}
