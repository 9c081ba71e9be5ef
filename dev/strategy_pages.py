"""The reference pages of the strategies: one for each, with formula, arguments (the inherited ones too) and a curve."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from umbel.serverapp import strategy

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "_static" / "strategies"
GROUPS = {
    "Averaging": ("FedAvg", "FedProx", "FedAvgM"),
    "Adaptive optimisers at the server": ("FedAdagrad", "FedAdam", "FedYogi"),
    "Unequal data and unequal work": ("Scaffold", "FedDyn", "FedNova", "QFedAvg"),
    "Dishonest or broken clients": ("FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "Bulyan"),
    "Privacy": (
        "DifferentialPrivacyServerSideFixedClipping",
        "DifferentialPrivacyClientSideFixedClipping",
        "DifferentialPrivacyServerSideAdaptiveClipping",
        "DifferentialPrivacyClientSideAdaptiveClipping",
        "SecAggPlus",
    ),
    "Trees": ("FedXgbBagging", "FedXgbCyclic"),
}
CAPTION = {
    "FedAvg": "Test accuracy on the handwritten digits, 20 clients with a few classes each, five of them per round.",
    "default": "{name} against FedAvg on the handwritten digits, 20 clients with a few classes each, five of them per round.",
    "Unequal": "{name} against FedAvg on the handwritten digits, 20 clients with a few classes each, all of them in each round, taking from 5 to 100 local steps.",
    "QFedAvg": "{name} against FedAvg: accuracy of the client that fares worst, 20 clients with a few classes each.",
    "Dishonest or broken clients": "{name} against FedAvg when 4 of 20 clients send random arrays.",
    "Privacy": "{name} (ε = 8, δ = 1e-5 after 30 rounds, 200 clients) against FedAvg without protection.",
    "SecAggPlus": "{name} against FedAvg in the clear, ten clients: the curves coincide.",
    "Trees": "A forest grown by {name} at ten sites, on the handwritten digits.",
}


def pages() -> Iterator[tuple[str, str]]:
    """File name and text of each page, the overview first."""
    yield "index.md", overview()
    for group, names in GROUPS.items():
        for name in names:
            yield f"{name}.md", page(name, group)
    yield "base.md", base_page()


def overview() -> str:
    """The list of strategies by purpose. Raises ValueError when a strategy has no page."""
    known = {name for names in GROUPS.values() for name in names}
    public = {name for name in strategy.__all__ if is_concrete(getattr(strategy, name))}
    if known != public:
        raise ValueError(f"dev/strategy_pages.py does not group: {', '.join(sorted(known ^ public))}.")
    lines = [
        "# Strategies",
        "",
        "{doc}`/howto/choose-a-strategy` helps to choose; {doc}`base` has what all of them share.",
        "",
    ]
    for group, names in GROUPS.items():
        lines += [f"## {group}", "", "| strategy | |", "|---|---|"]
        lines += [f"| [{name}]({name}.md) | {summary(getattr(strategy, name))} |" for name in names]
        lines += [""]
    toctree = ["```{toctree}", ":hidden:", "", "base", *sorted(known), "```", ""]
    return "\n".join([*lines, *toctree])


def is_concrete(thing: Any) -> bool:
    """Whether a public name is a strategy that can be made."""
    return (
        isinstance(thing, type)
        and issubclass(thing, strategy.Strategy)
        and not inspect.isabstract(thing)
        and (thing is not strategy.DifferentialPrivacy)
    )


def summary(cls: type) -> str:
    """The first sentence of a class's docstring, on one line."""
    first = (inspect.getdoc(cls) or "").split("\n\n")[0]
    return " ".join(first.split())


def page(name: str, group: str) -> str:
    """The page of a strategy."""
    cls = getattr(strategy, name)
    lines = [
        f"# {name}",
        "",
        "```{eval-rst}",
        f".. autoclass:: umbel.serverapp.strategy.{name}",
        "   :no-members:",
        "   :show-inheritance:",
        "```",
        "",
    ]
    if (PICTURES / f"{name}.svg").exists():
        template = CAPTION.get(name) or CAPTION.get("Unequal" if name == "FedNova" else group) or CAPTION["default"]
        lines += [
            f"```{{figure}} /_static/strategies/{name}.svg",
            f":alt: Curves of {name}",
            "",
            template.format(name=name),
            "```",
            "",
        ]
    return "\n".join([*lines, *arguments(cls), "", "The methods are those of {doc}`the base class <base>`.", ""])


def arguments(cls: type) -> list[str]:
    """A table of the constructor's arguments, those of the class itself first."""
    documented = {name: text for base in reversed(cls.__mro__) for name, text in attribute_docstrings(base).items()}
    lines = ["## Arguments", "", "| argument | default | meaning |", "|---|---|---|"]
    fields = [field for field in dataclasses.fields(cls) if field.init]
    own = set(vars(cls).get("__annotations__", {}))
    for field in sorted(fields, key=lambda field: field.name not in own):
        text = documented.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{field.name}`: `{plain_type(field.type)}` | {default(field)} | {text} |")
    return lines


def plain_type(annotation: Any) -> str:
    """An annotation as it is written, safe in a table."""
    return str(annotation if isinstance(annotation, str) else getattr(annotation, "__name__", annotation)).replace(
        "|", "\\|"
    )


def default(field: dataclasses.Field[Any]) -> str:
    """A field's default; "required" where there is none."""
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    return "required" if field.default_factory is dataclasses.MISSING else f"`{field.default_factory()!r}`"


def attribute_docstrings(cls: type) -> dict[str, str]:
    """The docstrings below the attributes of a class's own body, each on one line."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def base_page() -> str:
    """The page of what all strategies share: the base class, results and callbacks."""
    names = ["Strategy", "Result", "Callback", "RoundResult", "BestModel", "EarlyStopping", "DifferentialPrivacy"]
    lines = ["# Strategy, results and callbacks", "", "```{eval-rst}"]
    for name in names:
        lines += [f".. autoclass:: umbel.serverapp.strategy.{name}", "   :members:", "   :show-inheritance:", ""]
    return "\n".join([*lines, "```", ""])
