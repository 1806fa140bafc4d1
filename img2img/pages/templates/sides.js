// Choose the left and the right picture of all sliders of a section.
for (const sides of document.querySelectorAll(".sides")) {
  const selects = [...sides.querySelectorAll("select")];
  const choose = () => {
    for (const pair of sides.closest("section").querySelectorAll(".pair")) {
      const pictures = pair.querySelectorAll("img");
      const [left, right = pictures.length - 1] = selects.map(select => +select.value);
      pictures.forEach((picture, index) => {
        picture.hidden = index !== left && index !== right;
        picture.classList.toggle("right", index === right && left !== right);
      });
    }
  };
  sides.addEventListener("change", choose);
  choose();
}
