// Image and reference in the same place and at the same scale: zoom and pan move both.

const STEP = 1.4;
const CLOSEST = 16;
const OPENING = 2;   // times the whole image, where a place is suspect
const BLINK = 400;   // ms; less than three flashes a second

export class Viewer {
  constructor(panes) {
    this.panes = [...panes.querySelectorAll(".pane")];
    this.frame = panes;
    this.pointers = new Map();
    this.blinking = null;
    for (const pane of this.panes) this.listen(pane);
    new ResizeObserver(() => { if (this.item) this.open(); }).observe(panes);
  }

  show(item, files) {
    this.item = item;
    this.stopBlinking();
    this.frame.classList.toggle("alone", !files.reference);
    for (const pane of this.panes) {
      for (const picture of pane.querySelectorAll("img")) {
        const which = picture.dataset.which;
        if (files[which]) picture.src = files[which].src; else picture.removeAttribute("src");
        if (which === "image") picture.alt = `${item.position ?? "Component"} on board ${item.board_id}`;
        if (which === "reference") this.place(picture);
      }
    }
    this.over("image");
    this.open();
  }

  // The reference lies as much off the image as the program found when it aligned them.
  place(picture) {
    const { right, down } = this.item.pictures;
    picture.style.transform = `translate(${100 * right}%, ${100 * down}%)`;
  }

  // Which picture lies in the image's pane: image, reference or heat.
  over(which) {
    this.which = which;
    for (const picture of this.panes[0].querySelectorAll("img")) {
      picture.hidden = picture.dataset.which !== which || !picture.hasAttribute("src");
    }
    document.querySelector("#image-name").textContent =
      { image: "Image", reference: "Reference in the image's place", heat: "Heat map" }[which];
  }

  has(which) {
    return this.item.pictures[which];
  }

  toggle(which) {
    this.stopBlinking();
    if (this.has(which)) this.over(this.which === which ? "image" : which);
  }

  blink() {
    if (this.blinking) { this.stopBlinking(); this.over("image"); return; }
    if (!this.has("reference")) return;
    this.blinking = setInterval(
      () => this.over(this.which === "reference" ? "image" : "reference"), BLINK);
    this.over("reference");
  }

  stopBlinking() {
    clearInterval(this.blinking);
    this.blinking = null;
  }

  open() {
    this.whole();
    const { x, y } = this.item.pictures;
    if (x === null) return;
    this.scale *= OPENING;
    const box = this.panes[0].getBoundingClientRect();
    this.left = box.width / 2 - x * this.item.pictures.width * this.scale;
    this.top = box.height / 2 - y * this.item.pictures.height * this.scale;
    this.draw();
  }

  whole() {
    const box = this.panes[0].getBoundingClientRect();
    const { width, height } = this.item.pictures;
    this.least = Math.min(box.width / width, box.height / height) || 1;
    this.scale = this.least;
    this.left = (box.width - width * this.scale) / 2;
    this.top = (box.height - height * this.scale) / 2;
    this.draw();
  }

  zoom(factor, at) {
    const box = this.panes[0].getBoundingClientRect();
    const [x, y] = at ?? [box.width / 2, box.height / 2];
    const scale = Math.min(Math.max(this.scale * factor, this.least / 2), this.least * CLOSEST);
    this.left = x - (x - this.left) * scale / this.scale;
    this.top = y - (y - this.top) * scale / this.scale;
    this.scale = scale;
    this.draw();
  }

  closer() { this.zoom(STEP); }
  farther() { this.zoom(1 / STEP); }

  draw() {
    const { width, height } = this.item.pictures;
    for (const pane of this.panes) {
      const board = pane.querySelector(".board");
      board.style.width = `${width}px`;
      board.style.height = `${height}px`;
      board.style.transform = `translate(${this.left}px, ${this.top}px) scale(${this.scale})`;
      board.classList.toggle("close", this.scale > 3);
    }
  }

  listen(pane) {
    pane.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = pane.getBoundingClientRect();
      this.zoom(event.deltaY < 0 ? STEP : 1 / STEP, [event.clientX - box.left, event.clientY - box.top]);
    }, { passive: false });
    pane.addEventListener("pointerdown", (event) => {
      pane.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    });
    pane.addEventListener("pointermove", (event) => this.drag(pane, event));
    for (const end of ["pointerup", "pointercancel"]) {
      pane.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
  }

  drag(pane, event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const box = pane.getBoundingClientRect();
      const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      this.zoom(apart(now) / apart(before),
        [(now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top]);
      return;
    }
    this.left += now[0] - before[0];
    this.top += now[1] - before[1];
    this.draw();
  }
}
