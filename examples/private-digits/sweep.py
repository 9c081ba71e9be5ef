"""Run the app for several epsilons; print a table and write a plot, epsilon-accuracy.html, into the current folder."""

import json
import subprocess
import sys
from pathlib import Path

import plotly.graph_objects as go

EPSILONS = [0.5, 1.0, 2.0, 4.0, 8.0, 0.0]  # 0: without noise
APP = Path(__file__).parent
UMBEL = [sys.executable, "-c", "from umbel.cli.main import main; main()"]


def accuracy(epsilon):
    """The test accuracy of one whole run."""
    command = [*UMBEL, "run", str(APP), "-c", f"epsilon={epsilon}", "--stream", "--format", "json"]
    ended = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return ended["metrics"]["server"]["accuracy"]


def main():
    reached = {}
    print("| epsilon | test accuracy |\n|---|---|")
    for epsilon in EPSILONS:
        reached[epsilon] = accuracy(epsilon)
        print(f"| {epsilon or 'no noise'} | {reached[epsilon]:.3f} |", flush=True)
    without = reached.pop(0.0)
    figure = go.Figure(go.Scatter(x=list(reached), y=list(reached.values()), name="with noise"))
    figure.add_hline(y=without, line_dash="dash", annotation_text="without noise")
    figure.update_layout(title="What privacy costs", xaxis_title="epsilon (delta = 1e-5)", yaxis_title="test accuracy")
    figure.update_xaxes(type="log")
    figure.write_html("epsilon-accuracy.html", include_plotlyjs=True)


if __name__ == "__main__":
    main()
