// Line charts on canvas: aggregates drawn over the faint lines of their sites, one colour per site in all charts, a shared cursor.
"use strict";
(() => {
  const COLOURS = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#db2777", "#65a30d"];
  const PAD = { left: 56, right: 14, top: 10, bottom: 34 };
  const charts = JSON.parse(document.getElementById("data").textContent);
  const sites = [...new Set(charts.flatMap((chart) => chart.lines.map((line) => line.site)).filter((site) => site !== null))];
  const state = { round: null, site: null, log: false, smooth: 0 };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // A line's colour: by site, or for an aggregate by its place among the aggregates of the chart.
  function colourOf(chart, line) {
    if (line.site !== null) return COLOURS[(sites.indexOf(line.site) + 3) % COLOURS.length];
    const aggregates = chart.lines.filter((other) => other.site === null);
    return COLOURS[aggregates.indexOf(line) % COLOURS.length];
  }

  function smoothed(values) {
    if (state.smooth === 0) return values;
    const weight = state.smooth / 10;
    let last = null;
    return values.map((value) => {
      if (value === null) return null;
      last = last === null ? value : weight * last + (1 - weight) * value;
      return last;
    });
  }

  function ticks(low, high, count, whole) {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    let step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
    if (whole) step = Math.max(1, Math.round(step));
    const found = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) found.push(tick);
    return found;
  }

  function format(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(+value.toPrecision(4));
  }

  class View {
    constructor(figure, chart) {
      this.chart = chart;
      this.canvas = figure.querySelector("canvas");
      this.legend = figure.querySelector(".legend");
      const rounds = chart.lines.flatMap((line) => line.rounds);
      this.first = Math.min(...rounds);
      this.last = Math.max(...rounds);
      if (this.first === this.last) this.last += 1;
      this.buildLegend();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      this.canvas.addEventListener("pointermove", (event) => move(this.roundAt(event.offsetX)));
      this.canvas.addEventListener("pointerleave", () => move(null));
    }

    buildLegend() {
      this.outputs = this.chart.lines.map((line) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        const swatch = document.createElement("i");
        const output = document.createElement("output");
        button.type = "button";
        button.setAttribute("aria-pressed", "false");
        swatch.style.background = colourOf(this.chart, line);
        button.append(swatch, line.label, output);
        if (line.site !== null) {
          button.title = "Highlight this site in all charts";
          button.addEventListener("click", () => highlight(line.site));
        }
        item.append(button);
        this.legend.append(item);
        return { button, output, line };
      });
    }

    roundAt(x) {
      const share = (x - PAD.left) / (this.canvas.clientWidth - PAD.left - PAD.right);
      const round = Math.round(this.first + share * (this.last - this.first));
      return Math.min(this.last, Math.max(this.first, round));
    }

    range() {
      let low = Infinity;
      let high = -Infinity;
      for (const line of this.chart.lines) {
        for (const value of line.values) {
          if (value === null || (state.log && value <= 0)) continue;
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
      }
      if (low > high) return state.log ? [0.1, 1] : [0, 1];
      if (state.log) return low === high ? [low / 2, high * 2] : [low, high];
      const margin = (high - low || Math.abs(high) || 1) * 0.05;
      return [low - margin, high + margin];
    }

    draw() {
      const { canvas } = this;
      const ratio = devicePixelRatio || 1;
      const width = canvas.clientWidth;
      const height = canvas.clientHeight;
      if (!width) return;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const [low, high] = this.range();
      const scale = state.log ? Math.log10 : (value) => value;
      const x = (round) => PAD.left + ((round - this.first) / (this.last - this.first)) * (width - PAD.left - PAD.right);
      const y = (value) =>
        height - PAD.bottom - ((scale(value) - scale(low)) / (scale(high) - scale(low))) * (height - PAD.top - PAD.bottom);
      this.drawAxes(pen, width, height, x, y, low, high);
      const ordered = [...this.chart.lines].sort((a, b) => this.rank(a) - this.rank(b));
      for (const line of ordered) this.drawLine(pen, line, x, y);
      if (state.round !== null) {
        pen.strokeStyle = style("--soft");
        pen.lineWidth = 1;
        pen.globalAlpha = 0.6;
        pen.beginPath();
        pen.moveTo(x(state.round), PAD.top);
        pen.lineTo(x(state.round), height - PAD.bottom);
        pen.stroke();
        pen.globalAlpha = 1;
      }
      this.showValues();
    }

    // Sites first, so that aggregates and the highlighted site lie on top.
    rank(line) {
      if (line.site !== null && line.site === state.site) return 2;
      return line.site === null ? 1 : 0;
    }

    drawAxes(pen, width, height, x, y, low, high) {
      pen.font = "12px system-ui, sans-serif";
      pen.fillStyle = style("--soft");
      pen.strokeStyle = style("--rule");
      pen.lineWidth = 1;
      const values = state.log
        ? ticks(Math.log10(low), Math.log10(high), 4, false).map((power) => 10 ** power)
        : ticks(low, high, 5, false);
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      for (const value of values) {
        pen.beginPath();
        pen.moveTo(PAD.left, y(value));
        pen.lineTo(width - PAD.right, y(value));
        pen.stroke();
        pen.fillText(format(value), PAD.left - 8, y(value));
      }
      pen.textAlign = "center";
      pen.textBaseline = "top";
      for (const round of ticks(this.first, this.last, Math.max(2, width / 90), true)) {
        pen.fillText(String(round), x(round), height - PAD.bottom + 6);
      }
      pen.fillText("round", (PAD.left + width - PAD.right) / 2, height - 14);
    }

    drawLine(pen, line, x, y) {
      const strong = this.rank(line) > 0;
      const colour = colourOf(this.chart, line);
      const trace = (values) => {
        let open = false;
        pen.beginPath();
        values.forEach((value, index) => {
          if (value === null || (state.log && value <= 0)) {
            open = false;
            return;
          }
          if (open) pen.lineTo(x(line.rounds[index]), y(value));
          else pen.moveTo(x(line.rounds[index]), y(value));
          open = true;
        });
        pen.stroke();
      };
      pen.strokeStyle = colour;
      pen.lineJoin = "round";
      pen.lineWidth = strong ? 2 : 1;
      if (state.smooth > 0) {
        pen.globalAlpha = strong ? 0.25 : 0.12;
        trace(line.values);
      }
      pen.globalAlpha = strong ? 1 : state.site === null ? 0.45 : 0.15;
      trace(smoothed(line.values));
      if (line.rounds.length <= 30 && strong) {
        pen.fillStyle = colour;
        line.values.forEach((value, index) => {
          if (value === null || (state.log && value <= 0)) return;
          pen.beginPath();
          pen.arc(x(line.rounds[index]), y(value), 2.4, 0, 7);
          pen.fill();
        });
      }
      pen.globalAlpha = 1;
    }

    showValues() {
      for (const { button, output, line } of this.outputs) {
        const index = line.rounds.indexOf(state.round === null ? line.rounds[line.rounds.length - 1] : state.round);
        output.textContent = index < 0 ? "–" : format(line.values[index]);
        button.setAttribute("aria-pressed", String(line.site !== null && line.site === state.site));
      }
    }
  }

  const views = charts.map((chart, index) => new View(document.getElementById(`chart-${index}`), chart));
  const redraw = () => views.forEach((view) => view.draw());

  function move(round) {
    state.round = round;
    redraw();
  }

  function highlight(site) {
    state.site = state.site === site ? null : site;
    redraw();
  }

  function cell(value) {
    const text = value === null || value === undefined ? "" : String(value);
    const guarded = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text; // no formulas in spreadsheets
    return /[",\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
  }

  function download() {
    const rows = [["metric", "line", "round", "value"]];
    for (const chart of charts) {
      for (const line of chart.lines) {
        line.rounds.forEach((round, index) => rows.push([chart.title, line.label, round, line.values[index]]));
      }
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([rows.map((row) => row.map(cell).join(",")).join("\n")], { type: "text/csv" }));
    link.download = "metrics.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  document.getElementById("controls").hidden = false;
  document.getElementById("log").addEventListener("change", (event) => {
    state.log = event.target.checked;
    redraw();
  });
  document.getElementById("smooth").addEventListener("input", (event) => {
    state.smooth = Number(event.target.value);
    redraw();
  });
  document.getElementById("csv").addEventListener("click", download);
  dark.addEventListener("change", redraw);
})();
