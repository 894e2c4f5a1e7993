// The palette of codes.

// Codes in rows; only those that can be seen are drawn, because there may be thousands.
const palette = {
  codes: [], cell: 30, columns: 1, cursor: 0, showsAll: false,
  box: byId("codes"),

  refresh() {
    if (!this.showsAll) {
      this.codes = [...counts()].sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([code]) => code);
      byId("codes-note").textContent = "";
    }
    this.draw();
  },

  draw() {
    const canvas = this.box.firstElementChild, context = canvas.getContext("2d");
    const scale = devicePixelRatio || 1;
    const width = this.box.clientWidth, height = this.box.clientHeight;
    if (width === 0) return;
    this.columns = Math.max(1, Math.floor(width / this.cell));
    const cell = width / this.columns;
    this.size = cell;
    this.box.lastElementChild.style.height = `${Math.ceil(this.codes.length / this.columns) * cell}px`;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    context.imageSmoothingEnabled = false;
    const top = this.box.scrollTop;
    const first = Math.floor(top / cell) * this.columns;
    const last = Math.min(this.codes.length, first + (Math.ceil(height / cell) + 1) * this.columns);
    const source = new OffscreenCanvas(8, 8), pencil = source.getContext("2d");
    for (let index = first; index < last; index += 1) {
      const patch = patches.get(this.codes[index]);
      const x = (index % this.columns) * cell, y = Math.floor(index / this.columns) * cell - top;
      if (!patch) continue;
      pencil.putImageData(patch, 0, 0);
      context.drawImage(source, (x + 1) * scale, (y + 1) * scale, (cell - 2) * scale, (cell - 2) * scale);
      const isMarked = this.codes[index] === state.brush
        || (index === this.cursor && document.activeElement === this.box);
      if (!isMarked) continue;
      context.lineWidth = 2 * scale;
      context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent");
      context.strokeRect((x + 1) * scale, (y + 1) * scale, (cell - 2) * scale, (cell - 2) * scale);
    }
  },

  codeAt(event) {
    const box = this.box.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left) / this.size);
    const row = Math.floor((event.clientY - box.top + this.box.scrollTop) / this.size);
    return column < this.columns ? this.codes[row * this.columns + column] : undefined;
  },

  // The colours around the circle, each from light to dark, then the greys.
  byColour() {
    const key = (code) => {
      const { data } = patches.get(code);
      const mean = [0, 1, 2].map((c) => {
        let sum = 0;
        for (let i = c; i < data.length; i += 4) sum += data[i];
        return sum / 64;
      });
      const [r, g, b] = mean, most = Math.max(...mean), least = Math.min(...mean), range = most - least;
      const light = 0.3 * r + 0.59 * g + 0.11 * b;
      if (range < 24 || light < 24) return 1e6 - light;
      const hue = most === r ? (g - b) / range : most === g ? 2 + (b - r) / range : 4 + (r - g) / range;
      return 1000 * (1 + Math.floor(((hue + 6.5) % 6) * 4)) - light;
    };
    const keys = new Map([...patches.keys()].map((code) => [code, key(code)]));
    this.codes = [...keys.keys()].sort((a, b) => keys.get(a) - keys.get(b) || a - b);
  },

  async select(showsAll) {
    this.showsAll = showsAll;
    this.box.scrollTop = 0;
    this.cursor = 0;
    byId("used").setAttribute("aria-pressed", !showsAll);
    byId("all").setAttribute("aria-pressed", showsAll);
    if (!showsAll) return this.refresh();
    const vocabulary = state.model.architecture.vocab_size, most = state.model.limits.codes;
    await busy(async () => {
      for (let start = 0; start < vocabulary && this.showsAll; start += most / 2) {
        const end = Math.min(start + most / 2, vocabulary);
        await fetchPatches(Array.from({ length: end - start }, (_, index) => start + index));
        this.byColour();
        this.draw();
        byId("codes-note").textContent = end < vocabulary ? `${number.format(end)} of ${number.format(vocabulary)}` : "";
      }
    });
  },
};

