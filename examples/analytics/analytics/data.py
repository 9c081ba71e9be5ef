"""The records of each site: in a real federation, the site's own file."""

from functools import cache
from importlib.resources import files

import numpy as np

from umbel.partition import by_id

SITES = 6


def load_site(site):
    """The columns of both data sets that lie at this site, 0 to 5."""
    visits, patients = load_visits(), load_patients()
    visits = visits[by_id(visits["site"])[site]]
    patients = patients[site::SITES]  # this data set names no site: its patients are dealt like cards
    return {**columns(visits), **columns(patients)}


def columns(table):
    return {name: table[name] for name in table.dtype.names}


@cache
def load_visits():
    """The RAND Health Insurance Experiment: 20,190 years of people's lives, with visits to a doctor and years of school."""
    return read("randhie/src/randhie.csv", ["site", "mdvis", "educdec", "xage"])


@cache
def load_patients():
    """The Stanford heart transplants: 69 patients, days they lived with the new heart, and whether they died."""
    return read("heart/heart.csv", ["survival", "censors", "age"])


def read(path, names):
    return np.genfromtxt(files("statsmodels") / "datasets" / path, delimiter=",", names=True, usecols=names)
