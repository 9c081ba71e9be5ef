"""ClientApp: which function answers, inside which mods and lifespan."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from umbel.app import ConfigRecord, Context, Message, RecordDict
from umbel.clientapp import ClientApp, ClientFn, Mod

CONTEXT = Context(1, 2)


def ask(message_type: str) -> Message:
    """A message of this type."""
    return Message(RecordDict(), 2, message_type)


def saying(text: str) -> ClientFn:
    """A function that answers with a text."""
    return lambda message, context: Message(RecordDict({"said": ConfigRecord({"text": text})}), reply_to=message)


def said(app: ClientApp, message_type: str) -> object:
    """What the app answers."""
    return app(ask(message_type), CONTEXT).content.config_records["said"]["text"]


def noting(name: str, steps: list[str]) -> Mod:
    """A mod that notes when it is entered and left."""

    def mod(message: Message, context: Context, call_next: ClientFn) -> Message:
        steps.append(f"{name}>")
        reply = call_next(message, context)
        steps.append(f"<{name}")
        return reply

    return mod


def full() -> ClientApp:
    """An app with a function for each of several message types, each saying its own."""
    app = ClientApp()
    registered: dict[str, Callable[[ClientFn], ClientFn]] = {
        "train": app.train(),
        "train.tune": app.train("tune"),
        "evaluate": app.evaluate(),
        "evaluate.quick": app.evaluate("quick"),
        "query": app.query(),
        "query.size": app.query("size"),
    }
    for name, decorate in registered.items():
        decorate(saying(name))
    return app


@pytest.mark.parametrize("message_type", ["train", "train.tune", "evaluate", "evaluate.quick", "query", "query.size"])
def test_each_type_has_its_function(message_type: str) -> None:
    """A category, or a category with an action, finds the function registered for it."""
    assert said(full(), message_type) == message_type


def test_default_is_the_category_itself() -> None:
    """`train.default` is `train`."""
    assert said(full(), "train.default") == "train"


def test_an_unknown_type_is_an_error() -> None:
    """It names what the app has; an action does not fall back to its category."""
    app = full()
    with pytest.raises(
        ValueError, match=r"no function for 'train.other' messages; it has: evaluate, evaluate.quick, query"
    ):
        app(ask("train.other"), CONTEXT)
    with pytest.raises(ValueError, match="it has: none"):
        ClientApp()(ask("query"), CONTEXT)


def test_a_function_is_registered_once() -> None:
    """The same type twice is an error; the decorator gives the function back; an action is a Python identifier."""
    app = ClientApp()
    function = saying("one")
    assert app.train()(function) is function
    with pytest.raises(ValueError, match="already has a function for 'train' messages"):
        app.train()(function)
    with pytest.raises(ValueError, match="already has a function for 'train' messages"):
        app.train("default")(function)
    for bad in ("", "no-dash", "1st", "a.b"):
        with pytest.raises(ValueError, match="must be a Python identifier"):
            app.evaluate(bad)


def test_the_order_of_mods() -> None:
    """The app's mods come outside, the function's inside, each list from the outside in."""
    steps: list[str] = []
    app = ClientApp(mods=[noting("a", steps), noting("b", steps)])
    app.train(mods=[noting("c", steps), noting("d", steps)])(saying("train"))
    app.evaluate()(saying("evaluate"))
    assert said(app, "train") == "train"
    assert steps == ["a>", "b>", "c>", "d>", "<d", "<c", "<b", "<a"]
    steps.clear()
    said(app, "evaluate")
    assert steps == ["a>", "b>", "<b", "<a"]


def test_a_mod_may_answer_itself() -> None:
    """Then neither the function nor an inner mod is called."""

    def wall(message: Message, context: Context, call_next: ClientFn) -> Message:
        return saying("no")(message, context)

    steps: list[str] = []
    app = ClientApp(mods=[wall, noting("inner", steps)])
    app.query()(saying("yes"))
    assert said(app, "query") == "no"
    assert steps == []


def test_the_lifespan_runs_around_every_call() -> None:
    """Before the mods and after them, each time, with the context; also when the function fails."""
    steps: list[str] = []
    app = ClientApp(mods=[noting("mod", steps)])

    @app.lifespan()
    def around(context: Context) -> Iterator[None]:
        steps.append(f"begin {context.node_id}")
        yield
        steps.append("end")

    @app.train()
    def train(message: Message, context: Context) -> Message:
        raise KeyError

    app.query()(saying("x"))
    said(app, "query")
    assert steps == ["begin 2", "mod>", "<mod", "end"]
    with pytest.raises(KeyError):
        app(ask("train"), CONTEXT)
    assert steps[4:] == ["begin 2", "mod>", "end"]


def test_there_is_one_lifespan() -> None:
    """A second one is an error."""
    app = ClientApp()

    @app.lifespan()
    def around(context: Context) -> Iterator[None]:
        yield

    with pytest.raises(ValueError, match="already has a lifespan function"):
        app.lifespan()(around)


def no_generator(context: Context) -> None:
    """Forgets to yield."""


def never(context: Context) -> Iterator[None]:
    """A generator that yields nothing."""
    yield from ()


def twice(context: Context) -> Iterator[None]:
    """Yields once too often."""
    yield
    yield


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (no_generator, "no_generator must be a generator"),
        (never, "never did not yield"),
        (twice, "twice yielded more than once"),
    ],
)
def test_a_lifespan_yields_exactly_once(function: Callable[[Context], Iterator[None]], reason: str) -> None:
    """Anything else is a RuntimeError that names the function."""
    app = ClientApp()
    app.lifespan()(function)
    app.query()(saying("x"))
    with pytest.raises(RuntimeError, match=reason):
        app(ask("query"), CONTEXT)
