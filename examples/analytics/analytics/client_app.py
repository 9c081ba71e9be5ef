"""A site answers questions with sums over its records."""

from analytics import data
from umbel.app import Context, Message
from umbel.clientapp import ClientApp
from umbel.clientapp.analytics import answer
from umbel.clientapp.mod import secaggplus_mod

app = ClientApp(mods=[secaggplus_mod])


@app.query("analytics")
def analytics(msg: Message, context: Context) -> Message:
    return answer(msg, data.load_site(context.node_config["partition-id"]))
