"""mods_order: a Flower app with mods."""

from flwr.app import ConfigRecord, Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import arrays_size_mod, message_size_mod


def traced(name: str):
    """A mod that leaves its name on the way in and on the way out."""

    def mod(msg: Message, context: Context, call_next) -> Message:
        note(msg, f"{name} in")
        reply = call_next(msg, context)
        note(reply, f"{name} out")
        return reply

    return mod


def note(msg: Message, step: str) -> None:
    """Add a step to the trace of a message."""
    trace = msg.content.config_records["trace"]
    trace["steps"] = [*trace["steps"], step]


def refuse_queries(msg: Message, context: Context, call_next) -> Message:
    """Answer queries with an error, without asking the app."""
    if msg.metadata.message_type == "query":
        return Message(Error(code=7, reason="no queries"), reply_to=msg)
    return call_next(msg, context)


app = ClientApp(mods=[refuse_queries, traced("first"), message_size_mod, traced("second")])


def answer(msg: Message, step: str) -> Message:
    """A reply with the trace so far."""
    note(msg, step)
    trace = ConfigRecord(dict(msg.content["trace"]))
    return Message(RecordDict({"trace": trace}), reply_to=msg)


@app.train(mods=[traced("third"), arrays_size_mod])
def train(msg: Message, context: Context) -> Message:
    """Train."""
    return answer(msg, "train")


@app.train("twice", mods=[traced("third"), traced("third")])
def train_twice(msg: Message, context: Context) -> Message:
    """Train otherwise."""
    return answer(msg, "train.twice")


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Evaluate."""
    return answer(msg, "evaluate")


@app.query()
def query(msg: Message, context: Context) -> Message:
    """Never asked."""
    return answer(msg, "query")
