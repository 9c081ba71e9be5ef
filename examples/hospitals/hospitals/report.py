"""Was it worth it? Each site alone, all records in one place, and the federation, on the same test people."""

from hospitals import task

STEPS = 300  # enough that more change nothing


def compare(federated_weights, scale):
    """The AUC of each way to learn, on the test people of all six sites."""
    _, x_test, _, y_test = task.load_all_sites()
    aucs = {
        f"site {site + 1} alone": _auc_of_one(task.load_site(site), scale, x_test, y_test) for site in range(task.SITES)
    }
    aucs["pooled"] = _auc_of_one(task.load_all_sites(), scale, x_test, y_test)
    aucs["federated"] = task.auc(task.scores(federated_weights, x_test, scale), y_test)
    return aucs


def print_report(federated_weights, scale):
    """Print the table of `compare`."""
    print("learned from     AUC on all sites' test people")
    for name, auc in compare(federated_weights, scale).items():
        print(f"{name:<16} {auc:.4f}")


def _auc_of_one(data, scale, x_test, y_test):
    x, _, y, _ = data
    weights = task.train(task.initial_weights(), x, y, scale, STEPS)
    return task.auc(task.scores(weights, x_test, scale), y_test)
