"""The ServerApp: federated statistics over all hospitals."""

import json

from umbel.app import Context
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.analytics import Analytics

app = ServerApp()

VISITS = [0, 1, 2, 5, 10, 20, 80]
DAYS = list(range(2000))


@app.main()
def main(grid: Grid, context: Context) -> None:
    ask = Analytics(grid, secure=context.run_config["secure"])
    visits = ask.histogram("mdvis", VISITS)
    age = ask.mean_and_variance("xage", bounds=(0, 120))
    school = ask.mean_and_variance("educdec", bounds=(0, 30))
    median_age = ask.quantile("xage", 0.5, bounds=(0, 120), tolerance=0.001)
    curve = ask.kaplan_meier("survival", "censors", DAYS)
    report = {
        "visits": visits.counts.tolist(),
        "age": {"count": age.count, "mean": age.mean, "variance": age.variance, "median": median_age},
        "school": {"count": school.count, "mean": school.mean, "variance": school.variance, "missing": school.missing},
        "survival": curve.survival.tolist(),
    }
    show(report)
    grid.save_artifact("analytics.json", [json.dumps(report).encode()])


def show(report):
    print("Doctor's visits in a year")
    for low, high, count in zip(VISITS, VISITS[1:], report["visits"], strict=False):
        print(f"  {low:3} to {high - 1:3}  {count:6}  {'#' * (count // 200)}")
    for name in ("age", "school"):
        numbers = ", ".join(f"{key} {value:.6g}" for key, value in report[name].items())
        print(f"{name}: {numbers}")
    print("Alive with a new heart")
    for days in (30, 100, 365, 1000):
        share = report["survival"][days]
        print(f"  after {days:4} days  {share:6.1%}  {'#' * round(50 * share)}")
